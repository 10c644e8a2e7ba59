"""OpenAI Responses, streams: what a provider's events say, and in which order a client's come."""

import json
from typing import Any

import httpx2
import openai
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter

from gateway.core.answers import (
    Answer,
    ChatEvent,
    Choice,
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
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.openai_responses import DIALECT
from gateway.core.dialects.parts import fold, unfold
from gateway.core.errors import UpstreamError
from gateway.core.sse import SseDecoder, SseEvent

NAME = "openai-responses"
OTHER = 'tiergate.other.{"signature": "sig"}'
SIGNED = 'tiergate.gemini.{"signature": "sig", "call": "c"}'
CREATED: Json = {
    "type": "response.created",
    "response": {"id": "resp_1", "created_at": 1, "model": "m", "status": "in_progress"},
}
START = Started("resp_1", "m", 1)
COMPLETED: Json = {
    "type": "response.completed",
    "response": {
        "id": "resp_1",
        "status": "completed",
        "output": [{"type": "message", "content": [{"type": "output_text", "text": "again"}]}],
        "usage": {"input_tokens": 9, "output_tokens": 2},
    },
}
USED = Used(Usage(9, 2))


def event(kind: str, **members: object) -> Json:
    return {"type": f"response.{kind}", "output_index": 0, **members}


def read(*values: Json) -> list[ChatEvent]:
    reader = DIALECT.reader()
    found: list[ChatEvent] = []
    for value in values:
        data = json.dumps(value).encode()
        found += reader.read(SseEvent(data, data))
    return found + reader.end()


def said(*values: Json) -> list[ChatEvent]:
    """What is between the stream's first and last events."""
    first, *middle, used, finished, done = read(CREATED, *values, COMPLETED)
    assert (first, used, done) == (START, USED, Done())
    assert isinstance(finished, Finished)
    return middle


def test_a_text() -> None:
    """A text comes in the events that OpenAI sends for it; none of its repetitions is news."""
    part = {"type": "output_text", "annotations": [], "logprobs": [], "text": "Hello"}
    item = {"type": "message", "id": "msg_1", "content": [part]}
    found = read(
        CREATED,
        {**CREATED, "type": "response.in_progress"},
        event("output_item.added", item={**item, "content": []}),
        event("content_part.added", content_index=0, part={**part, "text": ""}),
        event("output_text.delta", content_index=0, delta="Hel", logprobs=[], obfuscation="x7"),
        {"type": "keepalive", "sequence_number": 5},
        event("output_text.delta", content_index=0, delta="lo", logprobs=[]),
        event("output_text.done", content_index=0, text="Hello", logprobs=[]),
        event("content_part.done", content_index=0, part=part),
        event("output_item.done", item=item),
        COMPLETED,
        event("output_text.delta", content_index=0, delta="after its end"),
    )
    assert found == [
        START,
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "Hel"),
        PartDelta(0, 0, "lo"),
        PartEnded(0, 0),
        USED,
        Finished(0, "stop"),
        Done(),
    ]


def test_reasoning_and_calls() -> None:
    """A summary's parts are one reasoning, with the proof of its last event; calls side by side are
    told apart by their place."""
    found = read(
        CREATED,
        event("output_item.added", item={"type": "reasoning", "id": "rs_1", "summary": []}),
        event("reasoning_summary_part.added", item_id="rs_1", summary_index=0),
        event("reasoning_summary_text.delta", item_id="rs_1", summary_index=0, delta="a"),
        event("reasoning_summary_text.delta", item_id="rs_1", summary_index=1, delta="b"),
        event("reasoning_text.delta", item_id="rs_1", content_index=0, delta="a, at length"),
        event(
            "output_item.done",
            item={
                "type": "reasoning",
                "id": "rs_1",
                "summary": [{"text": "a"}, {"text": "b"}],
                "encrypted_content": "gAAA",
            },
        ),
        event(
            "output_item.added",
            output_index=1,
            item={"type": "function_call", "call_id": "c", "name": "f", "arguments": ""},
        ),
        event(
            "output_item.added",
            output_index=2,
            item={"type": "function_call", "call_id": "d", "name": "g", "arguments": ""},
        ),
        event("function_call_arguments.delta", output_index=2, delta="{}"),
        event("function_call_arguments.delta", output_index=1, delta='{"a":'),
        event("function_call_arguments.delta", output_index=1, delta="1}"),
        event("function_call_arguments.done", output_index=1, arguments='{"a":1}'),
        event(
            "output_item.done",
            output_index=1,
            item={"type": "function_call", "call_id": "c", "name": "f", "arguments": '{"a":1}'},
        ),
        COMPLETED,
    )
    assert found == [
        START,
        PartStarted(0, 0, Reasoning(id="rs_1", origin=NAME)),
        PartDelta(0, 0, "a"),
        PartDelta(0, 0, "\n\nb"),
        PartSigned(0, 0, "rs_1:gAAA"),
        PartEnded(0, 0),
        PartStarted(0, 1, ToolCall("c", "f")),
        PartStarted(0, 2, ToolCall("d", "g")),
        PartDelta(0, 2, "{}"),
        PartDelta(0, 1, '{"a":'),
        PartDelta(0, 1, "1}"),
        PartEnded(0, 1),
        PartEnded(0, 2),
        USED,
        Finished(0, "tool_calls"),
        Done(),
    ]


