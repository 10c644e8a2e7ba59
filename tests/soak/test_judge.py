"""The soak's judge finds each lie of a gateway, and nothing where there is none."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from soak import reading, script, writing
from soak.clients import Seen, run_clients
from soak.judge import BROKE, DEAD, ERROR, LEFT, RIGHT, VIOLATION, Judge, Window
from soak.report import Memory
from soak.rig import trouble_in
from soak.script import Asked

SEED = 1
ID = "0123456789abcdef0123456789abcdef"
PROVIDER = "chat1"
type Json = dict[str, Any]

HEADERS = {"x-tiergate-request-id": ID, "x-tiergate-provider": PROVIDER}
RECORD: Json = {
    "event": "request",
    "schema": 1,
    "time": "2026-03-01T09:30:00.125+00:00",
    "request_id": ID,
    "endpoint": "chat",
    "status": 200,
    "stream": False,
    "attempts": [{"target": "chat1/m", "outcome": "answered", "ms": 1.0, "status": 200}],
    "total_ms": 2.0,
}


def _number(fits: Callable[[Asked], bool]) -> int:
    return next(number for number in range(1_000) if fits(script.asked(SEED, number)))


def _plain(dialect: str, *, is_stream: bool) -> int:
    """A request of that kind without anything special."""
    return _number(
        lambda asked: (
            (asked.dialect, asked.is_stream) == (dialect, is_stream)
            and not asked.has_tools
            and asked.leaves_after_ms is None
            and asked.timeout_ms is None
        )
    )


WHOLE = _plain(script.CHAT, is_stream=False)
STREAM = _plain(script.CHAT, is_stream=True)
LEAVES = _number(lambda asked: asked.leaves_after_ms is not None and asked.leaves_after_ms < 200)


def _text(number: int) -> str:
    return script.right_text(SEED, number, PROVIDER)


def _stream(number: int) -> writing.Stream:
    chance = script.details(SEED, number, PROVIDER, 0)
    return writing.stream(script.CHAT, _text(number), chance, is_call=False)


def _sized(body: bytes, status: int = 200, headers: Mapping[str, str] = HEADERS) -> bytes:
    rows = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status} X\r\n{rows}content-length: {len(body)}\r\n\r\n".encode() + body


def _chunked(*events: bytes, is_cut: bool = False) -> bytes:
    rows = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(event), event) for event in events)
    head = f"HTTP/1.1 200 OK\r\n{rows}transfer-encoding: chunked\r\n\r\n".encode()
    return head + chunks + (b"" if is_cut else b"0\r\n\r\n")


def _told(number: int, says: bytes | None, total_ms: int = 5_000) -> Seen:
    """What a client sees of a gateway that says this and closes; that is silent, if None."""
    seen: list[Seen] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if says is None:
            await asyncio.sleep(5)
        else:
            writer.write(says)
            await asyncio.sleep(0.05)  # else what the client still sends resets the connection
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            numbers = range(number, number + 1)
            await run_clients(port, SEED, numbers, 1, total_ms, seen.append, more_seconds=2.2)

    asyncio.run(run())
    return seen[0]


def _judged(
    seen: Seen, *records: Json, faults: tuple[str, ...] = ("",), dead: tuple[Window, ...] = ()
) -> tuple[str, list[str]]:
    """How it ended, and what was wrong with it."""
    number = seen.asked.number
    journal = [
        {"n": number, "provider": PROVIDER, "fault": fault, "intact": True} for fault in faults
    ]
    verdict = Judge(SEED, records, journal, dead).judge([seen])
    ((_, end),) = verdict.ends
    return end, verdict.violations


def _error(code: str, status: int, number: int) -> Seen:
    error = {"message": f"soak:{number}: no", "type": "x", "code": code, "param": None}
    return _told(number, _sized(json.dumps({"error": error}).encode(), status))


def _error_event() -> bytes:
    error = {"message": "It broke off", "code": "upstream_stream_broken"}
    return b"data: " + json.dumps({"error": error}).encode() + b"\n\n"


GOOD_WHOLE = writing.whole(script.CHAT, _text(WHOLE), is_call=False)
GOOD = _stream(STREAM)
ALL = [*GOOD.start, *GOOD.content, *GOOD.end]
STREAMED = {**RECORD, "stream": True}
BROKEN = {
    **STREAMED,
    "error": "upstream_stream_broken",
    "attempts": [{**RECORD["attempts"][0], "outcome": "cut"}],
}
FAILED = {**RECORD, "status": 502, "error": "all_targets_failed", "attempts": []}


def test_a_right_whole_answer() -> None:
    """The very answer of the provider that the head names is right."""
    assert _judged(_told(WHOLE, _sized(GOOD_WHOLE)), RECORD) == (RIGHT, [])


def test_a_right_stream() -> None:
    """So is a stream with its end."""
    assert _judged(_told(STREAM, _chunked(*ALL)), STREAMED) == (RIGHT, [])


def test_a_stream_that_says_that_it_broke_off() -> None:
    """Part of the right answer and then an error is honest."""
    seen = _told(STREAM, _chunked(*GOOD.start, *GOOD.content[:1], _error_event()))
    assert _judged(seen, BROKEN, faults=("cut",)) == (BROKE, [])


@pytest.mark.parametrize(
    ("status", "code"),
    [(502, "all_targets_failed"), (504, "deadline_exceeded"), (400, "rejected")],
)
def test_an_honest_error(status: int, code: str) -> None:
    """An error that the gateway documents, or the provider's own refusal, is honest."""
    seen = _error(code, status, WHOLE)
    assert _judged(seen, {**FAILED, "status": status, "error": code}) == (ERROR, [])


