"""`tiergate explain` where the embedded model judges: what it says, by which weights, and why."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.classifier.features import features_of, form_of, words_of
from gateway.core.classifier.model import Judgement, Weights, judge, read_weights, score
from gateway.core.policy import LEVELS
from gateway.hosts.common import WEIGHTS
from gateway.operator.cli import app
from gateway.operator.finetune import Label, finetune
from gateway.operator.pulls import LEAST, SHOWN, Reasons, reasons_of
from gateway.operator.requests_file import excerpt_of

PROOF = "Prove that the square root of 7 is irrational"
TIERS = "".join(
    f'[[tiers]]\nname = "{name}"\ndescription = "x"\ntargets = ["ollama/{name}"]\n'
    for name in LEVELS
)


def policy_of(folder: Path, classifier: str, rules: str = "") -> Path:
    file = folder / "policy.toml"
    head = 'name = "own"\ndefault_tier = "balanced"\n'
    file.write_text(f"{head}[classifier]\n{classifier}\n{rules}\n{TIERS}")
    return file


def explained(policy: Path, prompt: str) -> dict[str, Any]:
    result = CliRunner().invoke(
        app, ["explain", "--policy", str(policy), "--prompt", prompt, "--json"]
    )
    assert result.exit_code == 0, result.stderr
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def shown(policy: Path, prompt: str) -> str:
    return CliRunner().invoke(app, ["explain", "--policy", str(policy), "--prompt", prompt]).stdout


def excerpt(text: str) -> Excerpt:
    found = excerpt_of(text)
    assert found is not None
    return found


def reasons(text: str, lean: float = 0.0) -> tuple[Judgement, Reasons]:
    found = judge(WEIGHTS, excerpt(text), lean)
    assert found is not None
    return found, reasons_of(WEIGHTS, excerpt(text), found)


# --- the reasons -----------------------------------------------------------------


def test_a_pull_is_what_is_missing_without_the_part() -> None:
    """By the gateway's own score, the text's outer form held as it is."""
    text = "Prove it is irrational"  # without a word its number of words is of another size
    found, why = reasons(text)
    chosen, rival = LEVELS.index(found.level), LEVELS.index(why.rival)

    def odds(features: set[int]) -> float:
        logits = score(WEIGHTS, features)
        return logits[chosen] - logits[rival]

    whole = features_of(excerpt(text))
    form = set(form_of(excerpt(text), 4))
    without = replace(excerpt(text), turn=" it is irrational")
    left = features_of(without) - set(form_of(without, 3)) | form
    (pull,) = [each for each in why.pulls if each.text == "Prove"]
    assert pull.toward == found.level
    assert pull.by == pytest.approx(odds(whole) - odds(left))
    assert why.form.by == pytest.approx(abs(odds(whole) - odds(whole - form)))
    assert why.form.text is None


def test_the_strongest_of_each_side_come_first() -> None:
    """At most a handful a side, the chosen level's before the rival's, none that is nothing."""
    text = "Please could you write me a short polite email to Ann about the plan for the contract"
    found, why = reasons(text)
    sides = [
        [pull.by for pull in why.pulls if pull.toward == level]
        for level in (found.level, why.rival)
    ]
    assert sum(map(len, sides)) == len(why.pulls)
    for side in sides:
        assert 0 < len(side) <= SHOWN
        assert side == sorted(side, reverse=True)
        assert min(side) >= LEAST
    assert [pull.toward for pull in why.pulls] == (
        [found.level] * len(sides[0]) + [why.rival] * len(sides[1])
    )


def test_the_rival_is_the_likeliest_other() -> None:
    """Where leaning chose against the probabilities, that is the one it chose against."""
    text = "Plan a 3-day trip to Rome"
    plain, safe = reasons(text), reasons(text, 1)
    assert plain[0].level == "balanced"
    assert (safe[0].level, safe[1].rival) == ("quality", "balanced")
    assert safe[0].probabilities[1] == max(safe[0].probabilities)


def test_equal_words_are_one_part() -> None:
    """Leaving out one of two equal words would change nothing: all their places go."""
    _, why = reasons("Prove this, then prove that")
    texts = [str(pull.text).lower() for pull in why.pulls]
    assert texts.count("prove") == 1


def test_a_long_text_is_looked_at_by_sentences_and_lines() -> None:
    """The parts are whole sentences, as they stand in the text."""
    lines = ["Prove the theorem below.", "It is due on Friday!", "- the first lemma", "And so on?"]
    text = "\n".join([*lines, *("We met and had a coffee. It was nice." for _ in range(9))])
    _, why = reasons(text)
    assert {"Prove the theorem below."} <= {pull.text for pull in why.pulls}
    assert all(
        pull.text in {*lines, "We met and had a coffee.", "It was nice."} for pull in why.pulls
    )


@pytest.mark.parametrize(
    "text",
    ["word " * 200, "a\n" * 2_000, "!?" * 2_000, "7", "証明" * 900, "\ud800 hi", "x" * 9_000],
)
def test_any_text_has_reasons_soon(text: str) -> None:
    """A text without sentences, or of nothing else, is no trouble."""
    found = judge(WEIGHTS, excerpt(text))
    if found is not None:
        why = reasons_of(WEIGHTS, excerpt(text), found)
        assert all(pull.text and pull.text in text for pull in why.pulls)
        assert len(words_of(text)[0]) < 60 or len(why.pulls) <= 2 * SHOWN


# --- the command -----------------------------------------------------------------


def test_local_shows_what_the_gateway_decides_by(tmp_path: Path) -> None:
    """`judged` is the decision's own judgement, with every level and the words that pulled."""
    found = explained(policy_of(tmp_path, 'mode = "local"'), PROOF)
    decision, judged = found["decision"], found["judged"]
    assert (decision["by"], decision["tier"]) == ("local", "reasoning")
    assert judged["level"] == "reasoning"
    assert judged["confidence"] == round(decision["confidence"], 4)
    assert list(judged["probabilities"]) == list(LEVELS)
    assert sum(judged["probabilities"].values()) == pytest.approx(1, abs=0.001)
    assert judged["probabilities"]["reasoning"] == judged["confidence"]
    first = judged["pulls"][0]
    assert (first["text"], first["toward"]) == ("Prove", "reasoning")
    assert first["by"] > 1
    assert set(judged["form"]) == {"toward", "by"}
    assert found["asked"] is False


