"""What the mock provider can be told to do wrong, and where it is told.

A spec is a comma-separated list: `status=503,delay_ms=100`, or `none`. The first of these places
that has one for a request is used, alone:

1. `PUT /mock/faults/{model}`, while it runs;
2. the model's name, after the first `!`: `small!cut=3`;
3. `--fault`, for every chat request.

Events are the `data:` blocks of a stream, `[DONE]` included, pings not; its first says the role,
and content begins with the second. Bytes are those of a whole answer's body. `cut`, `stall` and the
like do nothing to an answer that is over before them.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

# Far above what a test or a demo gives names to; a script gone wrong stops here.
MAX_MODELS = 1000

# Ten minutes: the OpenAI SDK's own default timeout.
LONGEST_MS = 600_000

# The largest answer, held in memory while it is sent: twice Anthropic's limit for a request.
MAX_BIG = 64 * 1024 * 1024


class BadFault(ValueError):
    """The spec is wrong; the message says how and lists what there is."""

    def __init__(self, message: str) -> None:
        valid = "; ".join(f"{name}: {meaning}" for name, meaning in describe().items())
        super().__init__(f"{message}. Faults: {valid}")


def _number(low: int, high: int, meaning: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=None, metadata={"low": low, "high": high, "meaning": meaning})


def _flag(meaning: str) -> Any:  # noqa: ANN401 - as dataclasses.field
    return field(default=False, metadata={"meaning": meaning})


@dataclass(frozen=True, slots=True)
class Fault:
    """One parsed spec. Its fields are the faults; all that are given apply together."""

    status: int | None = _number(400, 599, "an error with this status")
    retry_after: int | None = _number(0, 86_400, "a retry-after header with these seconds")
    retry_after_date: int | None = _number(
        0, 86_400, "the same as a date, so many seconds from now"
    )
    retry_after_ms: int | None = _number(0, 86_400_000, "a retry-after-ms header")
    redirect: bool = _flag("307, to where the request would be answered")
    too_long: bool = _flag("400, code context_length_exceeded")
    filtered: bool = _flag("400, code content_filter")
    bad_key: bool = _flag("400 for a key that is not valid, in Google's words")
    page: bool = _flag("a page of HTML for a body")
    delay_ms: int | None = _number(0, LONGEST_MS, "a pause before the head")
    content_ms: int | None = _number(0, LONGEST_MS, "a pause before the first content or the body")
    chunk_ms: int | None = _number(0, LONGEST_MS, "a pause before each event but the first")
    ping_ms: int | None = _number(1, LONGEST_MS, "a comment so often while a stream is silent")
    refuse: bool = _flag("close the connection without an answer")
    reset: bool = _flag("where the connection is closed, or at once: by a reset")
    garbage: bool = _flag("bytes that are no HTTP, as of a port that speaks TLS")
    head_stall: bool = _flag("send the head, then nothing")
    stall: int | None = _number(0, MAX_BIG, "nothing more after so many events or bytes")
    cut: int | None = _number(0, MAX_BIG, "break off after so many events or bytes")
    ends: int | None = _number(0, MAX_BIG, "a clean end after so many events of a stream")
    malformed: bool = _flag("a body, or a stream's second event, that is not JSON")
    malformed_event: int | None = _number(0, MAX_BIG, "an event that is not JSON after N events")
    error_event: int | None = _number(0, MAX_BIG, "end the stream with an error after N events")
    error_body: bool = _flag("an error for a body, or a stream's first event, under status 200")
    unstreamed: bool = _flag("a whole answer where a stream was asked for")
    chunked: bool = _flag("a whole answer without its length")
    sized: bool = _flag("a stream with its length")
    lingers: bool = _flag("no end of the body after a stream's last event")
    no_finish: bool = _flag("no finish_reason")
    no_done: bool = _flag("no [DONE] at the end of a stream")
    empty: bool = _flag("a head, and a body of no bytes that ends cleanly")
    blank: bool = _flag("an answer that says nothing, and finishes well")
    big: int | None = _number(0, MAX_BIG, "an answer whose text has this many bytes")
    none: bool = _flag("nothing wrong: for a list of faults, or against --fault")

    @property
    def stops_after(self) -> int | None:
        """How many events or bytes come before a silence or a cut; a cut wins a tie."""
        silent_after = 0 if self.head_stall else self.stall
        return min((at for at in (silent_after, self.cut) if at is not None), default=None)


def describe() -> dict[str, str]:
    """Each fault as it is written, and what it does."""
    return {
        f.name + (f"={f.metadata['low']}..{f.metadata['high']}" if "low" in f.metadata else ""): (
            f.metadata["meaning"]
        )
        for f in fields(Fault)
    }


def parse(spec: str) -> Fault:
    """Read `status=503,delay_ms=100`. Raises BadFault."""
    known = {f.name: f.metadata for f in fields(Fault)}
    given: dict[str, Any] = {}
    for item in spec.split(","):
        name, equals, value = item.strip().partition("=")
        if name not in known:
            raise BadFault(f"there is no fault {name!r}")
        if name in given:
            raise BadFault(f"{name} is given twice")
        if "low" not in known[name]:
            if equals:
                raise BadFault(f"{name} takes no value")
            given[name] = True
            continue
        low, high = known[name]["low"], known[name]["high"]
        # At most nine digits: int() itself gives up on thousands of them.
        if not (value.isascii() and value.isdigit() and len(value) <= 9):
            raise BadFault(f"{name} takes a whole number, not {value[:40]!r}")
        if not low <= int(value) <= high:
            raise BadFault(f"{name} is from {low} to {high}, not {value}")
        given[name] = int(value)
    return Fault(**given)


@dataclass(slots=True)
class Ordered:
    """A fault ordered through the control endpoint, or several in turn, one a request; `times` is
    None for until further notice, or until the turn is over."""

    specs: deque[str]
    times: int | None
    in_turn: bool

    @property
    def shown(self) -> str | list[str]:
        """As it was ordered, without those that are over."""
        return list(self.specs) if self.in_turn else self.specs[0]

    def take(self) -> tuple[Fault, bool]:
        """The next request's, and whether it is the last one."""
        if self.in_turn:
            return parse(self.specs.popleft()), not self.specs
        if self.times is not None:
            self.times -= 1
        return parse(self.specs[0]), self.times == 0


