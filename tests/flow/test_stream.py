"""Streams: held until the first content, relayed as they come, never ended cleanly by a failure."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.http import Response
from gateway.core.sse import SseDecoder
from gateway.hosts.memory import Canned, Script, run
from gateway.ports import Cut, Silent, Stalled, Unreachable
from tests.core.samples import provider
from tests.flow.world import (
    COUNTS,
    DONE,
    ERROR,
    FINISH,
    ROLE,
    USAGE,
    World,
    answer,
    body,
    check_secrecy,
    chunk,
    drain,
    event,
    refusal,
    slow_world,
    streamed,
    text,
    whole,
    world,
)

STREAM = body(stream=True)
FULL = {"x-tiergate-stream-guard": "full"}
GOOD = (ROLE, text("two "), text("plus two"), FINISH, USAGE, DONE)
SHOWN = b"".join((ROLE, text("two "), text("plus two"), FINISH, DONE))
SECOND = (ROLE, text("second"), FINISH, DONE)
COMMENT = b": keep-alive\n\n"
TOOL = chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]})


def body_of(response: Response) -> bytes:
    """A stream's bytes, read to their end."""
    assert not isinstance(response.body, bytes)
    stream = response.body

    async def read() -> bytes:
        return b"".join([part async for part in stream])

    return run(read())


def test_a_stream() -> None:
    """A stream goes through as it came; the head says who answers, the record what was used."""
    gateway = world(streamed(*GOOD, x_request_id="r1"))
    got = gateway.ask(STREAM)
    assert got.status == 200
    assert got.headers["content-type"] == "text/event-stream"
    assert got.headers["x-tiergate-provider"] == "alpha"
    assert got.headers["x-tiergate-upstream-x-request-id"] == "r1"
    assert "x-tiergate-cost-usd" not in got.headers
    assert got.body == SHOWN
    assert gateway.sent()["stream"] is True
    [record] = gateway.records
    assert (record["status"], record["stream"]) == (200, True)
    assert record["usage"] == {"input": 1_000, "output": 500}
    assert record["cost_usd"] == pytest.approx(0.006)
    assert record["attempts"][0]["outcome"] == "answered"
    assert "error" not in record
    assert gateway.http.opened[0].is_closed


def test_each_chunk_as_it_comes() -> None:
    """After the first content nothing is held: each chunk is passed on before the next is read."""
    gateway = world(streamed(ROLE, text("a"), text("b"), text("c"), FINISH, DONE))
    got = gateway.ask(STREAM)
    assert got.chunks == [ROLE + text("a"), text("b"), text("c"), FINISH, DONE]


@given(st.lists(st.integers(0, len(b"".join(GOOD))), max_size=12))
def test_cut_anywhere(cuts: list[int]) -> None:
    """However the provider's bytes are cut, the client gets the same."""
    whole_stream = b"".join(GOOD)
    places = sorted({0, len(whole_stream), *cuts})
    pieces = [whole_stream[a:b] for a, b in pairwise(places)]
    assert world(streamed(*pieces)).ask(STREAM).body == SHOWN


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_line_endings(ending: bytes) -> None:
    """Any line ending the standard allows is relayed as it came, and recognised."""
    stream = SHOWN.replace(b"\n", ending)
    gateway = world(streamed(stream[:40], stream[40:]))
    got = gateway.ask(STREAM)
    assert got.body.rstrip(b"\r\n") == stream.rstrip(b"\r\n")
    assert gateway.record["attempts"][0]["outcome"] == "answered"


# --- before the first content ------------------------------------------------

