"""Anthropic Messages, streams: a provider's read, a client's written."""

import json
from typing import Any

import pytest

from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Failed,
    Finished,
    Logprobs,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.chat import Usage
from gateway.core.conversation import Citation, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.anthropic_messages import DIALECT
from gateway.core.dialects.anthropic_messages.arguments import Fragments
from gateway.core.dialects.anthropic_messages.stream_out import MessagesWriter
from gateway.core.sse import SseDecoder, SseEvent

NAME = DIALECT.name
PAGE = {
    "type": "web_search_result_location",
    "cited_text": "q",
    "url": "https://x.test",
    "title": "X",
    "encrypted_index": "tiergate.unsigned.",
}

type Value = dict[str, Any]


def event(value: object) -> SseEvent:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return SseEvent(data, b"data: " + data + b"\n\n")


def read(*values: object) -> list[ChatEvent]:
    reader = DIALECT.reader()
    events = [found for value in values for found in reader.read(event(value))]
    return events + reader.end()


def start(**members: object) -> Value:
    message = {"id": "msg_1", "type": "message", "model": "claude-x", "content": [], **members}
    return {"type": "message_start", "message": message}


def opened(index: int, type: str, **members: object) -> Value:
    content = {"type": type, **members}
    return {"type": "content_block_start", "index": index, "content_block": content}


def delta(index: int, type: str, **members: object) -> Value:
    return {"type": "content_block_delta", "index": index, "delta": {"type": type, **members}}


def stopped(index: int) -> Value:
    return {"type": "content_block_stop", "index": index}


def ended(reason: str | None = "end_turn", usage: object = None, **members: object) -> Value:
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None, **members},
        "usage": usage,
    }


STOP = {"type": "message_stop"}
STARTED = Started("msg_1", "claude-x")


# --- Read ----------------------------------------------------------------------


def test_a_stream() -> None:
    """Every event of an answer is said; counts replace earlier ones, those not said stay."""
    events = read(
        start(usage={"input_tokens": 9, "cache_read_input_tokens": 3, "output_tokens": 1}),
        {"type": "ping"},
        opened(0, "thinking", thinking="", signature=""),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="sig"),
        stopped(0),
        opened(1, "redacted_thinking", data="x"),
        stopped(1),
        opened(2, "text", text=""),
        delta(2, "text_delta", text="4"),
        delta(2, "citations_delta", citation=PAGE),
        stopped(2),
        opened(3, "tool_use", id="t", name="f", input={}),
        delta(3, "input_json_delta", partial_json=""),
        delta(3, "input_json_delta", partial_json='{"a"'),
        delta(3, "input_json_delta", partial_json=": 1}"),
        stopped(3),
        ended("tool_use", {"output_tokens": 7}),
        STOP,
    )
    assert events == [
        STARTED,
        Used(Usage(12, 1, 3)),
        PartStarted(0, 0, Reasoning(origin=NAME)),
        PartDelta(0, 0, "hm"),
        PartSigned(0, 0, "sig"),
        PartEnded(0, 0),
        PartStarted(0, 1, Reasoning(redacted="x", origin=NAME)),
        PartEnded(0, 1),
        PartStarted(0, 2, Text("")),
        PartDelta(0, 2, "4"),
        Cited(0, 2, Citation("https://x.test", "X", "q")),
        PartEnded(0, 2),
        PartStarted(0, 3, ToolCall("t", "f")),
        PartDelta(0, 3, '{"a"'),
        PartDelta(0, 3, ": 1}"),
        PartEnded(0, 3),
        Used(Usage(12, 7, 3)),
        Finished(0, "tool_calls"),
        Done(),
    ]


def test_counts_that_come_last() -> None:
    """Servers that only speak this dialect say zeros first and all of it last."""
    events = read(
        start(usage={"input_tokens": 0, "output_tokens": 0}),
        ended("end_turn", {"input_tokens": 14, "output_tokens": 2, "cache_read_input_tokens": 4}),
        STOP,
    )
    assert [found.usage for found in events if isinstance(found, Used)] == [
        Usage(0, 0),
        Usage(18, 2, 4),
    ]


@pytest.mark.parametrize(
    ("given", "fragments", "expected"),
    [
        ({}, [], ["{}"]),
        ({}, [""], ["{}"]),
        ({"a": 1}, [], ['{"a": 1}']),
        ({}, ["{", "}"], ["{", "}"]),
    ],
)
def test_arguments(given: Value, fragments: list[str], expected: list[str]) -> None:
    """A call without fragments has none; some servers say all of them at the start."""
    events = read(
        start(),
        opened(0, "tool_use", id="t", name="f", input=given),
        *[delta(0, "input_json_delta", partial_json=text) for text in fragments],
        stopped(0),
    )
    assert [found.text for found in events if isinstance(found, PartDelta)] == expected


