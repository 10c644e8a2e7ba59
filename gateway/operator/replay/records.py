"""Decision records out of a log, line by line: docs/decision-record.md.

Rules: a line is never held with another, and of one over MAX_LINE only its beginning. What is
before a record on its line (`tiergate :: {...}`, `stdout [0] :: {...}`) is passed over. A line
without a record, and a record that is torn, is one of `other_lines`.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, get_args

from gateway.core.chat import Usage
from gateway.core.decide import DecidedBy
from gateway.core.policy import LEVELS
from gateway.core.record import SCHEMA
from gateway.core.rules import Facts

MAX_LINE = 1024 * 1024  # bytes; a record is a few kilobytes, whatever the request was
# The endpoints that are routed by tiers. `route` only asks; the others never judge.
ROUTED = frozenset({"chat", "responses", "messages", "generate_content"})

_MARK = b'"request"'  # the value of a record's `event`: most other lines have it nowhere
_DECIDERS: dict[object, DecidedBy] = {by: by for by in get_args(DecidedBy)}
_DECODER = json.JSONDecoder()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one record says of a decision. What it does not say is None.

    policy: whose it was, `name@version`.
    tier: the decided one, whoever answered; None where one `target` (provider/model) was decided.
    judged: the probability of each of LEVELS.
    """

    request_id: str
    policy: str | None
    by: DecidedBy
    tier: str | None
    target: str | None
    reason: str | None
    facts: Facts | None
    judged: tuple[float, ...] | None
    usage: Usage | None


@dataclass(slots=True)
class Log:
    """Reads records, and counts: lines without one, and records where no tier was to be decided."""

    other_lines: int = 0
    records: int = 0
    undecided: int = 0

    def read(self, file: BinaryIO) -> Iterator[Seen]:
        """Those in a file that a decision was made for. Raises OSError."""
        while line := file.readline(MAX_LINE):
            is_whole = line.endswith(b"\n") or len(line) < MAX_LINE
            while not is_whole and (rest := file.readline(MAX_LINE)):
                is_whole = rest.endswith(b"\n")
            values = record_in(line)
            if values is None:
                self.other_lines += bool(line.strip())
                continue
            self.records += 1
            if seen := seen_in(values):
                yield seen
            else:
                self.undecided += 1


def record_in(line: bytes) -> dict[str, Any] | None:
    """The members of the record on a line, or None."""
    if _MARK not in line:
        return None
    text = line.decode(errors="replace")
    start = text.find('{"event"')  # as the gateway writes it; others may have put it in order
    if start < 0:
        start = text.find("{")
    if start < 0:
        return None
    try:
        values, _ = _DECODER.raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    if not isinstance(values, dict) or values.get("event") != "request":
        return None
    is_read = values.get("schema") == SCHEMA and isinstance(values.get("request_id"), str)
    return values if is_read else None


def seen_in(values: dict[str, Any]) -> Seen | None:
    """What a record says of its decision; None where none was made, or not for a tier."""
    said, endpoint = values.get("decision"), values.get("endpoint")
    by = _DECIDERS.get(said) if isinstance(said, str) else None
    if by is None or not isinstance(endpoint, str) or endpoint not in ROUTED:
        return None
    tier = _text(values, "tier_from") or _text(values, "tier")
    return Seen(
        values["request_id"],
        _text(values, "policy"),
        by,
        tier,
        None if tier else _target(values),
        _text(values, "reason"),
        _facts(values.get("facts")),
        _judged(values.get("judged")),
        _usage(values.get("usage")),
    )


def _text(values: dict[str, Any], name: str) -> str | None:
    value = values.get(name)
    return value if isinstance(value, str) and value else None


def _target(values: dict[str, Any]) -> str | None:
    """The one model that was decided: it is all that such a request tries."""
    match values:
        case {"attempts": [{"target": str(id_)}, *_]}:
            return id_
        case {"provider": str(provider), "model": str(model)}:
            return f"{provider}/{model}"
    return None


def _facts(value: Any) -> Facts | None:  # noqa: ANN401 - any JSON
    match value:
        case {
            "images": bool(images),
            "tools": bool(tools),
            "json_schema": bool(schema),
            "tokens": int(tokens),
        }:
            return Facts(images, tools, schema, tokens, _text(value, "language"))
    return None


def _judged(value: object) -> tuple[float, ...] | None:
    if not isinstance(value, dict):
        return None
    shares = [value.get(level) for level in LEVELS]
    found = [share for share in shares if isinstance(share, float | int) and 0 <= share <= 1]
    return tuple(found) if len(found) == len(LEVELS) and any(found) else None


def _usage(value: Any) -> Usage | None:  # noqa: ANN401 - any JSON
    match value:
        case {"input": int(read), "output": int(written)} if read >= 0 and written >= 0:
            cached, put = value.get("cached_input"), value.get("cache_written")
            return Usage(read, written, _count(cached), cache_written=_count(put))
    return None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value >= 0 else None