BEFORE: list[tuple[Script, str]] = [
    (Unreachable(), "unreachable"),
    (Silent(), "silent"),
    (refusal(429), "rate_limited"),
    (refusal(503), "overloaded"),
    (refusal(401), "unauthorized"),
    (streamed(), "cut"),
    (streamed(failure=Cut()), "cut"),
    (streamed(failure=Stalled()), "silent"),
    (streamed(ROLE), "cut"),
    (streamed(ROLE, failure=Cut()), "cut"),
    (streamed(COMMENT, ROLE, failure=Stalled()), "silent"),
    (streamed(ROLE, ERROR), "error_in_stream"),
    (streamed(ERROR, DONE), "error_in_stream"),
    (streamed(ROLE + text("a") + ERROR), "error_in_stream"),
    (streamed(DONE), "cut"),
    (streamed(ROLE, DONE), "cut"),
    (streamed(b"data: nonsense\n\n"), "malformed"),
    (streamed(event({"object": "other"})), "malformed"),
    (streamed(b"<html>busy</html>"), "cut"),
    (Canned(200, {"content-type": "application/json"}, [answer()]), "cut"),
    (streamed(b"data: " + text("x" * 30)[6:-2]), "cut"),
    (streamed(*[b"x" * 1_000_000] * 9), "too_large"),
    (streamed(*[b": " + b"x" * 4_000_000 + b"\n\n"] * 9), "too_large"),
]


@pytest.mark.parametrize(("script", "outcome"), BEFORE)
@pytest.mark.parametrize("headers", [{}, FULL])
def test_failover_before_content(script: Script, outcome: str, headers: dict[str, str]) -> None:
    """Until the first content the client has seen nothing: the next target serves it whole."""
    gateway = world(script, streamed(*SECOND))
    got = gateway.ask(STREAM, headers)
    assert got.status == 200
    assert got.body == b"".join(SECOND)
    assert got.headers["x-tiergate-provider"] == "beta"
    assert got.headers["x-tiergate-fallback"] == f"alpha/medium;{outcome}"
    assert [item["outcome"] for item in gateway.record["attempts"]] == [outcome, "answered"]
    assert all(upstream.is_closed for upstream in gateway.http.opened)
    assert len(gateway.records) == 1


@pytest.mark.parametrize(("script", "outcome"), BEFORE)
def test_all_fail_before_content(script: Script, outcome: str) -> None:
    """When no stream ever had content the client gets an error with its status, not a stream."""
    gateway = world(script, script)
    got = gateway.ask(STREAM)
    assert got.status in {429, 502, 503, 504}
    assert outcome in got.error["message"]
    assert got.headers["content-type"] == "application/json"
    assert len(gateway.records) == 1


def test_a_refused_stream() -> None:
    """A refusal of a streamed request is an error with its status, and no other target is asked."""
    gateway = world(refusal(422), streamed(*SECOND))
    got = gateway.ask(STREAM)
    assert (got.status, got.error["code"]) == (422, "their_code")
    assert gateway.asked == ["alpha.test"]


@pytest.mark.parametrize("first", [text("a"), TOOL, chunk({"refusal": "No."})])
def test_any_content_ends_the_hold(first: bytes) -> None:
    """Text, a tool call and a refusal are content: from then on it is relayed."""
    got = world(streamed(COMMENT, ROLE, first, FINISH, DONE)).ask(STREAM)
    assert got.chunks == [COMMENT + ROLE + first, FINISH, DONE]


def test_an_empty_answer() -> None:
    """A stream that ends well and says nothing is no answer while another target has one."""
    empty = streamed(ROLE, FINISH, USAGE, DONE)
    gateway = world(empty, streamed(*SECOND))
    assert gateway.ask(STREAM).body == b"".join(SECOND)
    assert gateway.record["attempts"][0]["outcome"] == "empty"
    assert "usage" not in gateway.record


def test_an_empty_answer_is_better_than_none() -> None:
    """Where nobody says more it is the answer, with the headers and the usage of who gave it."""
    gateway = world(streamed(ROLE, FINISH, USAGE, DONE), refusal(503))
    got = gateway.ask(STREAM)
    assert got.body == ROLE + FINISH + DONE
    assert got.headers["content-type"] == "text/event-stream"
    assert got.headers["x-tiergate-provider"] == "alpha"
    assert gateway.record["usage"] == {"input": 1_000, "output": 500}
    assert "first_content_ms" not in gateway.record
    assert all(upstream.is_closed for upstream in gateway.http.opened)


# --- after the first content -------------------------------------------------

