"""OpenAI Chat Completions, whole answers: what providers send, and what clients get.

Facts: https://platform.openai.com/docs/api-reference/chat/object.
"""

import json

import pytest

from gateway.core.answers import Answer, Choice, Finish
from gateway.core.chat import Usage
from gateway.core.conversation import (
    Citation,
    Json,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
)
from gateway.core.dialect import Malformed
from gateway.core.dialects.openai_chat import DIALECT
from gateway.core.dialects.openai_chat.answers import write_answer
from tests.core.samples import chat

ORIGIN = "openai-chat"
CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}


def dumped(value: object) -> bytes:
    return json.dumps(value).encode()


def read(message: object, finish: object = "stop", **members: object) -> Choice:
    choice = {"index": 0, "message": message, "finish_reason": finish, **members}
    return DIALECT.read_answer(dumped({"choices": [choice]})).choices[0]


def test_a_whole_answer() -> None:
    """All that a provider says of an answer is read; what it does not say is None."""
    found = DIALECT.read_answer(
        dumped(
            {
                "id": "chatcmpl-1",
                "object": "chat.completion",
                "created": 7,
                "model": "m",
                "system_fingerprint": "fp",
                "service_tier": "default",
                "choices": [
                    {"index": 1, "message": {"content": "b"}, "finish_reason": "length"},
                    {"index": 0, "message": {"content": "a"}, "finish_reason": "stop"},
                ],
                "usage": {
                    "prompt_tokens": 9,
                    "completion_tokens": 5,
                    "total_tokens": 14,
                    "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
                    "completion_tokens_details": {"reasoning_tokens": 3},
                },
            }
        )
    )
    assert found == Answer(
        (Choice((Text("a"),), "stop"), Choice((Text("b"),), "length")),
        "chatcmpl-1",
        "m",
        7,
        Usage(9, 5, 4, 3, 2),
    )
    bare = DIALECT.read_answer(dumped({"choices": [{"message": {}}]}))
    assert bare == Answer((Choice(()),))


MESSAGES: list[tuple[Json, tuple[Part, ...]]] = [
    ({"content": "a"}, (Text("a"),)),
    ({"content": ""}, ()),
    ({"content": None, "refusal": "no"}, (Refusal("no"),)),
    ({"content": "", "tool_calls": [CALL]}, (ToolCall("a", "f", "{}"),)),
    ({"content": "a", "tool_calls": [], "function_call": None}, (Text("a"),)),
    (  # DeepSeek, Moonshot, xAI
        {"content": "a", "reasoning_content": "hm"},
        (Reasoning("hm", "reasoning_content", origin=ORIGIN), Text("a")),
    ),
    (  # Groq, Cerebras, Ollama
        {"content": "a", "reasoning": "hm", "reasoning_content": ""},
        (Reasoning("hm", "reasoning", origin=ORIGIN), Text("a")),
    ),
    (  # OpenRouter
        {
            "content": "a",
            "reasoning": "hm",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": "S", "format": "x-v1"}
            ],
        },
        (Reasoning("hm", "text|x-v1|S", origin=ORIGIN), Text("a")),
    ),
    (  # Mistral
        {
            "content": [
                {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}], "closed": True},
                {"type": "text", "text": "a"},
                {"type": "reference", "reference_ids": [1]},
            ]
        },
        (Reasoning("hm", "thinking", origin=ORIGIN), Text("a")),
    ),
    (  # Google
        {
            "tool_calls": [
                {**CALL, "extra_content": {"google": {"thought_signature": "S"}}},
            ]
        },
        (ToolCall("a", "f", "{}", "S", ORIGIN),),
    ),
    (  # no ids, arguments as an object
        {
            "tool_calls": [
                {"function": {"name": "f", "arguments": {"a": 1}}},
                {"id": "", "function": {"name": "g", "arguments": None}},
            ]
        },
        (
            ToolCall("call_choices0_0", "f", '{"a": 1}'),
            ToolCall("call_choices0_1", "g", ""),
        ),
    ),
    (
        {"function_call": {"name": "f", "arguments": "{}"}},
        (ToolCall("call_choices0_0", "f", "{}"),),
    ),
    ({"tool_calls": [{"id": "a", "type": "custom", "custom": {"name": "x"}}]}, ()),
    (
        {
            "content": "a b",
            "annotations": [
                {
                    "type": "url_citation",
                    "url_citation": {
                        "url": "https://a.test",
                        "title": "t",
                        "start_index": 0,
                        "end_index": 1,
                    },
                },
                {"type": "file_citation"},
            ],
        },
        (Text("a b", (Citation("https://a.test", "t", None, 0, 1),)),),
    ),
]