class Faults:
    """The three places a fault can come from."""

    def __init__(self, at_start: str | None = None) -> None:
        """Raises BadFault when the spec for every request is wrong."""
        self.at_start = at_start
        self._at_start = None if at_start is None else parse(at_start)
        self._ordered: dict[str, Ordered] = {}

    def order(self, model: str, spec: str | Sequence[str], times: int | None = None) -> None:
        """Break `model` for its next `times` requests, or each of the next as listed.

        Raises BadFault.
        """
        specs = [spec] if isinstance(spec, str) else list(spec)
        for each in specs:
            parse(each)
        if model not in self._ordered and len(self._ordered) >= MAX_MODELS:
            raise BadFault(f"{MAX_MODELS} models have a fault already")
        self._ordered[model] = Ordered(deque(specs), times, not isinstance(spec, str))

    def lift(self, model: str) -> bool:
        """Was there a fault to take away?"""
        return self._ordered.pop(model, None) is not None

    def ordered(self) -> dict[str, Ordered]:
        """By model."""
        return dict(self._ordered)

    def take(self, name: str) -> Fault:
        """The fault for a request that names its model so. Raises BadFault."""
        model, bang, spec = name.partition("!")
        # Read even when it is not used: a wrong name must not look right for a while.
        named = parse(spec) if bang else None
        ordered = self._ordered.get(model)
        if ordered is None:
            return named or self._at_start or Fault()
        fault, is_last = ordered.take()
        if is_last:
            del self._ordered[model]
        return fault