AFTER: list[tuple[Canned, str, bytes]] = [
    (streamed(ROLE, text("a"), text("b"), failure=Cut()), "cut", b""),
    (streamed(ROLE, text("a"), text("b"), failure=Stalled()), "stalled", b""),
    (streamed(ROLE, text("a"), text("b")), "cut", b""),
    (streamed(ROLE, text("a"), text("b"), text("c")[:-5]), "cut", b""),
    (streamed(ROLE, text("a"), text("b"), DONE), "cut", b""),
    (streamed(ROLE, text("a"), text("b"), ERROR, DONE), "error_in_stream", b""),
    (streamed(ROLE, text("a"), text("b"), b"data: {oops\n\n", DONE), "malformed", b""),
    (streamed(ROLE, text("a"), text("b") + b"data: 1\n\n" + DONE), "malformed", b""),
    (streamed(ROLE, text("a"), text("b"), event([])), "malformed", b""),
    (streamed(ROLE, text("a"), text("b"), *[b"y" * 1_000_000] * 9), "too_large", b""),
    (streamed(ROLE, text("a"), text("b"), FINISH, failure=Cut()), "cut", FINISH),
    (streamed(ROLE, text("a"), text("b"), FINISH, ERROR), "error_in_stream", FINISH),
]


@pytest.mark.parametrize(("script", "outcome", "more"), AFTER)
def test_a_failure_after_content(script: Canned, outcome: str, more: bytes) -> None:
    """What was sent stays, one error event follows, and there is no clean end: no `[DONE]`."""
    gateway = world(script, streamed(*SECOND))
    got = gateway.ask(STREAM)
    kept = ROLE + text("a") + text("b") + more
    assert got.body.startswith(kept)
    [last] = got.body.removeprefix(kept).removesuffix(b"\n\n").split(b"\n\n")
    error = json.loads(last.removeprefix(b"data: "))["error"]
    assert error["code"] == "upstream_stream_broken"
    assert outcome in error["message"]
    assert DONE not in got.body
    assert got.body.count(b'"error"') == 1
    assert gateway.asked == ["alpha.test"]
    [record] = gateway.records
    assert record["attempts"][-1]["outcome"] == outcome
    assert record["error"] == "upstream_stream_broken"
    assert record["status"] == 200
    assert gateway.http.opened[0].is_closed


@pytest.mark.parametrize(("script", "outcome", "more"), AFTER)
def test_the_full_guard_fails_over_after_content(script: Canned, outcome: str, more: bytes) -> None:
    """With the full guard nothing is sent before the verified end, so the next target can serve."""
    gateway = world(script, streamed(*SECOND))
    got = gateway.ask(STREAM, FULL)
    assert more in {b"", FINISH}
    assert got.body == b"".join(SECOND)
    assert got.headers["x-tiergate-fallback"] == f"alpha/medium;{outcome}"
    assert "error" not in gateway.record


def test_the_full_guard_holds_all() -> None:
    """With the full guard the whole stream comes at once."""
    got = world(streamed(*GOOD)).ask(STREAM, FULL)
    assert got.chunks == [SHOWN]
    ignored = world(streamed(*GOOD), permissions__stream_guard="ignore").ask(STREAM, FULL)
    assert len(ignored.chunks) > 1


@pytest.mark.parametrize("headers", [{}, FULL])
def test_a_last_word_that_is_waited_for(headers: dict[str, str]) -> None:
    """A provider that has finished and then neither speaks nor ends has said all of it."""
    gateway = world(streamed(ROLE, text("a"), FINISH, failure=Stalled()))
    got = gateway.ask(STREAM, headers)
    assert got.body == ROLE + text("a") + FINISH + DONE
    assert gateway.record["attempts"][0]["outcome"] == "answered"


@pytest.mark.parametrize("headers", [{}, FULL])
@pytest.mark.parametrize(
    "ending",
    [(), (b"data: [DONE]",), (b"data: [DONE]\n",), (b"\n",), (b": bye",)],
)
def test_only_the_last_word_is_missing(ending: tuple[bytes, ...], headers: dict[str, str]) -> None:
    """A stream that finished and whose provider sends no `[DONE]` is complete: it gets one."""
    gateway = world(streamed(ROLE, text("a"), FINISH, *ending))
    got = gateway.ask(STREAM, headers)
    assert got.events[-1] == b"[DONE]"
    assert got.body.count(b"[DONE]") == 1
    assert got.body.startswith(ROLE + text("a") + FINISH)
    assert gateway.record["attempts"][0]["outcome"] == "answered"
    assert "error" not in gateway.record