def test_blocks_that_are_left_out() -> None:
    """Tools that run at the provider are not the client's, and count as no part."""
    events = read(
        start(),
        opened(0, "server_tool_use", id="s", name="web_search", input={}),
        delta(0, "input_json_delta", partial_json="{}"),
        stopped(0),
        opened(1, "text", text="a", citations=[PAGE]),
        delta(1, "of_tomorrow", x=1),
        stopped(1),
        {"type": "of_tomorrow"},
    )
    assert events[1:] == [
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "a"),
        Cited(0, 0, Citation("https://x.test", "X", "q")),
        PartEnded(0, 0),
    ]


def test_how_it_ends() -> None:
    """The first reason counts; whatever is open ends with it."""
    events = read(
        start(),
        opened(0, "text", text=""),
        ended(None),
        ended("stop_sequence", stop_sequence="END"),
        ended("end_turn"),
        STOP,
        STOP,
        start(),
    )
    assert events[2:] == [PartEnded(0, 0), Finished(0, "stop", "END"), Done()]


def test_why_it_was_refused() -> None:
    """The explanation is a part of its own, before the end."""
    details = {"type": "refusal", "category": None, "explanation": "Because."}
    events = read(start(), ended("refusal", stop_details=details), STOP)
    assert events[1:] == [
        PartStarted(0, 0, Refusal("")),
        PartDelta(0, 0, "Because."),
        PartEnded(0, 0),
        Finished(0, "refusal"),
        Done(),
    ]


@pytest.mark.parametrize(
    ("value", "failed"),
    [
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}},
            Failed("Overloaded", "overloaded_error"),
        ),
        (
            {"type": "error", "error": {"message": "x", "details": {"error_code": "c"}}},
            Failed("x", None, "c"),
        ),
        ({"error": "x"}, Failed("x")),
        ({"type": "error"}, Failed("the provider reported an error")),
    ],
)
def test_failures(value: Value, failed: Failed) -> None:
    """An error in a stream is a failure, at any place in it."""
    assert read(value) == [failed]
    assert read(start(), opened(0, "text"), value)[-1] == failed


def test_events_without_data() -> None:
    """A comment that keeps the line open says nothing."""
    assert read(b"") == []


@pytest.mark.parametrize(
    "values",
    [
        [b"{"],
        [b"[]"],
        [{}],
        [{"type": 1}],
        [{"type": "message_start"}],
        [start(), start()],
        [start(id=1)],
        [opened(0, "text")],
        [start(), opened(0, "text"), opened(0, "text")],
        [start(), {"type": "content_block_start", "index": 0}],
        [start(), {"type": "content_block_start", "content_block": {"type": "text"}}],
        [start(), opened(0, "tool_use", name="f")],
        [start(), delta(0, "text_delta", text="x")],
        [start(), opened(0, "text"), delta(0, "text_delta", text=1)],
        [start(), opened(0, "text"), stopped(0), stopped(0)],
        [start(), opened(0, "text"), {"type": "content_block_stop", "index": True}],
        [ended()],
        [start(), STOP],
        [start(), ended(), opened(0, "text")],
        [start(), {"type": "message_delta", "delta": {"stop_reason": 1}}],
    ],
)
def test_what_is_no_stream(values: list[object]) -> None:
    """What is not of this dialect, or not in its order, is Malformed."""
    with pytest.raises(Malformed):
        read(*values)


# --- Written -------------------------------------------------------------------


def written(*events: ChatEvent) -> list[Value]:
    """The data of the events, each under its own name."""
    writer = MessagesWriter()
    raw = b"".join(writer.write(found) for found in events)
    found = SseDecoder().feed(raw)
    values: list[Value] = [json.loads(one.data) for one in found]
    for one, value in zip(found, values, strict=True):
        assert one.raw.startswith(f"event: {value['type']}\ndata: ".encode())
    return values


def begun(model: str | None = None) -> Value:
    return start(
        id=None,
        role="assistant",
        model=model,
        stop_reason=None,
        stop_sequence=None,
        usage={"input_tokens": 0, "output_tokens": 0},
    )


UNKNOWN = {"input_tokens": None, "output_tokens": None}
END = [{**ended("end_turn", UNKNOWN)}, STOP]


