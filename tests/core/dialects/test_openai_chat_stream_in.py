"""OpenAI Chat Completions, a provider's stream as events.

Facts: https://platform.openai.com/docs/api-reference/chat-streaming, and those in `stream_in.py`.
"""

import json

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
from gateway.core.dialects.openai_chat import DIALECT
from gateway.core.dialects.parts import fold
from gateway.core.sse import SseEvent

ORIGIN = "openai-chat"
COUNTS = {"prompt_tokens": 9, "completion_tokens": 2}
HEAD = {"id": "c-1", "object": "chat.completion.chunk", "created": 7, "model": "m"}


def chunk(delta: object = None, finish: object = None, **members: object) -> dict[str, object]:
    choice = {"index": 0, "delta": delta, "finish_reason": finish, **members}
    return {**HEAD, "choices": [choice]}


def read(*chunks: object) -> list[ChatEvent]:
    """The events of all chunks; bytes stand for themselves."""
    reader = DIALECT.reader()
    found: list[ChatEvent] = []
    for item in chunks:
        data = item if isinstance(item, bytes) else json.dumps(item).encode()
        found += reader.read(SseEvent(data, data))
    return found + reader.end()


def parts(*chunks: object) -> tuple[object, ...]:
    """The parts of the first choice, folded."""
    return fold(read(*chunks, chunk({}, "stop"), b"[DONE]")).choices[0].parts


def call(**members: object) -> dict[str, object]:
    return chunk({"tool_calls": [members]})


def test_a_stream() -> None:
    """Started, a part with its pieces, its end, the finish, the usage, and the dialect's end."""
    assert read(
        b"",
        {"choices": [], "id": "", "model": "", "prompt_filter_results": []},
        chunk({"role": "assistant", "content": "", "refusal": None}),
        chunk({"content": "a"}),
        chunk({"content": "b"}, obfuscation="xyz"),
        chunk({}, "stop"),
        {**HEAD, "choices": [], "usage": COUNTS},
        b"[DONE]",
    ) == [
        Started("c-1", "m", 7),
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "a"),
        PartDelta(0, 0, "b"),
        PartEnded(0, 0),
        Finished(0, "stop"),
        Used(Usage(9, 2)),
        Done(),
    ]


def test_calls_side_by_side() -> None:
    """Fragments find their call by its index; an id comes in the first only."""
    assert read(
        call(index=0, id="a", type="function", function={"name": "f", "arguments": ""}),
        call(index=0, function={"arguments": '{"x"'}),
        call(index=1, id="b", type="function", function={"name": "g", "arguments": ""}),
        call(index=0, function={"arguments": ":1}"}),
        call(index=1, function={"arguments": "{}"}),
        chunk({}, "tool_calls"),
    ) == [
        Started("c-1", "m", 7),
        PartStarted(0, 0, ToolCall("a", "f")),
        PartDelta(0, 0, '{"x"'),
        PartStarted(0, 1, ToolCall("b", "g")),
        PartDelta(0, 0, ":1}"),
        PartDelta(0, 1, "{}"),
        PartEnded(0, 0),
        PartEnded(0, 1),
        Finished(0, "tool_calls"),
    ]


CALLS: list[tuple[str, list[dict[str, object]], list[ToolCall]]] = [
    (
        "whole, without an index (Google)",
        [
            call(id="a", type="function", function={"name": "f", "arguments": "{}"}),
            call(id="b", type="function", function={"name": "f", "arguments": '{"x":1}'}),
        ],
        [ToolCall("a", "f", "{}"), ToolCall("b", "f", '{"x":1}')],
    ),
    (
        "in fragments, without an index",
        [
            call(id="a", function={"name": "f", "arguments": '{"x"'}),
            call(id="", type="", function={"arguments": ":1}"}),
        ],
        [ToolCall("a", "f", '{"x":1}')],
    ),
    (
        "all under index 0",
        [
            call(index=0, id="a", function={"name": "f", "arguments": "{}"}),
            call(index=0, id="b", function={"name": "f", "arguments": "{}"}),
        ],
        [ToolCall("a", "f", "{}"), ToolCall("b", "f", "{}")],
    ),
    (
        "name and id repeated in every fragment",
        [
            call(index=0, id="a", function={"name": "f", "arguments": '{"x"'}),
            call(index=0, id="a", function={"name": "f", "arguments": ":1}"}),
        ],
        [ToolCall("a", "f", '{"x":1}')],
    ),
    (
        "another id in every fragment, the name only in the first (older vLLM)",
        [
            call(index=0, id="a", function={"name": "f", "arguments": ""}),
            call(index=0, id="b", function={"arguments": "{}"}),
        ],
        [ToolCall("a", "f", "{}")],
    ),
    (
        "the id before the name",
        [
            call(index=0, id="a", type="function"),
            call(index=0, function={"name": "f", "arguments": "{}"}),
        ],
        [ToolCall("a", "f", "{}")],
    ),
    (
        "no ids",
        [
            call(index=0, function={"name": "f", "arguments": "{}"}),
            call(index=1, function={"name": "g", "arguments": {"x": 1}}),
        ],
        [
            ToolCall("call_c-1choices0_0", "f", "{}"),
            ToolCall("call_c-1choices0_1", "g", '{"x": 1}'),
        ],
    ),
    (
        "the older form",
        [
            chunk({"function_call": {"name": "f", "arguments": ""}}),
            chunk({"function_call": {"arguments": "{}"}}),
        ],
        [ToolCall("call_c-1choices0_0", "f", "{}")],
    ),
    (
        "signed (Google)",
        [
            call(
                id="a",
                function={"name": "f", "arguments": "{}"},
                extra_content={"google": {"thought_signature": "S"}},
            )
        ],
        [ToolCall("a", "f", "{}", "S", ORIGIN)],
    ),
]