@pytest.mark.parametrize("half", [b"data: [DO", b'data: {"choices": [], "usage": {"prompt'])
def test_half_an_event_at_the_end(half: bytes) -> None:
    """A stream that ends within an event is cut, also after a finish reason: usage may be lost."""
    gateway = world(streamed(ROLE, text("a"), FINISH, half))
    got = gateway.ask(STREAM)
    assert b"upstream_stream_broken" in got.events[-1]
    assert b"[DONE]" not in got.body
    assert gateway.record["attempts"][0]["outcome"] == "cut"


def test_an_answer_of_two_that_never_came() -> None:
    """Of `n` answers all must have finished before a missing `[DONE]` is taken for granted."""
    got = world(streamed(ROLE, text("a"), FINISH)).ask(body(stream=True, n=2))
    assert b"upstream_stream_broken" in got.events[-1]
    assert b"[DONE]" not in got.body


def test_a_last_event_ended_by_cr_alone() -> None:
    """The added `[DONE]` never runs into an event whose blank line was missing."""
    stream = (ROLE + text("a") + FINISH).replace(b"\n", b"\r")[:-1]
    got = world(streamed(stream)).ask(STREAM)
    assert got.body.endswith(DONE)
    lines = got.body.removesuffix(DONE).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    assert lines.endswith(b"\n\n")


def test_nothing_after_the_end() -> None:
    """What a provider sends after `[DONE]` is not passed on."""
    got = world(streamed(ROLE, text("a"), FINISH, DONE + text("more"), ERROR)).ask(STREAM)
    assert got.body == ROLE + text("a") + FINISH + DONE


# --- usage -------------------------------------------------------------------


def test_usage_is_asked_for_and_hidden() -> None:
    """Usage is asked of the provider, and its extra chunk is not shown to who did not ask."""
    gateway = world(streamed(*GOOD))
    assert USAGE not in gateway.ask(STREAM).body
    assert gateway.sent()["stream_options"] == {"include_usage": True}
    assert gateway.record["usage"] == {"input": 1_000, "output": 500}


def test_a_clients_own_options_are_kept() -> None:
    """Other options of the stream go on as they are."""
    gateway = world(streamed(*GOOD))
    options = {"include_usage": False, "include_obfuscation": False}
    assert USAGE not in gateway.ask(body(stream=True, stream_options=options)).body
    assert gateway.sent()["stream_options"] == {**options, "include_usage": True}


def test_a_client_that_asks_for_usage_gets_it() -> None:
    """The usage chunk of a client that asked for it is passed on, its request as it wrote it."""
    gateway = world(streamed(*GOOD))
    data = body(stream=True, stream_options={"include_usage": True})
    assert gateway.ask(data).body == b"".join(GOOD)
    assert gateway.sent()["stream_options"] == {"include_usage": True}
    assert gateway.record["usage"] == {"input": 1_000, "output": 500}


def test_a_provider_that_is_not_asked_for_usage() -> None:
    """Where the provider's row says no, nothing is added, and what it sends is shown."""
    row = provider("alpha", sends_usage_on_request=False)
    gateway = world(streamed(*GOOD), providers__alpha=row)
    assert gateway.ask(STREAM).body == b"".join(GOOD)
    assert "stream_options" not in gateway.sent()
    assert gateway.record["usage"] == {"input": 1_000, "output": 500}


def test_usage_within_a_chunk_is_shown() -> None:
    """Only a chunk that carries nothing but usage is hidden."""
    last = chunk({}, "stop", usage=COUNTS)
    gateway = world(streamed(ROLE, text("a"), last, DONE))
    assert gateway.ask(STREAM).body == ROLE + text("a") + last + DONE
    assert gateway.record["usage"] == {"input": 1_000, "output": 500}


def test_a_stream_without_usage() -> None:
    """No usage is no usage: neither it nor a cost is in the record."""
    gateway = world(streamed(*SECOND))
    gateway.ask(STREAM)
    assert "usage" not in gateway.record
    assert "cost_usd" not in gateway.record