def test_a_client_that_leaves() -> None:
    """Whoever leaves has no claim to an answer."""
    assert _judged(_told(LEAVES, None)) == (LEFT, [])


LIES = {
    "a stream without its end": (STREAM, _chunked(*ALL[:-3]), STREAMED, "without an end"),
    "a stream cut within": (
        STREAM,
        _chunked(*GOOD.start, *GOOD.content[:-1], *GOOD.end),
        STREAMED,
        "a wrong answer ends well",
    ),
    "half an event": (STREAM, _chunked(b"".join(ALL)[:-9]), STREAMED, "half an event"),
    "more after the end": (STREAM, _chunked(*ALL, ALL[1]), STREAMED, "after the end"),
    "an error after the end": (STREAM, _chunked(*ALL, _error_event()), STREAMED, "after the end"),
    "an end after an error": (
        STREAM,
        _chunked(*ALL[:2], _error_event(), *GOOD.end),
        BROKEN,
        "after the end",
    ),
    "a cut connection": (STREAM, _chunked(*ALL[:3], is_cut=True), STREAMED, "cut while"),
    "a cut whole answer": (WHOLE, _sized(GOOD_WHOLE)[:-5], RECORD, "cut while"),
    "no answer": (WHOLE, b"", RECORD, "no connection while"),
    "no HTTP": (WHOLE, b"hello\r\n\r\n", RECORD, "no HTTP"),
    "a shortened text": (
        WHOLE,
        _sized(writing.whole(script.CHAT, _text(WHOLE)[:-1], is_call=False)),
        RECORD,
        "a wrong answer ends well",
    ),
    "another's answer": (
        WHOLE,
        _sized(writing.whole(script.CHAT, _text(WHOLE + 1), is_call=False)),
        RECORD,
        "a wrong answer ends well",
    ),
    "an answer that says nothing": (
        WHOLE,
        _sized(writing.whole(script.CHAT, "", is_call=False)),
        RECORD,
        "a wrong answer ends well",
    ),
    "the start of another's answer": (
        STREAM,
        _chunked(*_stream(STREAM + 1).content[:2], _error_event()),
        BROKEN,
        "no part of",
    ),
    "an error under 200": (WHOLE, _sized(b'{"error": {"message": "no"}}'), RECORD, "under 200"),
    "no error under 502": (WHOLE, _sized(GOOD_WHOLE, 502), FAILED, "without an error"),
    "no JSON": (WHOLE, _sized(b"oops"), RECORD, "no JSON"),
    "a record of another status": (
        WHOLE,
        _sized(GOOD_WHOLE),
        {**RECORD, "status": 502},
        "the record says 502",
    ),
    "a record without the error": (
        STREAM,
        _chunked(*ALL[:2], _error_event()),
        STREAMED,
        "its record's error is None",
    ),
    "a record that is none": (
        WHOLE,
        _sized(GOOD_WHOLE),
        {name: value for name, value in RECORD.items() if name != "endpoint"},
        "a record that is none",
    ),
}


@pytest.mark.parametrize("name", LIES)
def test_each_lie_is_found(name: str) -> None:
    """What must not be is a violation, and says what it is."""
    number, says, record, problem = LIES[name]
    _, violations = _judged(_told(number, says), record, faults=("", "cut"))
    assert violations
    assert problem in " ".join(violations)


@pytest.mark.parametrize(
    ("status", "code"), [(500, "internal_error"), (503, "no_policy"), (502, "deadline_exceeded")]
)
def test_an_error_that_nothing_explains(status: int, code: str) -> None:
    """A defect of the gateway's, or a code that the status does not have, is no honest error."""
    end, violations = _judged(
        _error(code, status, WHOLE), {**FAILED, "status": status, "error": code}
    )
    assert end == VIOLATION
    assert code in violations[0]


def test_no_end_within_the_deadline() -> None:
    """A request that goes on for more than two seconds after its deadline is a violation."""
    end, violations = _judged(_told(WHOLE, None, total_ms=200))
    assert end == VIOLATION
    assert "overdue" in violations[0]


@pytest.mark.parametrize(("records", "problem"), [(0, "0 records"), (2, "2 records")])
def test_one_record_a_request(records: int, problem: str) -> None:
    """An answer has exactly one record."""
    _, violations = _judged(_told(WHOLE, _sized(GOOD_WHOLE)), *[RECORD] * records)
    assert problem in violations[0]