CALL = {"type": "function_call", "call_id": "c", "name": "f"}
TOKEN: Json = {"token": "a", "logprob": -1.0, "top_logprobs": []}
PAGE = {
    "type": "url_citation",
    "url": "https://x.test",
    "title": "X",
    "start_index": 0,
    "end_index": 1,
}
CITATION = Citation("https://x.test", "X", None, 0, 1)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (
            [event("refusal.delta", delta="no"), event("refusal.done", refusal="no")],
            [PartStarted(0, 0, Refusal("")), PartDelta(0, 0, "no"), PartEnded(0, 0)],
        ),
        (
            [
                event("output_text.delta", delta="a", logprobs=[TOKEN]),
                event("output_text.done", text="a", logprobs=[TOKEN]),
                event(
                    "content_part.done",
                    part={"type": "output_text", "text": "a", "logprobs": [TOKEN]},
                ),
            ],
            [
                PartStarted(0, 0, Text("")),
                PartDelta(0, 0, "a"),
                Logprobs(0, (TOKEN,)),
                PartEnded(0, 0),
            ],
        ),
        (
            [
                event("output_text.delta", delta="a"),
                event("output_text.annotation.added", annotation=PAGE),
                event("output_text.annotation.added", annotation={"type": "file_path"}),
                event(
                    "content_part.done",
                    part={"type": "output_text", "text": "a", "annotations": [PAGE, PAGE]},
                ),
            ],
            [
                PartStarted(0, 0, Text("")),
                PartDelta(0, 0, "a"),
                Cited(0, 0, CITATION),
                Cited(0, 0, CITATION),
                PartEnded(0, 0),
            ],
        ),
        (  # a proof without text
            [event("output_item.done", item={"type": "reasoning", "encrypted_content": "gAAA"})],
            [
                PartStarted(0, 0, Reasoning(origin=NAME)),
                PartSigned(0, 0, ":gAAA"),
                PartEnded(0, 0),
            ],
        ),
        (  # neither
            [event("output_item.done", item={"type": "reasoning", "id": "rs_1", "summary": []})],
            [PartStarted(0, 0, Text("")), PartDelta(0, 0, "again"), PartEnded(0, 0)],
        ),
        (  # a server that sends whole items only
            [
                event(
                    "output_item.done",
                    item={"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                )
            ],
            [PartStarted(0, 0, ToolCall("c", "f")), PartDelta(0, 0, "{}"), PartEnded(0, 0)],
        ),
        (  # one that sends nothing but its end
            [],
            [PartStarted(0, 0, Text("")), PartDelta(0, 0, "again"), PartEnded(0, 0)],
        ),
        (  # one that counts every item as the first
            [
                event("reasoning_text.delta", delta="hm"),
                event("output_text.delta", delta="a"),
                event("content_part.done", part={"type": "output_text", "text": "a"}),
                event("output_text.delta", delta="b"),
                event("output_item.added", item=CALL),
                event("output_item.added", item={**CALL, "call_id": "d"}),
                event("function_call_arguments.delta", delta="{}"),
            ],
            [
                PartStarted(0, 0, Reasoning(origin=NAME)),
                PartDelta(0, 0, "hm"),
                PartEnded(0, 0),
                PartStarted(0, 1, Text("")),
                PartDelta(0, 1, "a"),
                PartEnded(0, 1),
                PartStarted(0, 2, Text("")),
                PartDelta(0, 2, "b"),
                PartEnded(0, 2),
                PartStarted(0, 3, ToolCall("c", "f")),
                PartEnded(0, 3),
                PartStarted(0, 4, ToolCall("d", "f")),
                PartDelta(0, 4, "{}"),
                PartEnded(0, 4),
            ],
        ),
    ],
)  # fmt: skip
def test_parts(values: list[Json], expected: list[ChatEvent]) -> None:
    """Each kind of part, also from servers that leave events or places out."""
    assert said(*values) == expected


