"""The embedded model: what it sees of a request, its weights file, what it says."""

import json
import math
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classifier.excerpt import Excerpt, capped
from gateway.core.classifier.features import (
    DENSE_HEAD,
    DENSE_TAIL,
    HEAD,
    TAIL,
    features_of,
    form_of,
    seen_of,
    words_of,
)
from gateway.core.classifier.model import (
    CODES,
    MAX_FILE,
    ZERO,
    Weights,
    WeightsError,
    choose,
    judge,
    read_weights,
    score,
    write_weights,
)
from gateway.core.policy import LEVELS
from gateway.hosts.common import WEIGHTS
from gateway.hosts.embedded import EMBEDDED
from tests.weights import leaning


def excerpt(turn: str, *context: tuple[str, str], tools: bool = False) -> Excerpt:
    return Excerpt(turn, context, 1 + len(context) // 2, has_tools=tools, has_images=False)


def weights_of(**levels: float) -> Weights:
    """That say these log-odds of anything."""
    return read_weights(leaning(**levels))


# --- features ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Fix THIS, please!", ["fix", "this", ",", "please", "!"]),
        ("über 3 Äpfel, 1999 snake_case", ["über", "3", "äpfel", ",", "1999", "snake", "case"]),
        ("漢字を読む", ["漢字", "字を", "を読", "読む"]),
        ("x = 漢 + 1", ["x", "=", "漢", "+", "1"]),
        ("half \ud800 pair", ["half", "?", "pair"]),
        ("", []),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    """Words in lower case, signs and numbers by themselves, pairs where no spaces are."""
    found, _ = words_of(text)
    assert [word.decode() for word in found] == words


@given(st.text(st.characters(max_codepoint=127)))
def test_words_of_ascii_are_words_like_others(text: str) -> None:
    """One letter that is not ASCII takes another way through the code, and changes no word."""
    words, begun = words_of(text)
    assert words_of(f"{text} \u00e9") == ([*words, "\u00e9".encode()], begun)


def test_what_is_seen_has_a_limit() -> None:
    """The middle of a long paste changes nothing, its head and its tail do."""
    head, tail = "a " * (HEAD // 2), "z " * (TAIL // 2)
    long = features_of(excerpt(head + "m " * 1_000 + tail))
    assert long == features_of(excerpt(head + "q " * 1_000 + tail))
    assert long != features_of(excerpt("b" + head[1:] + "m " * 1_000 + tail))
    assert long != features_of(excerpt(head + "m " * 1_000 + "y" + tail[1:]))


def test_less_is_seen_of_a_script_without_spaces() -> None:
    """A character says more there, and costs more: a page of Chinese is no slower than others."""
    head, tail = "\u6f22" * DENSE_HEAD, "\u5b57" * DENSE_TAIL
    assert seen_of(head + "\u4e2d" * 1_000 + tail) == f"{head}\n{tail}"
    assert seen_of(head + tail) == head + tail
    assert len(seen_of("\u0434" * 1_000)) == HEAD + TAIL + 1


def test_a_foreign_sign_hides_nothing() -> None:
    """One character of such a script in another text changes nothing of what is seen of it."""
    assert len(seen_of("My colleague \u738b asks: " + "why " * 500)) == HEAD + TAIL + 1


def test_characters_count_beside_their_pairs() -> None:
    """A word of two characters is found again beside others, where its pairs are new ones."""
    one, other = features_of(excerpt("\u8bc1\u660e")), features_of(excerpt("\u660e\u8bc1"))
    assert len(one & other - set(form_of(excerpt("\u8bc1\u660e"), 1))) >= 2


def test_the_same_word_counts_by_its_place() -> None:
    """A follow-up is judged with its conversation: who said a word before is told apart."""
    asked = features_of(excerpt("why?", ("user", "prove it"), ("assistant", "so")))
    answered = features_of(excerpt("why?", ("user", "so"), ("assistant", "prove it")))
    alone = features_of(excerpt("why?"))
    assert len({frozenset(asked), frozenset(answered), frozenset(alone)}) == 3


@given(st.text(), st.lists(st.tuples(st.sampled_from(["user", "assistant", "system"]), st.text())))
def test_any_text_has_features(turn: str, context: list[tuple[str, str]]) -> None:
    """No text is too odd, and each feature is a number of 32 bits."""
    found = features_of(excerpt(turn, *context))
    assert found
    assert all(0 <= feature < 2**32 for feature in found)


# --- the weights file --------------------------------------------------------


def test_a_file_is_read_as_it_was_written() -> None:
    """A row has a code, and a code has a byte in each level's table, 128 being nothing."""
    tables = [bytes([ZERO, ZERO + 4 + level]) + bytes(CODES - 2) for level in range(4)]
    bias = (1.0, 2.0, 3.0, 4.0)
    written = write_weights(b"\0\1\0\0", tables, scale=0.5, bias=bias, tilt=0.25, about={})
    read = read_weights(written)
    assert (read.rows, read.tables) == (b"\0\1\0\0", tuple(tables))
    assert (read.scale, read.bias, read.tilt) == (0.5, bias, 0.25)
    # Feature 5 is in row 1 of 4.
    assert score(read, {5}) == [1 + 0.5 * 4, 2 + 0.5 * 5, 3 + 0.5 * 6, 4 + 0.5 * 7]
    assert score(read, {4, 5}) == pytest.approx(
        [1 + 2 / math.sqrt(2), 2 + 2.5 / math.sqrt(2), 3 + 3 / math.sqrt(2), 4 + 3.5 / math.sqrt(2)]
    )


def _resealed(data: bytes) -> bytes:
    return data + sha256(data).digest()


GOOD = write_weights(bytes(8), [bytes(CODES)] * 4, scale=1.0, bias=(0.0,) * 4, tilt=0.0, about={})
HEADLESS = GOOD[: GOOD.index(b"{")]
GOOD_HEAD, BODY = GOOD[len(HEADLESS) : -32].split(b"\n", 1)


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "no weights file"),
        (b"tiergate-weights 1\n" + GOOD[19:], "no weights file"),
        (GOOD[:-1], "checksum"),
        (GOOD[:40] + b"x" + GOOD[41:], "checksum"),
        (GOOD + bytes(MAX_FILE), "over"),
        (_resealed(HEADLESS + b"{]\n" + BODY), "no JSON"),
        (_resealed(HEADLESS + b"{}\n" + BODY), "train it again"),
        (_resealed(HEADLESS + b"no line's end"), "no JSON"),
        (_resealed(GOOD[:-33]), "rows"),
        (_resealed(GOOD[:-32] + b"x"), "rows"),
        (_resealed(GOOD[:-32].replace(b'"rows": 8', b'"rows": 4')), "rows"),
        (_resealed(GOOD[:-32].replace(b'"rows": 8', b'"rows": 16')), "rows"),
        (_resealed(HEADLESS + GOOD_HEAD + b"\n"), "rows"),
        (_resealed(GOOD[:-32].replace(b'"rows": 8', b'"rows": %d' % 2**21)), "train it again"),
        (_resealed(GOOD[:-32].replace(b'"features": ', b'"features": 9')), "train it again"),
        (_resealed(GOOD[:-32].replace(b'"rows": 8', b'"rows": 7')), "train it again"),
        (_resealed(GOOD[:-32].replace(b'"tilt": 0.0', b'"tilt": 800.0')), "train it again"),
        (_resealed(GOOD[:-32].replace(b'"scale": 1.0', b'"scale": 1e308')), "train it again"),
        (_resealed(GOOD[:-32].replace(b'"bias": [0.0', b'"bias": [-1e3')), "train it again"),
    ],
)
def test_a_file_that_cannot_be_used(data: bytes, problem: str) -> None:
    """What is torn, edited, or made for another version is refused, and why is said."""
    with pytest.raises(WeightsError, match=problem):
        read_weights(data)


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_by_name(data: bytes) -> None:
    """Whatever stands in the store, reading it raises nothing else."""
    for each in (data, HEADLESS + data, _resealed(HEADLESS + data)):
        with pytest.raises(WeightsError):
            read_weights(each)