def test_a_written_stream() -> None:
    """The events are Anthropic's, in its order; the counts that hold are in the last but one."""
    values = written(
        Started("x", "gpt"),
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "4"),
        Cited(0, 0, Citation("https://x.test", "X", "q")),
        Cited(0, 0, Citation(title="a file")),
        PartEnded(0, 0),
        Logprobs(0, ({"token": "4"},)),
        Finished(0, "length"),
        Used(Usage(9, 2)),
        Done(),
    )
    first = begun("gpt")
    first["message"]["id"] = "x"
    assert values == [
        first,
        opened(0, "text", text=""),
        delta(0, "text_delta", text="4"),
        delta(0, "citations_delta", citation=PAGE),
        stopped(0),
        ended("max_tokens", {"input_tokens": 9, "output_tokens": 2}),
        STOP,
    ]


def test_counts_known_at_the_start() -> None:
    """Counts that come at once are in the first event."""
    values = written(Started(), Used(Usage(9, 1)), PartStarted(0, 0, Text("")))
    assert values[0]["message"]["usage"] == {"input_tokens": 9, "output_tokens": 1}


def test_calls_side_by_side() -> None:
    """Blocks follow each other: a call stops once its arguments are whole, blanks aside."""
    values = written(
        Started(),
        PartStarted(0, 0, ToolCall("a", "f")),
        PartDelta(0, 0, '{"x": "}'),
        PartDelta(0, 0, '"}'),
        PartStarted(0, 1, ToolCall("b", "g")),
        PartDelta(0, 0, "\n"),
        PartDelta(0, 1, "{"),
        PartDelta(0, 1, "}"),
        PartEnded(0, 0),
        PartEnded(0, 1),
        Finished(0, "stop"),
        Done(),
    )
    assert values[1:] == [
        opened(0, "tool_use", id="a", name="f", input={}),
        delta(0, "input_json_delta", partial_json='{"x": "}'),
        delta(0, "input_json_delta", partial_json='"}'),
        stopped(0),
        opened(1, "tool_use", id="b", name="g", input={}),
        delta(1, "input_json_delta", partial_json="{"),
        delta(1, "input_json_delta", partial_json="}"),
        stopped(1),
        ended("tool_use", UNKNOWN),
        STOP,
    ]


def test_calls_in_turns() -> None:
    """Calls whose arguments really come in turns are written one after the other."""
    values = written(
        Started(),
        PartStarted(0, 0, ToolCall("a", "f")),
        PartStarted(0, 1, ToolCall("b", "f")),
        PartStarted(0, 2, ToolCall("c", "f")),
        PartDelta(0, 2, "{}"),
        PartDelta(0, 1, "{"),
        PartDelta(0, 0, "{"),
        PartDelta(0, 1, '"b": 1}'),
        PartDelta(0, 0, '"a": 1}'),
        PartDelta(0, 1, " "),
        PartEnded(0, 0),
        PartEnded(0, 1),
        PartEnded(0, 2),
        Finished(0, "tool_calls"),
        Done(),
    )
    kinds = [(value["type"], value.get("index")) for value in values[1:-2]]
    assert kinds == [
        (kind, index)
        for index, deltas in ((0, 2), (1, 2), (2, 1))
        for kind in (
            "content_block_start",
            *["content_block_delta"] * deltas,
            "content_block_stop",
        )
    ]
    ids = [value["content_block"]["id"] for value in values if "content_block" in value]
    assert ids == ["a", "b", "c"]


def test_calls_without_arguments() -> None:
    """A call that never says anything is whole when it ends."""
    values = written(
        Started(),
        PartStarted(0, 0, ToolCall("a", "f")),
        PartStarted(0, 1, ToolCall("b", "f", "{}")),
        PartEnded(0, 0),
        PartEnded(0, 1),
        Finished(0, "tool_calls"),
        Done(),
    )
    assert [value["type"] for value in values] == [
        "message_start",
        "content_block_start",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_a_great_many_parts_that_wait() -> None:
    """However many parts come side by side, none is lost, and no stack overflows."""
    many = range(5_000)
    starts = [PartStarted(0, number, ToolCall(f"c{number}", "f")) for number in many]
    deltas = [PartDelta(0, number, "{}") for number in many]
    values = written(Started(), *starts, *reversed(deltas), Finished(0, "tool_calls"), Done())
    ids = [value["content_block"]["id"] for value in values if "content_block" in value]
    assert ids == [f"c{number}" for number in many]
    assert sum(value["type"] == "content_block_delta" for value in values) == len(many)


def test_reasoning() -> None:
    """A signature comes whole before its block stops, sealed if it is another's; without one the
    client still learns whose the text is."""
    values = written(
        Started(),
        PartStarted(0, 0, Reasoning(origin="openai-responses")),
        PartDelta(0, 0, "hm"),
        PartSigned(0, 0, "s1"),
        PartSigned(0, 0, "s2"),
        PartEnded(0, 0),
        PartStarted(0, 1, Reasoning(signature="reasoning", origin="openai-chat")),
        PartDelta(0, 1, "so"),
        PartEnded(0, 1),
        PartStarted(0, 2, Reasoning()),
        PartEnded(0, 2),
        PartStarted(0, 3, Reasoning(redacted="x", origin="openai-chat")),
        PartEnded(0, 3),
        PartStarted(0, 4, Reasoning(redacted="x", origin="openai-chat")),
        PartDelta(0, 4, "in short"),
        PartEnded(0, 4),
        Finished(0, "stop"),
        Done(),
    )
    empty = {"thinking": "", "signature": ""}
    withheld = 'tiergate.openai-chat.{"redacted": "x"}'
    assert values[1:] == [
        opened(0, "thinking", **empty),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="tiergate.openai-responses.s1s2"),
        stopped(0),
        opened(1, "thinking", **empty),
        delta(1, "thinking_delta", thinking="so"),
        delta(1, "signature_delta", signature="tiergate.openai-chat.reasoning"),
        stopped(1),
        opened(2, "thinking", **empty),
        delta(2, "signature_delta", signature="tiergate.unsigned."),
        stopped(2),
        opened(3, "redacted_thinking", data="tiergate.openai-chat.x"),
        stopped(3),
        opened(4, "thinking", **empty),
        delta(4, "thinking_delta", thinking="in short"),
        delta(4, "signature_delta", signature=withheld),
        stopped(4),
        *END,
    ]


