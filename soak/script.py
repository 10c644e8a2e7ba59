"""What each request of a soak is, which answers to it are right, and how each attempt at it goes.

Rule: all of it follows from the seed and the request's number, so that the provider, the clients
and the judge know it without telling each other, and a run can be had again.
"""

import hashlib
import re
from dataclasses import dataclass
from random import Random

TIERS = ("fast", "balanced", "quality", "reasoning")
JUDGE = "judge"
MODEL = "m"
CONNECT_MS = 2_000  # after which a provider is unreachable, whatever it would have done
TAG = re.compile(r"soak:(\d+):")

CHAT, MESSAGES = "openai-chat", "anthropic-messages"
RESPONSES, GEMINI = "openai-responses", "gemini"
# Who answers, each at an address of its own, and the dialect that it speaks.
PROVIDERS = {"chat1": CHAT, "chat2": CHAT, "claude": MESSAGES, "resp": RESPONSES, "gem": GEMINI}
JUDGE_AT = "chat1"  # whose model the judge is
GONE = "gone"  # a provider where nobody listens

# What else than a right answer an attempt gets, and how often of a hundred.
ANY_FAULTS = {
    "429": 4,
    "500": 4,
    "503": 3,
    "401": 1,
    "400": 1,
    "reset": 2,
    "garbage": 1,
    "silent": 2,
    "silent body": 1,
    "empty": 1,
    "drip": 3,
    "stall": 2,
    "cut": 5,
    "malformed": 2,
    "error": 3,
}
WHOLE_FAULTS = ANY_FAULTS | {"cut chunked": 2, "page": 1}
STREAM_FAULTS = ANY_FAULTS | {"no end": 3, "no done": 2, "reset later": 3}
JUDGE_FAULTS = {"500": 2, "silent": 2, "cut": 2, "nonsense": 3, "unknown": 3, "reset": 1}

# How an attempt with such a fault may be recorded. Whatever is a matter of time may be too slow on
# a busy machine; a request's own end may come first.
TIMELY = frozenset({"silent", "stalled", "too_slow", "deadline", "client_gone"})
OUTCOMES = {
    "": {"answered"},
    "429": {"rate_limited"},
    "500": {"server_error"},
    "503": {"overloaded"},
    "401": {"unauthorized"},
    "400": {"rejected"},
    "reset": {"unreachable"},
    "garbage": {"unreachable"},
    "silent": set(),
    "silent body": set(),
    "empty": {"empty"},
    "drip": {"answered"},
    "stall": set(),
    "cut": {"cut"},
    "malformed": {"malformed"},
    "error": {"error_in_stream", "server_error"},
    "cut chunked": {"cut"},
    "page": {"malformed"},
    "no end": {"cut"},
    # Translated, a stream without its last word is not known to be whole.
    "no done": {"answered", "cut"},
    "reset later": {"cut"},
}

_WORDS = (
    "water", "größe", "漢字", "emoji 👩\u200d🚀", 'he said "so"', "back\\slash", "naïve",
    "line\nbreak", "tab\tstop", "data: [DONE]", "\u2028", "{braces}", "event: error", "1e999",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A request. `tier`: forced, or else judged. `leaves_after_ms`: when its client goes away,
    after it has sent all, or but half of what it says. `reads_slowly`: it is slow to take what
    comes."""

    number: int
    dialect: str
    is_stream: bool
    guard: str | None
    tier: str | None
    direct: str | None
    has_tools: bool
    timeout_ms: int | None
    leaves_after_ms: int | None
    sends_half: bool
    reads_slowly: bool

    @property
    def kind(self) -> str:
        return f"{self.dialect}, {'streamed' if self.is_stream else 'whole'}"


def asked(seed: int, number: int) -> Asked:
    chance = _chance(seed, number, "asked")
    dialect = chance.choices([CHAT, MESSAGES, RESPONSES, GEMINI], [58, 16, 13, 13])[0]
    is_stream = chance.random() < 0.55
    guard = chance.choice([None, None, "content", "full"]) if is_stream else None
    how = chance.random()
    tier = None if how < 0.35 else chance.choice(TIERS)
    direct = None
    if how > 0.9 and dialect != GEMINI:
        tier, direct = None, chance.choice(list(PROVIDERS))
    leaves = chance.random() < 0.07
    return Asked(
        number,
        dialect,
        is_stream,
        guard,
        tier,
        direct,
        has_tools=chance.random() < 0.15,
        timeout_ms=chance.randint(300, 5_000) if chance.random() < 0.15 else None,
        leaves_after_ms=chance.randint(0, 1_500) if leaves else None,
        sends_half=leaves and chance.random() < 0.25,
        reads_slowly=chance.random() < 0.05,
    )


def prompt(seed: int, number: int) -> str:
    """What the client says, with its number for the provider to know it by."""
    chance = _chance(seed, number, "prompt")
    words = chance.choices(_WORDS, k=chance.choices([6, 60, 10_000], [80, 17, 3])[0])
    return f"soak:{number}: {' '.join(words)} #{_digest(str(words))}"


def right_text(seed: int, number: int, provider: str) -> str:
    """The only right answer of that provider: it holds a digest of the question and of itself."""
    chance = _chance(seed, number, f"answer of {provider}")
    count = chance.choices([5, 60, 600, 20_000], [50, 35, 13, 2])[0]
    words = " ".join(chance.choices(_WORDS, k=count))
    return f"{number} {provider}: {words} #{_digest(prompt(seed, number) + words)}"


def fault(seed: int, number: int, provider: str, time: int, *, is_stream: bool) -> str:
    """What goes wrong when that provider is asked for the `time`-th time, or ""."""
    faults = STREAM_FAULTS if is_stream else WHOLE_FAULTS
    return _drawn(_chance(seed, number, f"fault of {provider} {time} {is_stream}"), faults)


def judgement(seed: int, number: int) -> tuple[str, str]:
    """The tier that the judge names, and what goes wrong with it, or ""."""
    chance = _chance(seed, number, JUDGE)
    return chance.choice(TIERS), _drawn(chance, JUDGE_FAULTS)


def details(seed: int, number: int, provider: str, time: int) -> Random:
    """Chance for the rest of an attempt: where it is cut, how it is sliced."""
    return _chance(seed, number, f"details of {provider} {time}")


def _drawn(chance: Random, faults: dict[str, int]) -> str:
    names, weights = list(faults), list(faults.values())
    return chance.choices(["", *names], [100 - sum(weights), *weights])[0]


def _chance(seed: int, number: int, of: str) -> Random:
    return Random(f"{seed}/{number}/{of}")


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