@pytest.mark.parametrize(("message", "parts"), MESSAGES)
def test_messages(message: Json, parts: tuple[Part, ...]) -> None:
    """Each part is found wherever its provider puts it."""
    assert read({"role": "assistant", **message}).parts == parts


@pytest.mark.parametrize(
    ("word", "message", "finish"),
    [
        ("stop", {"content": "a"}, "stop"),
        ("length", {"content": "a"}, "length"),
        ("model_length", {"content": "a"}, "length"),
        ("content_filter", {"content": "a"}, "content_filter"),
        ("tool_calls", {"tool_calls": [CALL]}, "tool_calls"),
        ("function_call", {"function_call": {"name": "f"}}, "tool_calls"),
        ("stop", {"tool_calls": [CALL]}, "tool_calls"),
        ("stop", {"refusal": "no"}, "refusal"),
        ("eos", {"content": "a"}, "stop"),
        ("", {"content": "a"}, None),
        (None, {"content": "a"}, None),
    ],
)
def test_finish_reasons(word: object, message: Json, finish: Finish | None) -> None:
    """What ended it, in whatever word: an answer with calls waits for them."""
    assert read(message, word).finish == finish


@pytest.mark.parametrize(
    ("members", "stopped_by"), [({"stop_reason": "END"}, "END"), ({"stop_reason": 7}, None)]
)
def test_stop_sequences(members: dict[str, object], stopped_by: str | None) -> None:
    """vLLM says which stop sequence it was."""
    assert read({"content": "a"}, **members).stopped_by == stopped_by


def test_logprobs() -> None:
    """One object a token, of the content or of the refusal."""
    token = {"token": "a", "logprob": -1.0, "bytes": None, "top_logprobs": []}
    assert read({}, logprobs={"content": [token], "refusal": None}).logprobs == (token,)
    assert read({}, logprobs={"content": None, "refusal": [token]}).logprobs == (token,)
    assert read({}, logprobs=None).logprobs == ()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        dumped({}),
        dumped({"choices": []}),
        dumped({"choices": None}),
        dumped({"choices": [None]}),
        dumped({"choices": [{}]}),
        dumped({"choices": [{"message": []}]}),
        dumped({"choices": [{"message": {"content": 1}}]}),
        dumped({"choices": [{"message": {"content": [{"type": "text"}]}}]}),
        dumped({"choices": [{"message": {"tool_calls": [{"id": 1}]}}]}),
        dumped({"choices": [{"message": {"tool_calls": [{"function": {}}]}}]}),
        dumped({"choices": [{"message": {}, "finish_reason": 1}]}),
        dumped({"choices": [{"message": {}}], "id": 1}),
        dumped({"choices": [{"message": {}}], "error": {"message": "overloaded"}}),
        # DeepSeek and OpenRouter: the provider gave up
        dumped({"choices": [{"message": {}, "finish_reason": "insufficient_system_resource"}]}),
        dumped({"choices": [{"message": {}, "finish_reason": "error"}]}),
    ],
)
def test_malformed_answers(body: bytes) -> None:
    """What is no answer, or half of one, is Malformed."""
    with pytest.raises(Malformed):
        DIALECT.read_answer(body)


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        # xAI: its reasoning is not among the completion tokens
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103, None, 94),
        ),
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 103,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103, None, 94),
        ),
        # Google's endpoint: thoughts are in the total only
        (
            {"prompt_tokens": 50, "completion_tokens": 34, "total_tokens": 140},
            Usage(50, 90),
        ),
        (
            {
                "prompt_tokens": 9,
                "completion_tokens": 1,
                "total_tokens": 20,
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            Usage(9, 1, None, 0),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 3}, Usage(9, 1)),
        # DeepSeek, Moonshot
        (
            {"prompt_tokens": 9, "completion_tokens": 1, "prompt_cache_hit_tokens": 4},
            Usage(9, 1, 4),
        ),
        ({"prompt_tokens": 9, "completion_tokens": 1, "cached_tokens": 4}, Usage(9, 1, 4)),
        ({"prompt_tokens": 9}, None),
        (None, None),
    ],
)
def test_usage(usage: object, expected: Usage | None) -> None:
    """However a provider counts, output has the reasoning in it and input what was cached."""
    body = dumped({"choices": [{"message": {"content": "a"}}], "usage": usage})
    assert DIALECT.read_answer(body).usage == expected


# --- For clients -------------------------------------------------------------


