"""OpenAI Chat Completions, a stream for a client, and what OpenAI's own SDK makes of it."""

import json
from typing import Any

import pytest
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types.chat import ChatCompletionChunk

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
from gateway.core.dialects.openai_chat import DIALECT
from gateway.core.dialects.openai_chat.answers import write_answer
from gateway.core.dialects.parts import unfold
from gateway.core.sse import SseDecoder
from tests.core.samples import chat

ANTHROPIC = "anthropic-messages"
SEAL = f"tiergate.{ANTHROPIC}."
STARTED = Started("id", "m", 7)


def written(*events: ChatEvent, **members: object) -> list[Any]:
    """The data of each event, `[DONE]` as it is."""
    writer = DIALECT.writer(chat(stream=True, **members))
    data = b"".join(writer.write(event) for event in events)
    found = [event.data for event in SseDecoder().feed(data)]
    return [item.decode() if item == b"[DONE]" else json.loads(item) for item in found]


def deltas(*events: ChatEvent, **members: object) -> list[Json]:
    """What each chunk adds to its choice."""
    return [item["choices"][0]["delta"] for item in written(*events, **members)]


def test_a_stream() -> None:
    """The role first, then the pieces, the finish reason with an empty delta, and `[DONE]`."""
    found = written(
        STARTED,
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "a"),
        PartEnded(0, 0),
        Finished(0, "stop"),
        Used(Usage(9, 2)),
        Done(),
    )
    assert found[0] == {
        "id": "id",
        "object": "chat.completion.chunk",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "delta": {"role": "assistant", "content": ""},
                "logprobs": None,
                "finish_reason": None,
            }
        ],
    }
    assert [item["choices"][0]["delta"] for item in found[1:-1]] == [{"content": "a"}, {}]
    assert [item["choices"][0]["finish_reason"] for item in found[:-1]] == [None, None, "stop"]
    assert found[-1] == "[DONE]"


def test_usage_for_those_who_asked() -> None:
    """It has a chunk of its own before the end; every other says null. Who did not ask sees none,
    and a provider that did not say has none."""
    asked: dict[str, object] = {"stream_options": {"include_usage": True}}
    events: list[ChatEvent] = [
        STARTED,
        Finished(0, "stop"),
        Used(Usage(1, 1)),
        Used(Usage(9, 2)),
        Done(),
    ]
    found = written(*events, **asked)
    assert [item["usage"] for item in found[:-2]] == [None] * len(found[:-2])
    assert found[-2]["choices"] == []
    assert found[-2]["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 2,
        "total_tokens": 11,
    }
    assert all("usage" not in item for item in written(*events)[:-1])
    assert len(written(STARTED, Finished(0, "stop"), Done(), **asked)) == len(found) - 1


