"""Answers that end well and say nothing: another target may say more."""

import json
from typing import Any

import pytest

from gateway.core.dialects import DIALECTS
from tests.core.samples import provider, target
from tests.flow.exchanges import ANSWERS, REQUESTS, STREAMS, data, named
from tests.flow.test_dialects import path_of, streamed, whole
from tests.flow.world import Got, World, refusal, world

NAMES = tuple(DIALECTS)
PAIRS = [(client, name) for client in NAMES for name in NAMES]


def emptied(name: str, *, is_cut: bool = False) -> dict[str, Any]:
    """A provider's answer without a word; `is_cut`: at its limit of tokens."""
    answer: dict[str, Any] = json.loads(json.dumps(ANSWERS[name]))
    match name:
        case "openai-chat":
            answer["choices"][0]["message"] = {"role": "assistant", "content": ""}
            answer["choices"][0]["finish_reason"] = "length" if is_cut else "stop"
        case "openai-responses":
            answer["output"] = []
            if is_cut:
                answer["status"] = "incomplete"
                answer["incomplete_details"] = {"reason": "max_output_tokens"}
        case "anthropic-messages":
            answer["content"] = []
            answer["stop_reason"] = "max_tokens" if is_cut else "end_turn"
        case _:
            answer["candidates"][0]["content"] = {"role": "model"}
            answer["candidates"][0]["finishReason"] = "MAX_TOKENS" if is_cut else "STOP"
    return answer


def without_words(name: str) -> list[bytes]:
    """The same as a stream."""
    answer = emptied(name)
    match name:
        case "openai-chat":
            head = {"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m-1"}
            role = {"index": 0, "delta": {"role": "assistant"}, "finish_reason": None}
            end = {"index": 0, "delta": {}, "finish_reason": "stop"}
            chunks = [data({**head, "choices": [choice]}) for choice in (role, end)]
            return [*chunks, b"data: [DONE]\n\n"]
        case "openai-responses":
            begun = {**answer, "status": "in_progress"}
            return [
                named({"type": "response.created", "sequence_number": 0, "response": begun}),
                named({"type": "response.completed", "sequence_number": 1, "response": answer}),
            ]
        case "anthropic-messages":
            delta = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {}}
            return [STREAMS[name][0], named(delta), named({"type": "message_stop"})]
        case _:
            return [data(answer)]


def ask(client: str, name: str, *upstreams: Any, is_stream: bool = False) -> tuple[World, Got]:  # noqa: ANN401
    """The answer of a gateway with two targets whose providers speak this dialect."""
    rows = {each: provider(each, dialect=name, key=None) for each in ("one", "two")}
    tiers = [{"name": "only", "description": "d", "targets": [target("one/m"), target("two/m", 0)]}]
    settings: dict[str, Any] = {"default_tier": "only", "models": {}, "prices": {}}
    gateway = world(*upstreams, providers=rows, tiers=tiers, **settings)
    path, query = path_of(client, is_stream=is_stream)
    request = REQUESTS[client] | ({"stream": True} if is_stream and client != "gemini" else {})
    return gateway, gateway.ask(json.dumps(request).encode(), path=path, query=query)


@pytest.mark.parametrize(("client", "name"), PAIRS)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_another_target_says_more(client: str, name: str, *, is_stream: bool) -> None:
    """An answer without a word is no answer while another target has one."""
    if is_stream:
        scripts = [streamed(*without_words(name)), streamed(*STREAMS[name])]
    else:
        scripts = [whole(emptied(name)), whole(ANSWERS[name])]
    gateway, got = ask(client, name, *scripts, is_stream=is_stream)
    assert got.status == 200
    assert got.headers["x-tiergate-fallback"] == "one/m;empty"
    assert "get_weather" in got.body.decode()
    assert gateway.record["usage"]["output"] == 7


@pytest.mark.parametrize(("client", "name"), PAIRS)
@pytest.mark.parametrize("is_stream", [False, True], ids=["whole", "stream"])
def test_it_is_better_than_none(client: str, name: str, *, is_stream: bool) -> None:
    """Where nobody says more the client gets it, as it was given."""
    first = streamed(*without_words(name)) if is_stream else whole(emptied(name))
    gateway, got = ask(client, name, first, refusal(500), is_stream=is_stream)
    assert got.status == 200
    assert got.headers["x-tiergate-provider"] == "one"
    assert [each["outcome"] for each in gateway.record["attempts"]] == ["empty", "server_error"]
    kind = "text/event-stream" if is_stream else "application/json"
    assert got.headers["content-type"] == kind


@pytest.mark.parametrize(("client", "name"), PAIRS)
def test_an_end_that_explains_itself(client: str, name: str) -> None:
    """A limit that was reached before the first word is the answer: more asking changes nothing."""
    gateway, got = ask(client, name, whole(emptied(name, is_cut=True)))
    assert got.status == 200
    assert gateway.asked == ["one.test"]
    assert "x-tiergate-fallback" not in got.headers