@pytest.mark.parametrize(("what", "chunks", "expected"), CALLS)
def test_calls(what: str, chunks: list[object], expected: list[ToolCall]) -> None:
    """Calls are told apart however their provider numbers them."""
    assert list(parts(*chunks)) == expected, what


def test_a_signature_by_itself() -> None:
    """Google may send a call's signature behind it, with nothing else."""
    events = read(
        call(id="a", function={"name": "f", "arguments": "{}"}),
        call(extra_content={"google": {"thought_signature": "S"}}),
    )
    assert events[-1] == PartSigned(0, 0, "S")


def test_a_finish_with_calls() -> None:
    """An answer with calls waits for them, whatever the provider's word (Google, Ollama)."""
    events = read(call(id="a", function={"name": "f", "arguments": "{}"}), chunk({}, "stop"))
    assert events[-1] == Finished(0, "tool_calls")


@pytest.mark.parametrize("place", ["reasoning_content", "reasoning"])
def test_plain_reasoning(place: str) -> None:
    """Its signature is the place it was in, said when it ends."""
    assert read(
        chunk({"role": "assistant", "content": None, place: "h"}),
        chunk({"content": "", place: "m"}),
        chunk({"content": "a", place: None}),
        chunk({}, "stop"),
    ) == [
        Started("c-1", "m", 7),
        PartStarted(0, 0, Reasoning(origin=ORIGIN)),
        PartDelta(0, 0, "h"),
        PartDelta(0, 0, "m"),
        PartSigned(0, 0, place),
        PartEnded(0, 0),
        PartStarted(0, 1, Text("")),
        PartDelta(0, 1, "a"),
        PartEnded(0, 1),
        Finished(0, "stop"),
    ]


def details(*entries: object, **members: object) -> dict[str, object]:
    return chunk({"reasoning_details": list(entries), **members})


FORM = "anthropic-claude-v1"


@pytest.mark.parametrize(
    ("chunks", "expected"),
    [
        (
            [
                details({"type": "reasoning.text", "text": "h", "format": FORM}, reasoning="h"),
                details({"type": "reasoning.text", "text": "m", "format": FORM}, reasoning="m"),
                details({"type": "reasoning.text", "signature": "S", "format": FORM}, content=""),
                chunk({"content": "a"}),
            ],
            [Reasoning("hm", f"text|{FORM}|S", origin=ORIGIN), Text("a")],
        ),
        (
            [
                details({"type": "reasoning.summary", "summary": "h", "index": 0}),
                details({"type": "reasoning.summary", "summary": "m", "index": 0}),
                details({"type": "reasoning.summary", "summary": "x", "index": 1}),
                details({"type": "reasoning.encrypted", "data": "D", "id": "rs", "index": 2}),
                chunk({"content": "a"}),
            ],
            [
                Reasoning("hm", "summary||", origin=ORIGIN),
                Reasoning("x", "summary||", origin=ORIGIN),
                Reasoning("", None, "|D", "rs", ORIGIN),
                Text("a"),
            ],
        ),
        (
            [details({"type": "reasoning.text", "text": ""}, {"type": "reasoning.new"})],
            [],
        ),
    ],
)
def test_reasoning_details(chunks: list[object], expected: list[object]) -> None:
    """OpenRouter's details: each its own part, its proof with its format."""
    assert list(parts(*chunks)) == expected


def test_thinking_parts() -> None:
    """Mistral's content is parts while it thinks, and a string from then on."""
    assert parts(
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}]}),
        chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "m"}]}]}),
        chunk({"content": [{"type": "text", "text": "a"}]}),
        chunk({"content": "b"}),
    ) == (Reasoning("hm", "thinking", origin=ORIGIN), Text("ab"))