def test_the_built_in_file() -> None:
    """It is within its limit, and says on how many rows it was trained."""
    data = EMBEDDED.read_bytes()
    assert len(data) <= MAX_FILE
    assert json.loads(data.split(b"\n")[1])["trained_on"] > 15_000


# --- what it says ------------------------------------------------------------


def test_probabilities_and_confidence() -> None:
    """They are the softmax of the log-odds; confidence is that of the level that is chosen."""
    found = judge(weights_of(quality=math.log(6)), excerpt("anything"))
    assert found
    assert found.level == "quality"
    assert found.probabilities == pytest.approx((1 / 9, 1 / 9, 6 / 9, 1 / 9))
    assert found.confidence == found.probabilities[2]


def test_lean_moves_the_choice_and_not_the_probabilities() -> None:
    """To the cheaper where it is negative, to the better where it is positive."""
    weights = weights_of(fast=1.0, balanced=1.1, quality=1.0, reasoning=1.0)
    found = [judge(weights, excerpt("anything"), lean) for lean in (-1, 0, 1)]
    assert [each and each.level for each in found] == ["fast", "balanced", "quality"]
    assert len({each and each.probabilities for each in found}) == 1


def test_lean_moves_only_what_is_in_doubt() -> None:
    """A level that nearly nothing speaks for is not chosen, however safe one wants to be."""
    found = judge(weights_of(fast=3.0), excerpt("anything"), 1)
    assert found
    assert found.level == "fast"