def test_calls() -> None:
    """Id and name come once, with the call's index among the calls; fragments as they come; a call
    without arguments has an empty object."""
    assert deltas(
        STARTED,
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "see"),
        PartEnded(0, 0),
        PartStarted(0, 1, ToolCall("a", "f")),
        PartDelta(0, 1, '{"x"'),
        PartStarted(0, 2, ToolCall("b", "g", "", "S", "gemini")),
        PartDelta(0, 1, ":1}"),
        PartEnded(0, 1),
        PartEnded(0, 2),
        Finished(0, "tool_calls"),
    ) == [
        {"role": "assistant", "content": ""},
        {"content": "see"},
        {
            "tool_calls": [
                {
                    "index": 0,
                    "id": "a",
                    "type": "function",
                    "function": {"name": "f", "arguments": ""},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": '{"x"'}}]},
        {
            "tool_calls": [
                {
                    "index": 1,
                    "id": "b",
                    "type": "function",
                    "function": {"name": "g", "arguments": ""},
                    "extra_content": {"google": {"thought_signature": "tiergate.gemini.S"}},
                }
            ]
        },
        {"tool_calls": [{"index": 0, "function": {"arguments": ":1}"}}]},
        {"tool_calls": [{"index": 1, "function": {"arguments": "{}"}}]},
        {},
    ]


def test_a_call_that_is_signed_later() -> None:
    """Each fragment of a call has a `function`: the SDK's helper wants one."""
    found = deltas(
        STARTED,
        PartStarted(0, 0, ToolCall("a", "f", "", None, "gemini")),
        PartSigned(0, 0, "S"),
    )
    assert found[0] == {"role": "assistant", "content": None}
    assert found[-1] == {
        "tool_calls": [
            {
                "index": 0,
                "function": {"arguments": ""},
                "extra_content": {"google": {"thought_signature": "tiergate.gemini.S"}},
            }
        ]
    }


def test_reasoning() -> None:
    """Another provider's reasoning is there for people, and with its sealed proof for the way
    back; what nobody can prove only for people."""
    assert deltas(
        STARTED,
        PartStarted(0, 0, Reasoning(origin=ANTHROPIC)),
        PartDelta(0, 0, "hm"),
        PartSigned(0, 0, "S1"),
        PartSigned(0, 0, "S2"),
        PartEnded(0, 0),
        PartStarted(0, 1, Reasoning(redacted="D", id="i", origin=ANTHROPIC)),
        PartEnded(0, 1),
        PartStarted(0, 2, Reasoning()),
        PartDelta(0, 2, "so"),
        PartEnded(0, 2),
    ) == [
        {"role": "assistant", "content": None},
        {
            "reasoning_content": "hm",
            "reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "hm"}],
        },
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": f"{SEAL}S1"}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "S2"}]},
        {
            "reasoning_details": [
                {"type": "reasoning.encrypted", "index": 1, "id": "i", "data": f"{SEAL}D"}
            ]
        },
        {"reasoning_content": "so"},
    ]


def test_a_client_of_the_old_functions() -> None:
    """A client that gave `functions` gets the first call as its `function_call`."""
    events: list[ChatEvent] = [
        STARTED,
        PartStarted(0, 0, ToolCall("a", "f")),
        PartDelta(0, 0, "{}"),
        PartEnded(0, 0),
        PartStarted(0, 1, ToolCall("b", "g")),
        PartEnded(0, 1),
        Finished(0, "tool_calls"),
    ]
    members: dict[str, object] = {"functions": [{"name": "f"}]}
    assert deltas(*events, **members) == [
        {"role": "assistant", "content": None},
        {"function_call": {"name": "f", "arguments": ""}},
        {"function_call": {"arguments": "{}"}},
        {},
    ]
    assert written(*events, **members)[-1]["choices"][0]["finish_reason"] == "function_call"


def test_choices_begin_in_order() -> None:
    """SDKs append choices as they come: whichever speaks first, the roles come in order."""
    found = written(
        STARTED,
        PartStarted(1, 0, Text("")),
        PartDelta(1, 0, "b"),
        Finished(1, "stop"),
        Finished(0, "length"),
        n=2,
    )
    assert [item["choices"][0]["index"] for item in found] == [0, 1, 1, 1, 0]


def test_failed_is_not_written() -> None:
    """A failure is an error event, which is not the writer's."""
    assert written(Failed("x")) == []


# --- OpenAI's own gathering --------------------------------------------------

TOKEN: Json = {"token": "a", "logprob": -1.0, "bytes": [97], "top_logprobs": []}
CITATIONS = (
    Citation("https://a.test", "t", None, 0, 1),
    Citation("https://b.test", "u", "q", 1, 2),
)
ANSWERS = [
    Answer((Choice((Text("ab"),), "stop", None, (TOKEN,)),), "id", "m", 7, Usage(9, 2)),
    Answer((Choice((Text("a"), Text("b", CITATIONS)), "stop"),), "id", "m", 7),
    Answer((Choice((Refusal("no"),), "refusal"),), "id", "m", 7),
    Answer(
        (
            Choice(
                (
                    Reasoning("hm", "S", origin=ANTHROPIC),
                    Reasoning("", None, "D", origin=ANTHROPIC),
                    Text("a"),
                    ToolCall("x", "f", '{"a": 1}', "S", "gemini"),
                    ToolCall("y", "g", ""),
                ),
                "tool_calls",
            ),
            Choice((Text("b"),), "length"),
        ),
        "id",
        "m",
        7,
    ),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_the_sdk_gathers_the_whole_answer(answer: Answer) -> None:
    """What OpenAI's streaming helper gathers from the chunks is what the whole answer says."""
    members: dict[str, object] = {"stream_options": {"include_usage": True}}
    state: Any = ChatCompletionStreamState()
    for item in written(*unfold(answer), **members):
        if item != "[DONE]":
            list(state.handle_chunk(ChatCompletionChunk.model_validate(item)))
    found = state.current_completion_snapshot.to_dict()
    whole = json.loads(write_answer(answer))
    assert found["id"] == "id"
    assert found.get("usage") == whole.get("usage")
    for got, expected in zip(found["choices"], whole["choices"], strict=True):
        assert got["finish_reason"] == expected["finish_reason"]
        assert (got.get("logprobs") or None) == expected["logprobs"]
        message = {**got["message"]}
        assert (message.pop("content") or "") == (expected["message"].pop("content") or "")
        message.pop("parsed", None)
        for citation in message.get("annotations") or []:
            citation.pop("index")
        for call in message.get("tool_calls") or []:
            call.pop("index")
            call["function"].pop("parsed_arguments", None)
        shown = {name: value for name, value in message.items() if value is not None}
        assert shown == {name: it for name, it in expected["message"].items() if it is not None}


def test_a_citation_without_a_place() -> None:
    """It is of all of its text, so it is said when that has ended."""
    found = written(
        STARTED,
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "ab"),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        Cited(0, 1, Citation("https://a.test")),
        PartDelta(0, 1, "cde"),
        PartEnded(0, 1),
    )
    [citation] = found[-1]["choices"][0]["delta"]["annotations"]
    assert citation["url_citation"] == {
        "url": "https://a.test",
        "title": "",
        "start_index": 2,
        "end_index": 5,
    }
    assert "annotations" not in found[-2]["choices"][0]["delta"]


def test_logprobs_and_citations() -> None:
    """Logprobs have a chunk beside their tokens; a citation counts in all of the text."""
    found = written(
        STARTED,
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "ab"),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        PartDelta(0, 1, "c"),
        Logprobs(0, (TOKEN,)),
        Cited(0, 1, CITATIONS[0]),
        Cited(0, 1, Citation(quote="no address")),
    )
    assert found[-2]["choices"][0]["logprobs"] == {"content": [TOKEN], "refusal": None}
    assert found[-1]["choices"][0]["delta"] == {
        "annotations": [
            {
                "type": "url_citation",
                "url_citation": {
                    "url": "https://a.test",
                    "title": "t",
                    "start_index": 2,
                    "end_index": 3,
                },
                "index": 0,
            }
        ]
    }