def test_a_stream_that_does_not_say_that_it_starts() -> None:
    """What a stream says follows a start, if need be one of which nothing is known."""
    found = read(event("output_text.delta", delta="a"))
    assert found == [Started(), PartStarted(0, 0, Text("")), PartDelta(0, 0, "a")]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (
            {"type": "error", "code": "c", "message": "m", "param": None, "sequence_number": 1},
            Failed("m", None, "c"),
        ),
        (
            {"type": "error", "error": {"type": "t", "code": "c", "message": "m"}},
            Failed("m", "t", "c"),
        ),
        ({"type": "error"}, Failed("the provider reported an error")),
        ({"error": {"message": "m", "code": 503}}, Failed("m", None, "503")),
        ({"error": "m"}, Failed("m")),
        (
            {"type": "response.failed", "response": {"error": {"code": "c", "message": "m"}}},
            Failed("m", None, "c"),
        ),
        (
            {"type": "response.failed", "response": {"error": None}},
            Failed("the provider reported an error"),
        ),
    ],
)
def test_failures(value: Json, expected: Failed) -> None:
    """A failure is one, in the documented shape and in those that are sent."""
    assert read(value) == [expected]


@pytest.mark.parametrize(
    "value",
    [
        {"type": 1},
        {"type": "response.created"},
        {"type": "response.created", "response": []},
        {"type": "response.completed"},
        {"type": "response.completed", "response": {"status": "failed"}},
        {"type": "response.completed", "response": {"output": "x"}},
        event("output_text.delta", delta=1),
        event("output_text.delta", delta="a", output_index="0"),
        event("output_text.delta", delta="a", content_index=True),
        event("output_text.delta", delta="a", logprobs=[1]),
        event("function_call_arguments.delta", delta="{}"),
        event("output_item.added", item={"type": "function_call"}),
        event("output_item.done", item=[]),
        event("output_text.annotation.added", annotation=1),
    ],
)
def test_events_of_a_wrong_shape(value: Json) -> None:
    """A wrong type, or arguments of no call, is Malformed."""
    with pytest.raises(Malformed):
        read(value)


@pytest.mark.parametrize("data", [b"hello", b"[]", b"{", b"\xff", b"[" * 200])
def test_data_that_is_no_object(data: bytes) -> None:
    """Data that is no JSON object is Malformed."""
    with pytest.raises(Malformed):
        DIALECT.reader().read(SseEvent(data, data))


@pytest.mark.parametrize("data", [b"", b"[DONE]", b'{"type": "response.something_new"}'])
def test_events_that_say_nothing(data: bytes) -> None:
    """Keep-alives, `[DONE]` and events still unknown say nothing, and end nothing."""
    assert DIALECT.reader().read(SseEvent(data, data)) == []


# --- Written -------------------------------------------------------------------


def written(*events: ChatEvent) -> list[dict[str, Any]]:
    """The data of the events that are written, each of the SDK's shape."""
    chat = DIALECT.parse_request(b'{"model": "auto", "input": "hi"}', None, None)
    writer = DIALECT.writer(chat)
    raw = b"".join([writer.write(event) for event in events])
    found = [json.loads(event.data) for event in SseDecoder().feed(raw)]
    shape: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    for value in found:
        shape.validate_python(value)
        assert f"event: {value['type']}\n".encode() in raw
    assert [value["sequence_number"] for value in found] == list(range(len(found)))
    return found


def places(events: list[dict[str, Any]]) -> list[tuple[str, object, object]]:
    return [
        (
            event["type"].removeprefix("response."),
            event.get("output_index"),
            event.get("content_index", event.get("summary_index")),
        )
        for event in events
    ]


