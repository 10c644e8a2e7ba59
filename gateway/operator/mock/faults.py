"""What the mock provider can be told to do wrong, and where it is told.

A spec is a comma-separated list: `status=503,delay_ms=100`. The first of these places that
has one for a request is used, alone:

1. `PUT /mock/faults/{model}`, while it runs;
2. the model's name, after the first `!`: `small!cut=3`;
3. `--fault`, for every chat request.

Events are the `data:` blocks of a stream, `[DONE]` included; bytes are those of a whole
answer's body. `cut` and `stall` do nothing to an answer that is over before them.
"""

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
    delay_ms: int | None = _number(0, LONGEST_MS, "a pause before the head")
    chunk_ms: int | None = _number(0, LONGEST_MS, "a pause before each event but the first")
    refuse: bool = _flag("close the connection without an answer")
    head_stall: bool = _flag("send the head, then nothing")
    stall: int | None = _number(0, MAX_BIG, "nothing more after so many events or bytes")
    cut: int | None = _number(0, MAX_BIG, "break off after so many events or bytes")
    malformed: bool = _flag("a body, or a stream's second event, that is not JSON")
    error_event: int | None = _number(0, MAX_BIG, "end the stream with an error after N events")
    no_finish: bool = _flag("no finish_reason")
    no_done: bool = _flag("no [DONE] at the end of a stream")
    empty: bool = _flag("a head, and a body of no bytes that ends cleanly")
    big: int | None = _number(0, MAX_BIG, "an answer whose text has this many bytes")

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
    """A fault ordered through the control endpoint; `times` is None for until further notice."""

    spec: str
    fault: Fault
    times: int | None


class Faults:
    """The three places a fault can come from."""

    def __init__(self, at_start: str | None = None) -> None:
        """Raises BadFault when the spec for every request is wrong."""
        self.at_start = at_start
        self._at_start = None if at_start is None else parse(at_start)
        self._ordered: dict[str, Ordered] = {}

    def order(self, model: str, spec: str, times: int | None) -> None:
        """Break `model` for its next `times` requests. Raises BadFault."""
        fault = parse(spec)
        if model not in self._ordered and len(self._ordered) >= MAX_MODELS:
            raise BadFault(f"{MAX_MODELS} models have a fault already")
        self._ordered[model] = Ordered(spec, fault, times)

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
        if ordered.times is not None:
            ordered.times -= 1
            if ordered.times == 0:
                del self._ordered[model]
        return ordered.fault