@pytest.mark.parametrize("second", [streamed(*SECOND), Unreachable(), refusal(422)])
def test_usage_of_a_failed_attempt_is_not_the_answers(second: Script) -> None:
    """Tokens that a failed attempt counted are not those of the answer that came instead."""
    gateway = world(streamed(ROLE, text("a"), FINISH, USAGE, failure=Cut()), second)
    gateway.ask(STREAM, FULL)
    assert "usage" not in gateway.record
    assert "cost_usd" not in gateway.record


@pytest.mark.parametrize("count", [10**18, 10**400], ids=["18", "400"])
def test_absurd_usage(count: int) -> None:
    """A count that no number can hold does not break the stream, nor its record."""
    usage = event({"choices": [], "usage": {**COUNTS, "prompt_tokens": count}})
    gateway = world(streamed(ROLE, text("a"), FINISH, usage, DONE))
    got = gateway.ask(STREAM)
    assert got.body.startswith(ROLE + text("a") + FINISH)
    assert len(gateway.records) == 1


# --- time --------------------------------------------------------------------


def test_times_in_the_record() -> None:
    """The record knows when the first content came, and when the last byte."""
    gateway = slow_world(1.0, streamed(*GOOD))
    got = gateway.ask(STREAM)
    assert "total;dur=2000.00" in got.headers["server-timing"]
    assert gateway.record["first_content_ms"] == 2_000
    assert gateway.record["total_ms"] == 6_000


def test_times_under_the_full_guard() -> None:
    """With the full guard no content can be sent before the last has come."""
    gateway = slow_world(1.0, streamed(*GOOD))
    gateway.ask(STREAM, FULL)
    assert gateway.record["first_content_ms"] == 6_000
    assert gateway.record["total_ms"] == 6_000


def test_the_time_is_up_before_content() -> None:
    """A stream without content when the time is up is a 504, and nobody else is asked."""
    gateway = slow_world(1.0, streamed(*[COMMENT] * 9), streamed(*SECOND))
    got = gateway.ask(STREAM, {"x-tiergate-timeout-ms": "2500"})
    assert (got.status, got.error["code"]) == (504, "deadline_exceeded")
    assert gateway.record["attempts"][0]["outcome"] == "deadline"
    assert gateway.asked == ["alpha.test"]


def test_the_time_is_up_after_content() -> None:
    """A stream that goes past the total is broken off as any other failure: one error, no end."""
    gateway = slow_world(1.0, streamed(ROLE, text("a"), text("b"), text("c"), FINISH, DONE))
    got = gateway.ask(STREAM, {"x-tiergate-timeout-ms": "2500"})
    assert got.body.startswith(ROLE + text("a") + b'data: {"error"')
    assert DONE not in got.body
    assert gateway.record["attempts"][0]["outcome"] == "deadline"
    assert gateway.record["total_ms"] == 2_500, "it is not waited for longer than that"


@pytest.mark.parametrize("guard", ["content", "full"])
def test_pings_after_content(guard: str) -> None:
    """A stream that has begun and sends nothing but pings for longer than a whole answer may take
    has stalled."""
    pings = [b": ping\n\n"] * 100
    slow = streamed(ROLE, text("a"), *pings)
    gateway = slow_world(1.0, slow, streamed(*SECOND), timeouts__whole_ms=60_000)
    got = gateway.ask(STREAM, {"x-tiergate-stream-guard": guard})
    assert gateway.record["attempts"][0]["outcome"] == "stalled"
    assert gateway.record["attempts"][0]["ms"] == 62_000.0
    assert (b"upstream_stream_broken" in got.body) == (guard == "content")


def test_pings_between_contents() -> None:
    """A stream that says something in time may ping as long as it likes."""
    more = [event for n in range(5) for event in (b": ping\n\n", b": ping\n\n", text(str(n)))]
    slow = streamed(ROLE, text("a"), *more, FINISH, DONE)
    gateway = slow_world(20.0, slow, timeouts__whole_ms=61_000)
    assert gateway.ask(STREAM).events[-1] == b"[DONE]"
    assert gateway.record["total_ms"] > 300_000


def test_a_failed_attempt_and_then_a_stream() -> None:
    """The milliseconds of an attempt are its own, not those of the ones before it."""
    gateway = world()
    gateway.http.upstreams += [
        gateway.after(5.0, Unreachable()),
        gateway.after(1.0, streamed(ROLE, text("a"), failure=Cut())),
    ]
    gateway.ask(STREAM)
    assert [attempt["ms"] for attempt in gateway.record["attempts"]] == [5_000, 1_000]