def written(parts: tuple[Part, ...], finish: Finish | None = "stop") -> Json:
    """The choice that a client gets."""
    found = json.loads(write_answer(Answer((Choice(parts, finish),))))
    choice = found["choices"][0]
    assert isinstance(choice, dict)
    return choice


def test_what_a_client_gets() -> None:
    """The shape of OpenAI's object, with every member that its types want."""
    usage = Usage(9, 5, 4, 3, 2)
    answer = Answer((Choice((Text("a"),), "stop"),), "id", "m", 7, usage)
    assert json.loads(write_answer(answer)) == {
        "id": "id",
        "object": "chat.completion",
        "created": 7,
        "model": "m",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "a", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {
            "prompt_tokens": 9,
            "completion_tokens": 5,
            "total_tokens": 14,
            "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2},
            "completion_tokens_details": {"reasoning_tokens": 3},
        },
    }
    bare = json.loads(write_answer(Answer((Choice(()),))))
    assert "usage" not in bare
    assert (bare["id"], bare["created"], bare["model"]) == ("", 0, "")
    assert bare["choices"][0]["finish_reason"] is None


ANTHROPIC = "anthropic-messages"
SEAL = f"tiergate.{ANTHROPIC}."


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ((), {"content": "", "refusal": None}),
        ((Text("a"), Text("b")), {"content": "ab", "refusal": None}),
        ((Refusal("no"),), {"content": None, "refusal": "no"}),
        (
            (ToolCall("a", "f", "", "S", "gemini"),),
            {
                "content": None,
                "refusal": None,
                "tool_calls": [
                    {
                        **CALL,
                        "extra_content": {"google": {"thought_signature": "tiergate.gemini.S"}},
                    }
                ],
            },
        ),
        (
            (Reasoning("hm"), Text("a")),
            {"content": "a", "refusal": None, "reasoning_content": "hm"},
        ),
        (
            (
                Reasoning("hm", "S", origin=ANTHROPIC),
                Reasoning("", None, "D", origin=ANTHROPIC),
                Text("a"),
            ),
            {
                "content": "a",
                "refusal": None,
                "reasoning_content": "hm",
                "reasoning_details": [
                    {
                        "type": "reasoning.text",
                        "index": 0,
                        "text": "hm",
                        "signature": f"{SEAL}S",
                    },
                    {"type": "reasoning.encrypted", "index": 1, "data": f"{SEAL}D"},
                ],
            },
        ),
        (  # places count in all of the text; a source without an address has no form here
            (
                Text("ab", (Citation("https://b.test", "b"),)),
                Text("cd", (Citation("https://a.test", None, "q", 0, 1), Citation(quote="x"))),
            ),
            {
                "content": "abcd",
                "refusal": None,
                "annotations": [
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://b.test",
                            "title": "b",
                            "start_index": 0,
                            "end_index": 2,
                        },
                    },
                    {
                        "type": "url_citation",
                        "url_citation": {
                            "url": "https://a.test",
                            "title": "",
                            "content": "q",
                            "start_index": 2,
                            "end_index": 3,
                        },
                    },
                ],
            },
        ),
    ],
)
def test_messages_for_clients(parts: tuple[Part, ...], expected: Json) -> None:
    """Each part has its place; another provider's proofs are sealed."""
    assert written(parts)["message"] == {"role": "assistant", **expected}


@pytest.mark.parametrize(
    ("finish", "parts", "word"),
    [
        ("stop", (Text("a"),), "stop"),
        ("length", (Text("a"),), "length"),
        ("tool_calls", (ToolCall("a", "f"),), "tool_calls"),
        ("content_filter", (), "content_filter"),
        ("refusal", (Refusal("no"),), "stop"),
        ("refusal", (Text("a"),), "content_filter"),
        ("pause", (Text("a"),), "length"),
    ],
)
def test_finish_reasons_for_clients(finish: Finish, parts: tuple[Part, ...], word: str) -> None:
    """Each end in one of OpenAI's words."""
    assert written(parts, finish)["finish_reason"] == word


def test_a_client_of_the_old_functions() -> None:
    """A client that gave `functions` looks for `function_call`."""
    answer = Answer((Choice((ToolCall("a", "f", '{"x":1}'),), "tool_calls"),))
    client = chat(functions=[{"name": "f"}])
    choice = json.loads(write_answer(answer, client))["choices"][0]
    assert choice["message"]["function_call"] == {"name": "f", "arguments": '{"x":1}'}
    assert "tool_calls" not in choice["message"]
    assert choice["finish_reason"] == "function_call"