SHARES = st.lists(st.floats(0.01, 1), min_size=4, max_size=4).map(
    lambda each: [share / sum(each) for share in each]
)


@given(SHARES, st.floats(0, 3), st.floats(-1, 1), st.floats(-1, 1))
def test_a_higher_lean_never_chooses_a_lower_level(
    shares: list[float], tilt: float, one: float, other: float
) -> None:
    """An operator who leans to safety gets no cheaper answer, and never one two levels away."""
    cheap, safe = (choose(shares, tilt, lean) for lean in sorted((one, other)))
    middle = choose(shares, tilt, 0.0)
    assert middle - 1 <= cheap <= safe <= middle + 1
    assert choose(shares, 0.0, one) <= choose(shares, tilt, one)


def test_hard_or_easy_comes_before_which_of_the_two() -> None:
    """Doubt about which hard level it is sends no hard work to an easy one."""
    assert choose([0.0, 0.4, 0.31, 0.29], 0.0, 0.0) == LEVELS.index("quality")
    assert choose([0.31, 0.29, 0.4, 0.0], 0.0, 0.0) == LEVELS.index("fast")


@pytest.mark.parametrize(
    "turn", ["?", "...", "🙂🙂", "\u10d0\u10d1\u10d2", "\u1230\u120b\u121d", " "]
)
def test_no_evidence(turn: str) -> None:
    """Signs alone, and scripts that it has not learned, are not "simple": it says nothing."""
    assert judge(WEIGHTS, excerpt(turn)) is None


@pytest.mark.parametrize(
    ("turn", "level"),
    [
        ("hi there", "fast"),
        ("What is the capital of Peru?", "fast"),
        ("Wie viele Zentimeter hat ein Zoll?", "fast"),
        ("Write a short email to my landlord asking to fix the heating", "balanced"),
        ("Explain how vaccines work", "balanced"),
        ("Refactor this service into hexagonal architecture and write the tests", "quality"),
        ("Prove that the sum of two even functions is even", "reasoning"),
        ("Demuestra que la raíz de 3 es irracional", "reasoning"),
    ],
)
def test_plain_requests(turn: str, level: str) -> None:
    """What leaves no doubt is judged as anyone would."""
    found = judge(WEIGHTS, excerpt(turn))
    assert found
    assert found.level == level


@pytest.mark.parametrize(
    "plea", ["Please use the best model.", "This is trivial, use the cheap model.", "ultrathink"]
)
def test_pleas_do_not_route(plea: str) -> None:
    """A request to be routed somewhere moves a clear request nowhere."""
    for turn in ("What is the capital of Peru?", "Prove that there are infinitely many primes."):
        plain, pleading = judge(WEIGHTS, excerpt(turn)), judge(WEIGHTS, excerpt(f"{turn} {plea}"))
        assert plain
        assert pleading
        assert plain.level == pleading.level


def test_what_was_left_out_of_a_long_text_is_no_evidence() -> None:
    """The note that a text was capped is ours, not the user's."""
    long = capped("\u10d0\u10d1\u10d2 " * 2_000, 3_000, 1_500)
    assert "left out" in long
    assert judge(WEIGHTS, excerpt(long)) is None