def test_the_order_of_events() -> None:
    """Items, parts and texts begin and end inside one another, as OpenAI's do."""
    citation = Citation("https://x.test", "X")
    found = written(
        Started("msg_1", "m", 1),
        PartStarted(0, 0, Reasoning(origin="other")),
        PartDelta(0, 0, "hm"),
        PartSigned(0, 0, "sig"),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        PartDelta(0, 1, "ab"),
        Cited(0, 1, citation),
        PartDelta(0, 1, "c"),
        PartEnded(0, 1),
        PartStarted(0, 2, Refusal("")),
        PartDelta(0, 2, "no"),
        PartEnded(0, 2),
        PartStarted(0, 3, ToolCall("c", "f", "", "sig", "gemini")),
        PartStarted(0, 4, ToolCall("d", "g")),
        PartDelta(0, 4, "{}"),
        PartDelta(0, 3, "[]"),
        PartEnded(0, 3),
        PartEnded(0, 4),
        Finished(0, "tool_calls"),
        Used(Usage(9, 2)),
        Done(),
    )
    assert places(found) == [
        ("created", None, None),
        ("in_progress", None, None),
        ("output_item.added", 0, None),
        ("reasoning_summary_part.added", 0, 0),
        ("reasoning_summary_text.delta", 0, 0),
        ("reasoning_summary_text.done", 0, 0),
        ("reasoning_summary_part.done", 0, 0),
        ("output_item.done", 0, None),
        ("output_item.added", 1, None),
        ("content_part.added", 1, 0),
        ("output_text.delta", 1, 0),
        ("output_text.delta", 1, 0),
        ("output_text.annotation.added", 1, 0),
        ("output_text.done", 1, 0),
        ("content_part.done", 1, 0),
        ("content_part.added", 1, 1),
        ("refusal.delta", 1, 1),
        ("refusal.done", 1, 1),
        ("content_part.done", 1, 1),
        ("output_item.done", 1, None),
        ("output_item.added", 2, None),
        ("output_item.done", 2, None),
        ("output_item.added", 3, None),
        ("output_item.added", 4, None),
        ("function_call_arguments.delta", 4, None),
        ("function_call_arguments.delta", 3, None),
        ("function_call_arguments.done", 3, None),
        ("output_item.done", 3, None),
        ("function_call_arguments.done", 4, None),
        ("output_item.done", 4, None),
        ("completed", None, None),
    ]
    by_type = {event["type"]: event for event in found}
    noted = by_type["response.output_text.annotation.added"]
    assert noted["annotation"] == {**PAGE, "end_index": 3}
    last = found[-1]["response"]
    done = [event["item"] for event in found if event["type"] == "response.output_item.done"]
    assert last["output"] == done
    assert [item.get("encrypted_content") for item in done] == [
        OTHER, None, SIGNED, None, None,
    ]  # fmt: skip
    assert (last["status"], last["usage"]["total_tokens"]) == ("completed", 11)
    assert found[0]["response"]["output"] == []
    assert found[0]["response"]["status"] == "in_progress"


def test_an_answer_that_is_cut() -> None:
    """The last item of an answer cut by a limit is incomplete, and so is the response."""
    found = written(
        Started("msg_1"),
        PartStarted(0, 0, Text("a")),
        PartEnded(0, 0),
        PartStarted(0, 1, ToolCall("c", "f", '{"a')),
        PartEnded(0, 1),
        Finished(0, "length"),
        Done(),
    )
    last = found[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}
    assert [item["status"] for item in last["response"]["output"]] == ["completed", "incomplete"]


def test_logprobs_in_a_stream() -> None:
    """Logprobs ride on deltas; those that come before their text wait for it, and those that come
    after its end are still its own."""
    found = written(
        Started("msg_1"),
        Logprobs(0, (TOKEN,)),
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "ab"),
        PartEnded(0, 0),
        Logprobs(0, ({**TOKEN, "token": "b"},)),
        Finished(0, "stop"),
        Done(),
    )
    deltas = [event for event in found if event["type"] == "response.output_text.delta"]
    told = [(event["delta"], [item["token"] for item in event["logprobs"]]) for event in deltas]
    assert told == [("", ["a"]), ("ab", []), ("", ["b"])]
    done = next(event for event in found if event["type"] == "response.output_text.done")
    assert [item["token"] for item in done["logprobs"]] == ["a", "b"]