def test_local_in_words(tmp_path: Path) -> None:
    """People see the level, each probability and the strongest words."""
    lines = shown(policy_of(tmp_path, 'mode = "local"'), PROOF).splitlines()
    assert "tier   reasoning, decided by: local" in lines
    assert any(line.startswith("level  reasoning by the embedded model, conf") for line in lines)
    words = [line.split() for line in lines]
    assert ["pulls", "toward", "by", "what"] in words
    assert any(line[:1] == ["reasoning"] and line[-1] == "Prove" for line in words)
    assert any(line[-4:] == ["(its", "length", "and", "form)"] for line in words)


def tuned() -> tuple[bytes, Weights]:
    data = finetune(WEIGHTS, [Label(excerpt(f"{PROOF}{mark}"), 0) for mark in (*"!?.,;:-+", "")])
    return data, read_weights(data)


def test_weights_of_the_policy_are_the_ones_that_judge(tmp_path: Path) -> None:
    """A policy with weights of its own is explained by them, decision and reasons alike."""
    data, weights = tuned()
    (tmp_path / "own.weights").write_bytes(data)
    found = explained(policy_of(tmp_path, 'mode = "local"\nweights = "own.weights"'), PROOF)
    expected = judge(weights, excerpt(PROOF))
    assert expected is not None
    assert expected.level == "fast"
    assert found["decision"]["tier"] == found["judged"]["level"] == "fast"
    assert found["decision"]["confidence"] == pytest.approx(expected.confidence)
    assert found["judged"]["confidence"] == round(expected.confidence, 4)


HYBRID = 'mode = "hybrid"\nmodel = "ollama/judge"\nmin_confidence = '


def test_hybrid_that_is_sure(tmp_path: Path) -> None:
    """Above min_confidence the embedded model decides, and that is said."""
    policy = policy_of(tmp_path, f"{HYBRID}0.5")
    found = explained(policy, PROOF)
    assert (found["decision"]["by"], found["decision"]["reason"]) == ("local", None)
    assert found["judged"]["level"] == "reasoning"
    assert "at least min_confidence 0.5" in shown(policy, PROOF)


def test_hybrid_that_is_not_sure(tmp_path: Path) -> None:
    """Below it the classifier model would be asked: it is not, and that is said beside what the
    embedded model makes of the prompt."""
    policy = policy_of(tmp_path, f"{HYBRID}1.0")
    found = explained(policy, PROOF)
    assert found["decision"]["reason"] == "classifier_not_asked"
    assert found["decision"]["tier"] == found["judged"]["level"] == "reasoning"
    text = shown(policy, PROOF)
    assert "below min_confidence 1" in text
    assert "The classifier ollama/judge would choose (--ask asks it)" in text


RULE = '[[rules]]\nname = "short"\nwhen = { tokens_over = 0 }\nto = "quality"\n'


@pytest.mark.parametrize(
    ("classifier", "rules", "prompt", "decided"),
    [
        ('mode = "local"', RULE, PROOF, ("rule", "short")),
        ('mode = "local"', "", "...", ("default", "no_evidence")),
        ('mode = "local"', "", " ", ("default", "no_user_text")),
        ('mode = "off"', "", PROOF, ("default", "classifier_off")),
        ('model = "ollama/judge"', "", PROOF, ("default", "classifier_not_asked")),
    ],
)
def test_what_the_embedded_model_was_not_asked(
    classifier: str, rules: str, prompt: str, decided: tuple[str, str], tmp_path: Path
) -> None:
    """Where something else decided, no judgement is shown that had no part in it."""
    found = explained(policy_of(tmp_path, classifier, rules), prompt)
    assert (found["decision"]["by"], found["decision"]["reason"]) == decided
    assert found["judged"] is None
    assert "embedded model" not in shown(policy_of(tmp_path, classifier, rules), prompt)


def test_a_level_that_is_not_the_most_probable_is_explained(tmp_path: Path) -> None:
    """Where leaning chose against the probabilities, it says so."""
    policy = policy_of(tmp_path, 'mode = "local"\nlean = 1.0')
    assert "quality though another is more probable" in shown(policy, "Plan a 3-day trip to Rome")