def test_a_signed_call() -> None:
    """Another provider's signature of a call stands in a block of its own, wherever it came."""
    kept = 'tiergate.gemini.{"signature": "sig", "call": "t"}'
    call = ToolCall("t", "f", origin="gemini")
    before = written(Started(), PartStarted(0, 0, ToolCall("t", "f", "", "sig", "gemini")))
    assert before[1:4] == [
        opened(0, "redacted_thinking", data=kept),
        stopped(0),
        opened(1, "tool_use", id="t", name="f", input={}),
    ]
    after = written(Started(), PartStarted(0, 0, call), PartSigned(0, 0, "sig"), PartEnded(0, 0))
    assert after[2:] == [stopped(0), opened(1, "redacted_thinking", data=kept), stopped(1)]


def test_a_refusal() -> None:
    """What a model says to decline is text, and the reason says that it declined."""
    values = written(
        Started(),
        PartStarted(0, 0, Refusal("")),
        PartDelta(0, 0, "No."),
        PartEnded(0, 0),
        Finished(0, "stop"),
        Done(),
    )
    assert values[1:3] == [opened(0, "text", text=""), delta(0, "text_delta", text="No.")]
    assert values[-2] == ended("refusal", UNKNOWN)


def test_answers_beside_the_first() -> None:
    """No client of this dialect can ask for more than one."""
    values = written(
        Started(),
        PartStarted(1, 0, Text("")),
        PartDelta(1, 0, "x"),
        PartEnded(1, 0),
        Finished(1, "length"),
        Finished(0, "stop"),
        Done(),
    )
    assert values == [begun(), *END]


def test_parts_that_never_ended() -> None:
    """Whatever is open or held is written before the end."""
    values = written(
        Started(),
        PartStarted(0, 0, Text("a")),
        PartStarted(0, 1, ToolCall("t", "f")),
        PartDelta(0, 1, "{}"),
        Finished(0, "tool_calls"),
        Done(),
    )
    assert [value["type"] for value in values[3:]] == [
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


@pytest.mark.parametrize("kind", [Text(""), Refusal("")])
def test_empty_text_makes_no_block(kind: Text | Refusal) -> None:
    """A client returns what it gets, and the API refuses text that is empty."""
    values = written(
        Started(),
        PartStarted(0, 0, kind),
        PartDelta(0, 0, ""),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        PartDelta(0, 1, "a"),
        PartEnded(0, 1),
        Finished(0, "stop"),
        Done(),
    )
    assert [value["type"] for value in values] == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]
    assert {value.get("index", 0) for value in values} == {0}


@pytest.mark.parametrize(
    ("texts", "is_whole"),
    [
        ([], False),
        ([""], False),
        (["{}"], True),
        ([" {", "} "], True),
        (['{"a', '": "', "}", '"'], False),
        (['{"a": "\\', '"}', '"}'], True),
        (['{"a": "\\\\"', "}"], True),
        (['{"a": "\\', "", '\\"}'], True),
        (["[[1], ", "[2]]"], True),
        (["{[}"], False),
        (["x"], False),
        (["3"], False),
    ],
)
def test_fragments(texts: list[str], is_whole: bool) -> None:  # noqa: FBT001 - a table's column
    """Cut anywhere, in a string or after a backslash: an object is whole at its last brace."""
    fragments = Fragments()
    for text in texts:
        fragments.add(text)
    assert fragments.is_whole == is_whole