def test_a_call_signed_late() -> None:
    """A signature that comes after the call's start follows it in an item of its own."""
    found = written(
        Started("msg_1"),
        PartStarted(0, 0, ToolCall("c", "f", "", None, "gemini")),
        PartSigned(0, 0, "sig"),
        PartEnded(0, 0),
        Finished(0, "tool_calls"),
        Done(),
    )
    output = found[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["function_call", "reasoning"]
    assert output[0]["arguments"] == "{}"
    assert output[1]["encrypted_content"] == SIGNED


def test_only_the_first_of_several_answers() -> None:
    """A client of this dialect can ask for one answer: it gets the first."""
    found = written(
        Started("msg_1"),
        PartStarted(0, 0, Text("a")),
        PartStarted(1, 0, Text("b")),
        PartEnded(1, 0),
        Finished(1, "length"),
        PartEnded(0, 0),
        Finished(0, "stop"),
        Done(),
    )
    (item,) = found[-1]["response"]["output"]
    assert item["content"][0]["text"] == "a"
    assert found[-1]["type"] == "response.completed"


# --- The official SDK ----------------------------------------------------------

ANSWER = Answer(
    (
        Choice(
            (
                Reasoning("hm", "sig", origin="other"),
                Text("Hel"),
                Text("lo"),
                ToolCall("c", "f", '{"a":1}'),
                ToolCall("d", "g"),
            ),
            "tool_calls",
        ),
    ),
    "msg_1",
    "m",
    1,
    Usage(9, 2),
)


def respond(request: httpx2.Request) -> httpx2.Response:
    """A gateway whose provider speaks another dialect; the model `broken` breaks off."""
    chat = DIALECT.parse_request(request.content, None, None)
    if not chat.is_stream:
        return httpx2.Response(200, content=DIALECT.write_answer(ANSWER, chat))
    writer = DIALECT.writer(chat)
    events = unfold(ANSWER)
    raw = [writer.write(event) for event in (events[:9] if chat.model == "broken" else events)]
    if chat.model == "broken":
        raw.append(writer.fail(UpstreamError(502, "It broke off.", code="broken")))
    return httpx2.Response(200, content=b"".join(raw))


@pytest.fixture
def client() -> openai.OpenAI:
    transport = httpx2.Client(transport=httpx2.MockTransport(respond))
    return openai.OpenAI(api_key="k", base_url="http://gateway.test/v1", http_client=transport)


def test_the_sdk_reads_an_answer(client: openai.OpenAI) -> None:
    """The official SDK reads a whole answer and finds its text."""
    answer = client.responses.create(model="m", input="hi")
    assert answer.output_text == "Hello"
    assert answer.usage is not None
    assert answer.usage.input_tokens_details.cached_tokens == 0


def test_the_sdk_s_streaming_helper(client: openai.OpenAI) -> None:
    """The SDK's helper, which checks items and identities, gathers the same answer."""
    with client.responses.stream(model="m", input="hi") as stream:
        texts = [event.delta for event in stream if event.type == "response.output_text.delta"]
        final = stream.get_final_response()
    assert texts == ["Hel", "lo"]
    assert final.output_text == "Hello"
    calls = [item for item in final.output if item.type == "function_call"]
    assert [(call.call_id, call.arguments) for call in calls] == [("c", '{"a":1}'), ("d", "{}")]


def test_the_sdk_raises_on_an_error_event(client: openai.OpenAI) -> None:
    """A stream that breaks off raises in the client, with the gateway's words."""
    stream = client.responses.create(model="broken", input="hi", stream=True)
    with pytest.raises(openai.APIError, match="It broke off") as caught:
        list(stream)
    assert caught.value.code == "broken"


def test_a_stream_folds_into_its_answer() -> None:
    """What the reader finds in the writer's stream is the answer, its ids the gateway's."""
    writer = DIALECT.writer(DIALECT.parse_request(b'{"input": "hi"}', None, None))
    raw = b"".join([writer.write(event) for event in unfold(ANSWER)])
    reader = DIALECT.reader()
    found = fold([said for event in SseDecoder().feed(raw) for said in reader.read(event)])
    assert [type(part) for part in found.choices[0].parts] == [
        type(part) for part in ANSWER.choices[0].parts
    ]
    assert found.usage == Usage(9, 2, 0, 0, 0)
