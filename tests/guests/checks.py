"""The contract of `gateway/ports.py`, as checks that run inside whatever host is under test.

A check gets the host's ports, the store to be looked at (a host may have its own bare one behind a
cache) and the authority of a provider that does what the path asks for (`tests/ports/provider.py`).
Standard library only: this file is built into the guests.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gateway.core.http import Outgoing
from gateway.ports import (
    AttemptTimeouts,
    Cut,
    Entry,
    KvStore,
    Ports,
    Silent,
    Stalled,
    TransportError,
    Unchanged,
    Unreachable,
    Upstream,
)


@dataclass(frozen=True, slots=True)
class On:
    """What a check gets."""

    ports: Ports
    kv: KvStore
    authority: str


type Check = Callable[[On], Awaitable[None]]

CHECKS: dict[str, Check] = {}
LINE = '{"event": "check", "text": "größe 漢字 \U0001f600"}'
PATIENT = AttemptTimeouts(5000, 5000, 5000)
BRIEF_MS = 300  # of a deadline that is to pass
SLACK_S = 3.0  # of a busy machine
ASKED_MS = 1100
IN_TIME_S = 1.7  # with a tenth, and a machine's slack
BIG = bytes(range(256)) * 4096


def check(made: Check) -> Check:
    CHECKS[made.__name__] = made
    return made


async def run_check(name: str, on: On) -> str:
    """Runs one: "ok", or what is wrong."""
    try:
        await CHECKS[name](on)
    except Exception as error:  # noqa: BLE001 - it would end the guest
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        return f"line {trace.tb_lineno if trace else '?'}: {type(error).__name__}: {error}"
    return "ok"


def to(authority: str, path: str, body: bytes = b"{}", **headers: str) -> Outgoing:
    pairs = [("content-type", "application/json"), *headers.items()]
    return Outgoing("http", authority, f"/{path}", pairs, body)


async def whole(upstream: Upstream) -> bytes:
    parts = []
    while chunk := await upstream.read():
        parts.append(chunk)
    await upstream.close()
    return b"".join(parts)


async def failing(on: On, doing: Awaitable[object], within_s: float = SLACK_S) -> type:
    """The named failure that it ends in, in time."""
    started = on.ports.clock.monotonic()
    try:
        await doing
    except TransportError as failure:
        took = on.ports.clock.monotonic() - started
        assert took < within_s, f"it took {took:.1f} s"
        return type(failure)
    raise AssertionError("it did not fail")


# --- The store ---------------------------------------------------------------


@check
async def a_key_that_is_not_there_is_none(on: On) -> None:
    assert await on.kv.get("check/absent") is None
    await on.kv.delete("check/absent")
    assert await on.kv.get("check/absent", "some stamp") is None


@check
async def a_value_is_read_as_it_was_written(on: On) -> None:
    for value in (b"one", b"", b"\x00\xff\r\n", BIG, b"two"):
        await on.kv.put("check/value", value)
        found = await on.kv.get("check/value")
        assert isinstance(found, Entry), type(found)
        assert found.value == value, len(found.value)
    await on.kv.delete("check/value")
    assert await on.kv.get("check/value") is None


@check
async def a_stamp_tells_a_value_from_the_next(on: On) -> None:
    await on.kv.put("check/stamp", b"one")
    first = await on.kv.get("check/stamp")
    assert isinstance(first, Entry)
    again = await on.kv.get("check/stamp", first.stamp)
    assert isinstance(again, Unchanged), type(again)
    await on.kv.put("check/stamp", b"two")
    second = await on.kv.get("check/stamp", first.stamp)
    assert isinstance(second, Entry), type(second)
    assert second.value == b"two"
    assert second.stamp != first.stamp
    await on.kv.delete("check/stamp")
    assert await on.kv.get("check/stamp", second.stamp) is None


@check
async def keys_do_not_touch_each_other(on: On) -> None:
    keys = ("check/a", "check/a.b", "check/b/c", "check/b/000001")
    for key in keys:
        await on.kv.put(key, key.encode())
    await on.kv.delete(keys[0])
    for key in keys[1:]:
        found = await on.kv.get(key)
        assert isinstance(found, Entry), key
        assert found.value == key.encode()
        await on.kv.delete(key)
    assert await on.kv.get(keys[0]) is None


# --- The small ports ---------------------------------------------------------


@check
async def time_goes_forward(on: On) -> None:
    assert on.ports.clock.now() > 1_600_000_000
    before = on.ports.clock.monotonic()
    sum(range(10_000))
    assert on.ports.clock.monotonic() >= before
    used = on.ports.clock.vcpu_ms()
    again = on.ports.clock.vcpu_ms()
    assert used is None or (again is not None and again >= used >= 0)


@check
async def chance_is_not_the_same_twice(on: On) -> None:
    draws = [on.ports.chance.draw() for _ in range(50)]
    assert all(0 <= draw < 1 for draw in draws)
    assert len(set(draws)) > 1
    tokens = {on.ports.chance.token() for _ in range(50)}
    assert len(tokens) == 50
    assert all(len(token) == 32 and int(token, 16) >= 0 for token in tokens)


@check
async def a_secret_is_found_by_its_name(on: On) -> None:
    assert on.ports.secrets.get("CHECK_PLAIN") == "plain"
    assert on.ports.secrets.get("CHECK_PADDED") == "padded"
    assert on.ports.secrets.get("CHECK_LINES") is None, "it cannot stand in a header"
    assert on.ports.secrets.get("CHECK_BLANK") is None
    assert on.ports.secrets.get("CHECK_ABSENT") is None
    assert on.ports.has_secret("CHECK_PLAIN")


@check
async def a_line_is_logged(on: On) -> None:
    on.ports.log.write('{"event": "half a character: \ud800"}')
    on.ports.log.write(LINE)


# --- Requests to providers ---------------------------------------------------


@check
async def a_request_arrives_as_it_was_made(on: On) -> None:
    body = b'{"text": "gr\xc3\xb6\xc3\x9fe \xff"}'
    upstream = await on.ports.http.open(
        to(on.authority, "echo", body, authorization="Bearer key"), PATIENT
    )
    head, _, arrived = (await whole(upstream)).partition(b"\n\n")
    lines = head.decode("latin-1").split("\n")
    assert lines[0] == "POST /echo", lines[0]
    assert "authorization: Bearer key" in lines
    assert "content-type: application/json" in lines
    assert f"content-length: {len(body)}" in lines, lines
    assert f"host: {on.authority}" in lines, lines
    assert arrived == body


@check
async def a_whole_answer(on: On) -> None:
    for path in ("whole", "chunked", "closed-at-its-end"):
        upstream = await on.ports.http.open(to(on.authority, path), PATIENT)
        assert upstream.status == 200
        assert upstream.headers.get("x-one") == "1"
        twice = [value for name, value in upstream.headers.pairs if name == "x-twice"]
        assert ", ".join(twice) == "a, b", twice
        assert await whole(upstream) == b"whole answer", path


@check
async def an_answer_without_a_body(on: On) -> None:
    upstream = await on.ports.http.open(to(on.authority, "empty"), PATIENT)
    assert upstream.status == 200
    assert await whole(upstream) == b""


@check
async def a_large_answer_and_a_large_request(on: On) -> None:
    upstream = await on.ports.http.open(to(on.authority, "echo-body", BIG), PATIENT)
    assert await whole(upstream) == BIG


@check
async def a_refusal_is_an_answer(on: On) -> None:
    for status in (302, 400, 404, 429, 503):
        upstream = await on.ports.http.open(to(on.authority, f"status/{status}"), PATIENT)
        assert upstream.status == status, upstream.status
        assert await whole(upstream) == b"refused"


@check
async def no_connection_is_unreachable(on: On) -> None:
    for path in ("reset", "closed", "garbage"):
        found = await failing(on, on.ports.http.open(to(on.authority, path), PATIENT), 6)
        assert found is Unreachable, (path, found)


@check
async def a_refused_connection_is_unreachable(on: On) -> None:
    found = await failing(on, on.ports.http.open(to("127.0.0.1:9", "x"), PATIENT), 6)
    assert found is Unreachable, found


@check
async def no_head_in_time_is_silent(on: On) -> None:
    timeouts = AttemptTimeouts(BRIEF_MS, BRIEF_MS, 5000)
    found = await failing(on, on.ports.http.open(to(on.authority, "silent"), timeouts))
    assert found is Silent, found


@check
async def a_body_that_stops_is_stalled(on: On) -> None:
    upstream = await on.ports.http.open(
        to(on.authority, "stalled"), AttemptTimeouts(5000, 5000, BRIEF_MS)
    )
    assert await upstream.read() == b"begun"
    assert await failing(on, upstream.read()) is Stalled
    await upstream.close()


@check
async def deadlines_are_kept(on: On) -> None:
    """To a tenth; the memory host has no time that could pass."""
    for connect_ms, first_byte_ms in ((5000, ASKED_MS), (ASKED_MS, ASKED_MS)):
        timeouts = AttemptTimeouts(connect_ms, first_byte_ms, 5000)
        opening = on.ports.http.open(to(on.authority, "silent"), timeouts)
        assert await failing(on, opening, IN_TIME_S) is Silent
    upstream = await on.ports.http.open(
        to(on.authority, "stalled"), AttemptTimeouts(5000, 5000, ASKED_MS)
    )
    assert await upstream.read() == b"begun"
    assert await failing(on, upstream.read(), IN_TIME_S) is Stalled
    await upstream.close()


@check
async def a_body_that_is_cut_has_no_end(on: On) -> None:
    for path in ("cut", "cut-chunked", "cut-reset"):
        upstream = await on.ports.http.open(to(on.authority, path), PATIENT)
        found = await failing(on, whole(upstream), 6)
        assert found is Cut, (path, found)
        await upstream.close()


@check
async def bytes_come_as_they_are_sent(on: On) -> None:
    upstream = await on.ports.http.open(to(on.authority, "slowly"), PATIENT)
    read = []
    while chunk := await upstream.read():
        read.append(chunk)
    assert read == [b"one ", b"two ", b"three"], read
    await upstream.close()


@check
async def a_fetch_brings_status_and_body(on: On) -> None:
    assert await on.ports.http.fetch(to(on.authority, "whole"), 5000, 100) == (200, b"whole answer")
    assert await on.ports.http.fetch(to(on.authority, "status/503"), 5000, 100) == (503, b"refused")


@check
async def a_fetch_has_a_hard_deadline(on: On) -> None:
    for path in ("silent", "stalled", "dripping"):
        found = await failing(on, on.ports.http.fetch(to(on.authority, path), BRIEF_MS, 1000))
        assert found is Silent, (path, found)


@check
async def a_fetch_is_bounded(on: On) -> None:
    assert await failing(on, on.ports.http.fetch(to(on.authority, "whole"), 5000, 5)) is Cut
    assert await failing(on, on.ports.http.fetch(to("127.0.0.1:9", "x"), 5000, 9), 6) is Unreachable


@check
async def a_fetch_that_is_cut_fails(on: On) -> None:
    for path in ("cut", "cut-chunked"):
        assert (
            await failing(on, on.ports.http.fetch(to(on.authority, path), 5000, 1000), 6) is Cut
        ), path
