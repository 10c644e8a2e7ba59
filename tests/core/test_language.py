"""In which language a text is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.language import LANGUAGES, language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the best way to fix this?", "en"),
        ("Wie kann ich das am besten reparieren?", "de"),
        ("Comment est-ce que je peux réparer cela pour ma mère ?", "fr"),
        ("¿Cómo puedo arreglar esto para mi madre?", "es"),
        ("Como eu posso consertar isso para a minha mãe?", "pt"),
        ("Come posso riparare questo per mia madre?", "it"),
        ("Hoe kan ik dit voor mijn moeder repareren?", "nl"),
        ("Bunu annem için nas\u0131l tamir ederim?", "tr"),
        ("Jak mogę to naprawić dla mojej mamy, żeby nie było drogo?", "pl"),
        ("これを直す方法を教えてください", "ja"),
        ("怎么修理这个", "zh"),
        ("이것을 어떻게 고치나요", "ko"),
        ("Как это починить?", "ru"),
        ("Як це полагодити її?", "uk"),
        ("كيف أصلح هذا؟", "ar"),
        ("چگونه این را درست کنم؟", "fa"),
        ("איך מתקנים את זה", "he"),
        ("इसे कैसे ठीक करें", "hi"),
        ("Πώς το φτιάχνω;", "el"),
    ],
)
def test_plain_sentences(text: str, language: str) -> None:
    """A sentence of a language is told to be in it."""
    assert language_of(text) == language


@pytest.mark.parametrize("text", ["", "42", "ok", "SELECT x FROM y", "Zürich", "???"])
def test_too_little(text: str) -> None:
    """What shows no language has none."""
    assert language_of(text) is None


@given(st.text())
def test_any_text(text: str) -> None:
    """It is one of the languages that a rule may name, or none."""
    assert language_of(text) in {None, *LANGUAGES}


@pytest.mark.parametrize(
    "text",
    [
        "Compute the value of cos \u03b8 for \u03b8 = \u03c0",
        "What does \u3053\u3093\u306b\u3061\u306f mean in English when you say it to a friend?",
        "Who was \u0414\u043e\u0441\u0442\u043e\u0435\u0432 and why is he important to us?",
    ],
)
def test_a_word_of_another_language(text: str) -> None:
    """A name, a word or a letter of another script does not make the text one of its language."""
    assert language_of(text) == "en"