# --- a client that is gone ---------------------------------------------------


def leave(gateway: World, after: int, headers: dict[str, str] | None = None) -> list[bytes]:
    """A client that leaves after so many chunks, as a host says it: the stream is closed."""

    async def go() -> list[bytes]:
        response = await gateway.begin(STREAM, headers)
        assert not isinstance(response.body, bytes)
        chunks = await drain(response.body, after)
        await response.body.aclose()
        return chunks

    return run(go())


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_client_that_leaves(after: int) -> None:
    """When the client is gone the upstream is closed, nothing more is read, and it is recorded."""
    gateway = world(streamed(ROLE, text("a"), text("b"), text("c"), FINISH, DONE))
    chunks = leave(gateway, after)
    assert len(chunks) == after
    assert gateway.http.opened[0].is_closed
    [record] = gateway.records
    assert record["attempts"][-1]["outcome"] == "client_gone"
    assert record["status"] == 200
    check_secrecy(None, gateway)


def test_a_client_that_leaves_at_once() -> None:
    """A client that is gone before the first byte is noticed too: closed and recorded."""
    gateway = world(streamed(ROLE, text("a"), FINISH, DONE))
    assert leave(gateway, 0) == []
    assert gateway.http.opened[0].is_closed
    assert [record["attempts"][-1]["outcome"] for record in gateway.records] == ["client_gone"]


def test_a_client_that_leaves_during_the_error() -> None:
    """A client that goes when the error event comes is recorded once."""
    gateway = world(streamed(ROLE, text("a"), failure=Cut()))
    chunks = leave(gateway, 2)
    assert b'"error"' in chunks[-1]
    assert len(gateway.records) == 1
    assert gateway.record["attempts"][-1]["outcome"] == "cut"
    assert gateway.http.opened[0].is_closed


def test_a_client_that_read_everything() -> None:
    """Closing a stream that has ended changes nothing."""
    gateway = world(streamed(*GOOD))
    response = run(gateway.begin(STREAM))
    assert body_of(response) == SHOWN
    assert not isinstance(response.body, bytes)
    run(response.body.aclose())
    assert gateway.record["attempts"][-1]["outcome"] == "answered"
    assert len(gateway.records) == 1


# --- any bytes ---------------------------------------------------------------

PIECES = st.sampled_from(
    [
        ROLE,
        text("a"),
        FINISH,
        USAGE,
        DONE,
        ERROR,
        COMMENT,
        b"\n",
        b"data: ",
        b"\xff",
        b"data: {}\n\n",
    ]
) | st.binary(max_size=20)


@given(
    st.lists(PIECES.filter(bool), max_size=8),
    st.sampled_from([None, Cut(), Stalled()]),
    st.sampled_from([{}, FULL]),
)
def test_a_clean_end_is_a_verified_one(
    pieces: list[bytes], failure: Cut | Stalled | None, headers: dict[str, str]
) -> None:
    """Whatever a provider sends: either a finish reason and one `[DONE]`, or one error."""
    gateway = world(streamed(*pieces, failure=failure))
    got = gateway.ask(body(stream=True, model="alpha/medium"), headers)
    assert len(gateway.records) == 1
    if got.status != 200:
        assert got.status in {502, 504}
        return
    is_clean = got.body.rstrip(b"\r\n").endswith(b"[DONE]")
    # Of what a client reads: in a line that is no event's data it would see none either.
    assert is_clean is not any(b'"error"' in event.data for event in SseDecoder().feed(got.body))
    if is_clean:
        assert b'"finish_reason": "stop"' in got.body
        assert gateway.record["attempts"][-1]["outcome"] in {"answered", "empty"}
    else:
        assert got.body.endswith(b"}}\n\n")
        assert gateway.record["error"] == "upstream_stream_broken"


def test_a_whole_answer_is_no_stream() -> None:
    """A client that asked for no stream gets none, and no stream options are sent for it."""
    gateway = world(whole())
    got = gateway.ask(body(stream=False))
    assert got.headers["content-type"] == "application/json"
    assert "stream_options" not in gateway.sent()
