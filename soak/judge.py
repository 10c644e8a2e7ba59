"""Whether what was seen is what must hold: pure, and every breach by name."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jsonschema import Draft202012Validator

from soak import reading, script
from soak.clients import Seen
from soak.reading import Said, Unreadable

type Json = dict[str, Any]

SCHEMA = Path(__file__).parents[1] / "docs" / "decision-record.schema.json"
MOST_MEMORY = 1.2
SLACK_SECONDS = 2.0
# The codes of docs/http-api.md that say that nobody could answer.
HONEST = {
    429: {"rate_limit_exceeded"},
    502: {"all_targets_failed", "upstream_credentials_exhausted"},
    503: {"upstream_overloaded"},
    504: {"upstream_timeout", "deadline_exceeded"},
}
BROKEN = "upstream_stream_broken"
RIGHT, ERROR, BROKE, DEAD, LEFT = (
    "right",
    "honest error",
    "broke off, said so",
    "gateway dead",
    "left",
)
VIOLATION = "VIOLATION"
ENDS = (RIGHT, ERROR, BROKE, DEAD, LEFT, VIOLATION)


@dataclass(frozen=True, slots=True)
class Window:
    """From when to when something was dead, in monotonic seconds."""

    start: float
    stop: float

    def meets(self, start: float, stop: float) -> bool:
        return start <= self.stop and stop >= self.start


@dataclass(slots=True)
class Verdict:
    """`ends`: requests by kind and end. `errors`: by status and code. `violations`: what must not
    be, one line each. `excused`: how many were late by no more than the machine was."""

    ends: Counter[tuple[str, str]] = field(default_factory=Counter)
    errors: Counter[tuple[int, str]] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    records: int = 0
    excused: int = 0


class Judge:
    """`records`: the gateway's log; `journal`: the provider's. `dead`: when the gateway was down;
    `away`: when the provider was. `slack`: seconds beyond its deadline in which a request must have
    ended."""

    def __init__(
        self,
        seed: int,
        records: Sequence[Json],
        journal: Iterable[Json],
        dead: Sequence[Window] = (),
        away: Sequence[Window] = (),
        slack: float = SLACK_SECONDS,
    ) -> None:
        self._seed, self._slack = seed, slack
        self._dead, self._away = dead, away
        self._records: dict[str, list[Json]] = defaultdict(list)
        for record in records:
            if record.get("event") == "request":
                self._records[str(record.get("request_id"))].append(record)
        self._done: dict[tuple[int, str], list[str]] = defaultdict(list)
        self.verdict = Verdict()
        for record in records:
            if record.get("event") == "defect":
                self._breach(-1, f"a defect: {record.get('where')}")
        for line in journal:
            self._done[line["n"], line["provider"]].append(line["fault"])
            if not line["intact"]:
                self._breach(line["n"], f"{line['provider']} was not asked what the client said")

    def judge(self, seen: Iterable[Seen]) -> Verdict:
        """All of it."""
        ids: Counter[str] = Counter()
        unseen = 0
        for one in seen:
            self.judge_one(one)
            if one.request_id:
                ids[one.request_id] += 1
            else:
                unseen += 1
        self._check_records(ids, unseen)
        return self.verdict

    def judge_one(self, seen: Seen) -> str:
        """How one request ended."""
        before = len(self.verdict.violations)
        end = self._end_of(seen)
        if seen.request_id and end in {RIGHT, ERROR, BROKE}:
            self._compare(seen, end)
        if len(self.verdict.violations) > before:
            end = VIOLATION
        self.verdict.ends[seen.asked.kind, end] += 1
        return end

    def _end_of(self, seen: Seen) -> str:
        number = seen.asked.number
        if seen.how == "left":
            return LEFT
        if seen.how == "overdue" or seen.seconds > seen.deadline + self._slack + seen.late:
            had = f"had {seen.deadline:.1f} s, and the machine {seen.late:.1f} s"
            return self._breach(number, f"{seen.how} after {seen.seconds:.1f} s, {had}")
        self.verdict.excused += seen.seconds > seen.deadline + self._slack
        match seen.how:
            case "no HTTP":
                return self._breach(number, "the answer is no HTTP")
            case "cut" | "no connection":
                if any(window.meets(seen.started, seen.ended) for window in self._dead):
                    return DEAD
                return self._breach(number, f"{seen.how} while the gateway was alive")
            case _:
                return self._read(seen)

    def _read(self, seen: Seen) -> str:
        number, dialect = seen.asked.number, seen.asked.dialect
        is_streamed = seen.asked.is_stream and seen.status == 200
        try:
            read = reading.read_stream if is_streamed else reading.read_whole
            said = read(dialect, seen.body)
            found = said.found() if said.error is None else said.text
        except Unreadable as problem:
            return self._breach(number, f"{seen.status}: {problem}")
        if seen.status != 200:
            return self._check_error(seen, said)
        provider = seen.headers.get("x-tiergate-provider", "")
        right = script.right_text(self._seed, number, provider)
        if said.after_end:
            return self._breach(number, "something came after the end")
        if said.error is not None:
            if not is_streamed:
                return self._breach(number, "an error under 200")
            if not right.startswith(said.text):
                return self._breach(number, f"what broke off is no part of {provider}'s answer")
            return BROKE
        if not said.has_ended:
            return self._breach(number, "it ends without an end and without an error")
        if not found and "empty" in self._done[number, provider]:
            return RIGHT
        if found != right:
            return self._breach(
                number, f"a wrong answer ends well: {_shown(found)} is not {_shown(right)}"
            )
        return RIGHT

    def _check_error(self, seen: Seen, said: Said) -> str:
        number, status = seen.asked.number, seen.status or 0
        if said.error is None:
            return self._breach(number, f"{status} without an error")
        records = self._records.get(seen.request_id or "", [])
        code = str(records[0].get("error")) if records else "?"
        self.verdict.errors[status, code] += 1
        if status == 400 and f"soak:{number}:" in said.error["message"]:
            return ERROR
        if records and code not in HONEST.get(status, ()):
            return self._breach(number, f"{status} {code}: {said.error['message'][:200]}")
        if not records and status not in HONEST:
            return self._breach(number, f"{status}: {said.error['message'][:200]}")
        return ERROR

    def _compare(self, seen: Seen, end: str) -> None:
        """The record with what the client saw."""
        number = seen.asked.number
        records = self._records.get(seen.request_id or "", [])
        if len(records) != 1:
            # It is written after the last byte: a gateway that is killed then has no time to.
            if records or not any(
                window.meets(seen.ended - 1, seen.ended + 1) for window in self._dead
            ):
                self._breach(number, f"{len(records)} records of it")
            return
        record = records[0]
        outcomes = [attempt["outcome"] for attempt in record["attempts"]]
        if record["status"] != seen.status:
            self._breach(
                number, f"the record says {record['status']}, the client saw {seen.status}"
            )
        if (record.get("error") == BROKEN) is not (end == BROKE):
            self._breach(number, f"{end}, but its record's error is {record.get('error')}")
        if end == RIGHT and not {"answered", "empty"} & set(outcomes):
            self._breach(number, f"a right answer, recorded as {outcomes}")
        self._explain(seen, record["attempts"])

    def _explain(self, seen: Seen, attempts: Sequence[Json]) -> None:
        """Every attempt's outcome must be what its provider did."""
        number = seen.asked.number
        was_away = any(window.meets(seen.started, seen.ended) for window in self._away)
        for attempt in attempts:
            provider, outcome = attempt["target"].partition("/")[0], attempt["outcome"]
            self.verdict.outcomes[outcome] += 1
            done = self._done.get((number, provider), [])
            expected = {each for fault in done for each in script.OUTCOMES[fault]}
            # A connection that the machine was too busy to make.
            is_late = attempt["ms"] >= script.CONNECT_MS
            if provider == script.GONE or was_away or is_late:
                expected |= {"unreachable", "cut"}
            if outcome not in expected | script.TIMELY:
                self._breach(number, f"{provider} did {done}, recorded as {outcome}")

    def _check_records(self, ids: Counter[str], unseen: int) -> None:
        """Each is by the schema, none is there twice, and none is of a request nobody made."""
        validator = Draft202012Validator(json.loads(SCHEMA.read_text()))
        strangers = 0
        for request_id, records in self._records.items():
            self.verdict.records += len(records)
            strangers += request_id not in ids
            for record in records:
                if problem := next(validator.iter_errors(record), None):
                    self._breach(-1, f"a record that is none: {problem.message[:200]}")
            if len(records) > 1:
                self._breach(-1, f"{len(records)} records of {request_id}")
        if strangers > unseen:
            self._breach(-1, f"{strangers} records of requests without a head, of which {unseen}")
        for request_id, count in ids.items():
            if count > 1:
                self._breach(-1, f"{count} answers are called {request_id}")

    def _breach(self, number: int, problem: str) -> str:
        self.verdict.violations.append(f"request {number}: {problem}" if number >= 0 else problem)
        return VIOLATION


def _shown(text: str) -> str:
    return repr(text if len(text) < 120 else f"{text[:60]} ... {text[-50:]}")