def test_refusals() -> None:
    """A model's own refusal is a part, and what ends the answer."""
    events = read(chunk({"refusal": "n"}), chunk({"refusal": "o"}), chunk({}, "stop"))
    assert fold(events).choices[0].parts == (Refusal("no"),)
    assert events[-1] == Finished(0, "refusal")


def test_citations() -> None:
    """Places count from the start of their part of text; behind the text there are none."""

    def cites(start: int) -> dict[str, object]:
        citation = {"url": "https://a.test", "start_index": start, "end_index": start + 1}
        return {"annotations": [{"type": "url_citation", "url_citation": citation}]}

    events = read(
        chunk({"content": "ab"}),
        chunk({"reasoning": "h"}),
        chunk({"content": "cd"}),
        chunk(cites(3)),
        chunk({"refusal": "x"}),
        chunk(cites(0)),
    )
    found = [event for event in events if isinstance(event, Cited)]
    assert found == [Cited(0, 2, Citation("https://a.test", start=1, end=2))]


def test_logprobs_and_choices() -> None:
    """Choices are told apart by their index; logprobs come beside their tokens."""
    token = {"token": "a", "logprob": -1.0}
    both: dict[str, object] = {
        **HEAD,
        "choices": [
            {"index": 1, "delta": {"content": "b"}, "finish_reason": "length"},
            {"index": 0, "delta": {"content": "a"}, "logprobs": {"content": [token]}},
        ],
    }
    assert read(both, chunk(None, "stop"))[1:] == [
        PartStarted(1, 0, Text("")),
        PartDelta(1, 0, "b"),
        PartEnded(1, 0),
        Finished(1, "length"),
        PartStarted(0, 0, Text("")),
        PartDelta(0, 0, "a"),
        Logprobs(0, (token,)),
        PartEnded(0, 0),
        Finished(0, "stop"),
    ]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"[DONE]"],
        [chunk({"content": "a"}), b"[DONE]"],
        [chunk({"content": "a"}, ""), b"[DONE]"],
        [chunk({"content": "a"}), chunk({}, "stop")],
        [chunk({"content": "a"}), chunk({}, "stop"), chunk(None, index=1), b"[DONE]"],
    ],
)
def test_never_done_before_the_end(chunks: list[object]) -> None:
    """Without `[DONE]`, or with a choice that has no finish reason, the stream is not whole."""
    assert Done() not in read(*chunks)


def test_a_finish_that_is_said_twice() -> None:
    """The first holds; what follows the end is not read."""
    events = read(
        chunk({"content": "a"}, "stop"),
        chunk({"content": ""}, "stop", usage=COUNTS),
        b"[DONE]",
        chunk({"content": "b"}),
    )
    assert [event for event in events if isinstance(event, Finished)] == [Finished(0, "stop")]
    assert events[-1] == Done()


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (
            {"error": {"message": "overloaded", "type": "server_error", "code": 502}},
            Failed("overloaded", "server_error", "502"),
        ),
        ({"error": "overloaded", "choices": []}, Failed("overloaded")),
        (
            chunk({}, "insufficient_system_resource"),
            Failed(
                "the provider stopped: insufficient_system_resource",
                code="insufficient_system_resource",
            ),
        ),
    ],
)
def test_failures(item: object, expected: Failed) -> None:
    """A failure in a stream is one, in whatever shape it is said."""
    assert read(item)[-1] == expected


@pytest.mark.parametrize(
    "item",
    [
        b"hello",
        b"{",
        b"\xff",
        b"[" * 1000,
        [],
        {},
        {"choices": None},
        {"choices": [1]},
        {"choices": [{"index": "0"}]},
        {"choices": [{"index": -1}]},
        {"choices": [{"index": 10**9}]},
        {"choices": [{"delta": []}]},
        {"choices": [], "usage": COUNTS, "created": "now"},
        chunk({"content": 1}),
        chunk({"content": [{"type": "text"}]}),
        chunk({"reasoning": {}}),
        chunk({"tool_calls": {"a": 1}}),
        call(index=0, function={"arguments": "{}"}),
        call(index=0, function={"name": 1}),
        call(index="0", function={"name": "f"}),
        call(index=0, function={"name": "f", "arguments": []}),
        chunk({}, 1),
    ],
)
def test_malformed_chunks(item: object) -> None:
    """What is not of this dialect is Malformed."""
    with pytest.raises(Malformed):
        read(item)


def test_nothing_goes_on_after_its_end() -> None:
    """More of a choice that has ended is Malformed: it would be lost."""
    with pytest.raises(Malformed):
        read(chunk({"content": "a"}, "stop"), chunk({"content": "b"}))