def test_a_record_of_nobody() -> None:
    """A record whose request nobody made is found."""
    stranger = {**RECORD, "request_id": "f" * 32}
    _, violations = _judged(_told(WHOLE, _sized(GOOD_WHOLE)), RECORD, stranger)
    assert "1 records of requests without a head" in violations[0]


def test_an_outcome_that_its_provider_did_not_have() -> None:
    """What a record says of an attempt must be what its provider did."""
    attempts = [{**RECORD["attempts"][0], "outcome": "rate_limited"}, *RECORD["attempts"]]
    _, violations = _judged(_told(WHOLE, _sized(GOOD_WHOLE)), {**RECORD, "attempts": attempts})
    assert "recorded as rate_limited" in violations[0]


def test_an_empty_answer_may_be_given_on() -> None:
    """An answer that says nothing is right where its provider said nothing."""
    empty = _sized(writing.whole(script.CHAT, "", is_call=False))
    assert _judged(_told(WHOLE, empty), RECORD, faults=("empty", ""))[0] == RIGHT


def test_a_connection_error_while_the_gateway_is_dead() -> None:
    """Only then is it no violation."""
    seen = _told(WHOLE, b"")
    dead = Window(seen.started - 1, seen.ended + 1)
    assert _judged(seen, dead=(dead,)) == (DEAD, [])
    long_ago = Window(seen.started - 9, seen.started - 8)
    assert _judged(seen, dead=(long_ago,))[0] == VIOLATION


def test_a_defect_in_the_log() -> None:
    """A defect that the gateway logs is a violation, whatever the client got."""
    defect = {"event": "defect", "where": "KeyError in here:1"}
    _, violations = _judged(_told(WHOLE, _sized(GOOD_WHOLE)), RECORD, defect)
    assert violations == ["a defect: KeyError in here:1"]


def test_a_question_that_came_changed() -> None:
    """The provider must be asked what the client said."""
    journal = [{"n": 1, "provider": PROVIDER, "fault": "", "intact": False}]
    assert "not asked what" in Judge(SEED, [], journal).verdict.violations[0]


def test_a_trap_is_seen() -> None:
    """What wasmtime says of a trapped instance is trouble; what it says of a connection is not."""
    said = "error: hyper::Error(IncompleteMessage)\nerror: wasm trap: unreachable\n"
    assert trouble_in(said) == ["error: wasm trap: unreachable"]


@pytest.mark.parametrize(("later", "is_bad"), [(119.0, False), (121.0, True), (None, False)])
def test_memory_that_is_not_given_back(later: float | None, *, is_bad: bool) -> None:
    """More than 1.2 times what it was after the warm-up is a violation."""
    assert (Memory(100.0, 300.0, later).problem() is not None) is is_bad


@pytest.mark.parametrize("dialect", [script.CHAT, script.MESSAGES, script.RESPONSES, script.GEMINI])
@pytest.mark.parametrize("is_call", [False, True])
def test_what_is_written_can_be_read(dialect: str, *, is_call: bool) -> None:
    """The provider's words in each dialect are what the clients understand by it."""
    text = _text(WHOLE)
    said = reading.read_whole(dialect, writing.whole(dialect, text, is_call=is_call))
    assert said.found() == text
    chance = script.details(SEED, 1, PROVIDER, 0)
    made = writing.stream(dialect, text, chance, is_call=is_call)
    said = reading.read_stream(dialect, b"".join([*made.start, *made.content, *made.end]))
    assert (said.found(), said.has_ended, said.after_end) == (text, True, [])
    cut = reading.read_stream(dialect, b"".join([*made.start, *made.content]))
    assert not cut.has_ended
    broken = reading.read_stream(
        dialect, b"".join([*made.start, *made.content, writing.error_event(dialect)])
    )
    assert broken.error is not None


def test_an_error_after_gemini_s_end() -> None:
    """Its streams end with their connection, so that what broke off may look ended: it is not."""
    made = writing.stream(script.GEMINI, "a", script.details(SEED, 1, PROVIDER, 0), is_call=False)
    broken = b"".join([*made.content, *made.end, writing.error_event(script.GEMINI)])
    said = reading.read_stream(script.GEMINI, broken)
    assert said.error is not None
    assert said.after_end == []


def test_lateness_of_the_machine_is_no_delay() -> None:
    """What a thread of the gateway waited for the processor is added to what a request may take."""
    late = 0.0

    def waited() -> dict[str, float]:
        nonlocal late
        late += 1.0
        return {"1": late, "2": 0.0}

    seen: list[Seen] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(2.5)
        writer.write(_sized(GOOD_WHOLE))
        writer.close()

    async def run() -> None:
        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            await run_clients(
                port, SEED, range(WHOLE, WHOLE + 1), 1, 200, seen.append, waited=waited
            )

    asyncio.run(run())
    assert seen[0].late > 2
    assert _judged(seen[0], RECORD) == (RIGHT, [])
    seen[0].late = 0.0
    assert _judged(seen[0], RECORD)[0] == VIOLATION
