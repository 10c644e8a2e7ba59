"""OpenAI's client on chat completions, with providers of every dialect behind the gateway."""

import asyncio
import base64
import json
import struct
from typing import Any

import openai
import pytest
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessage,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
)

from tests.component import peers
from tests.component.conftest import Behind, NewPeer
from tests.component.gateways import SECRETS, Gateway, make_policy
from tests.component.heard import said, schema_of, tools_of
from tests.component.peers import says
from tests.component.providers import (
    CACHED,
    IN,
    OUT,
    THINKING,
    THOUGHT,
    Said,
    broken,
    refusal,
)
from tests.component.weather import (
    ABOUT,
    ASKED,
    FIRST,
    LOOK,
    PLAIN,
    PNG_BASE64,
    QUESTION,
    RAIN,
    REPLY,
    SCHEMA,
    SECOND,
    SYSTEM,
    TOOL,
    TRIP,
    TYPED,
    Trip,
    check_loop,
    told,
)

ASK: list[ChatCompletionMessageParam] = [
    {"role": "system", "content": SYSTEM},
    {"role": "user", "content": QUESTION},
]
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {"name": TOOL, "description": ABOUT, "parameters": SCHEMA, "strict": True},
}
BROKEN = Said("One half of it comes, and then nothing more of it.")


def test_whole(gateway: Gateway, behind: Behind) -> None:
    """A whole answer has the provider's text, its reasoning, its end and its counts."""
    provider = behind(PLAIN)
    with gateway.sdk() as sdk:
        answer = sdk.chat.completions.create(
            model="auto", messages=ASK, max_completion_tokens=200, temperature=0.5
        )
    (choice,) = answer.choices
    assert choice.message.content == REPLY
    assert getattr(choice.message, "reasoning_content", None) == THINKING
    assert choice.finish_reason == "stop"
    usage = answer.usage
    assert usage
    assert (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) == (IN, OUT, IN + OUT)
    assert usage.prompt_tokens_details
    assert usage.prompt_tokens_details.cached_tokens == CACHED
    assert usage.completion_tokens_details
    assert usage.completion_tokens_details.reasoning_tokens == THOUGHT
    assert told(provider) == ASKED
    assert SECRETS["E2E_PROVIDER_KEY"] in str(provider.headers())


def test_streamed(gateway: Gateway, behind: Behind) -> None:
    """A stream is the same, piece by piece, its usage in a chunk of its own."""
    provider = behind(PLAIN)
    with gateway.sdk() as sdk:
        chunks = list(
            sdk.chat.completions.create(
                model="auto", messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        )
    *others, last = chunks
    deltas = [chunk.choices[0].delta for chunk in others]
    assert "".join(delta.content or "" for delta in deltas) == REPLY
    thoughts = [getattr(delta, "reasoning_content", None) or "" for delta in deltas]
    assert "".join(thoughts) == THINKING
    assert others[-1].choices[0].finish_reason == "stop"
    assert not last.choices
    assert last.usage
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (IN, OUT)
    assert len({chunk.id for chunk in chunks}) == 1
    assert told(provider) == ASKED


def test_stream_helper(gateway: Gateway, behind: Behind) -> None:
    """The stream helper gathers text and typed calls, and sees the end of each."""
    behind(FIRST)
    with (
        gateway.sdk() as sdk,
        sdk.chat.completions.stream(model="auto", messages=ASK, tools=[WEATHER]) as stream,
    ):
        seen = list(stream)
        final = stream.get_final_completion()
    text = "".join(event.delta for event in seen if event.type == "content.delta")
    ended = [event for event in seen if event.type == "tool_calls.function.arguments.done"]
    assert text == LOOK
    assert [event.parsed_arguments for event in ended] == [{"city": city} for city in RAIN]
    (choice,) = final.choices
    assert choice.finish_reason == "tool_calls"
    assert choice.message.content == LOOK
    calls = choice.message.tool_calls or []
    assert [call.function.parsed_arguments for call in calls] == [{"city": city} for city in RAIN]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_loop(gateway: Gateway, behind: Behind, *, stream: bool) -> None:
    """The provider's own turn comes back to it with the results, its proof unchanged."""
    provider = behind(FIRST, SECOND)
    messages: list[Any] = [*ASK]
    with gateway.sdk() as sdk:
        message = _turn(sdk, messages, stream=stream)
        messages.append(message)
        for call in message.tool_calls or []:
            assert isinstance(call, ChatCompletionMessageFunctionToolCall)
            city = json.loads(call.function.arguments)["city"]
            messages.append({"role": "tool", "tool_call_id": call.id, "content": RAIN[city]})
        last = _turn(sdk, messages, stream=stream)
    assert last.content == REPLY
    assert not last.tool_calls
    check_loop(provider)
    assert tools_of(provider.dialect, provider.asked[1]) == {TOOL: SCHEMA}


def _turn(sdk: openai.OpenAI, messages: list[Any], *, stream: bool) -> ChatCompletionMessage:
    if not stream:
        answer = sdk.chat.completions.create(
            model="auto", messages=messages, tools=[WEATHER], reasoning_effort="medium"
        )
        return answer.choices[0].message
    with sdk.chat.completions.stream(
        model="auto", messages=messages, tools=[WEATHER], reasoning_effort="medium"
    ) as stream_:
        stream_.until_done()
        return stream_.get_final_completion().choices[0].message


async def _both(sdk: openai.AsyncOpenAI) -> tuple[str | None, str]:
    async with sdk:
        whole = await sdk.chat.completions.create(model="auto", messages=ASK)
        stream = await sdk.chat.completions.create(model="auto", messages=ASK, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    return whole.choices[0].message.content, "".join(pieces)


def test_async(gateway: Gateway, behind: Behind) -> None:
    """The asynchronous client gets the same answers, whole and streamed."""
    behind(PLAIN, PLAIN)
    assert asyncio.run(_both(gateway.async_sdk())) == (REPLY, REPLY)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_parse(gateway: Gateway, behind: Behind, *, stream: bool) -> None:
    """A class's schema reaches the provider, and its answer is an object of that class."""
    provider = behind(TYPED)
    completions = gateway.sdk().chat.completions
    if stream:
        with completions.stream(model="auto", messages=ASK, response_format=Trip) as stream_:
            stream_.until_done()
            message = stream_.get_final_completion().choices[0].message
    else:
        answer = completions.parse(model="auto", messages=ASK, response_format=Trip)
        message = answer.choices[0].message
    assert message.parsed == TRIP
    asked = schema_of(provider.dialect, provider.asked[0])
    assert set(asked["properties"]) == {"place", "days", "notes"}
    assert asked["additionalProperties"] is False


def test_images(gateway: Gateway, behind: Behind) -> None:
    """An image reaches the provider byte by byte, in its place."""
    provider = behind(SECOND)
    content: list[Any] = [
        {"type": "text", "text": "What is"},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG_BASE64}"}},
        {"type": "text", "text": "this?"},
    ]
    with gateway.sdk() as sdk:
        sdk.chat.completions.create(model="auto", messages=[{"role": "user", "content": content}])
    assert told(provider) == [
        said("user", "What is"),
        said("image", PNG_BASE64),
        said("user", "this?"),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_cut_at_its_limit(gateway: Gateway, behind: Behind, *, stream: bool) -> None:
    """An answer that reached its limit of tokens says so; `parse` raises on it."""
    provider = behind(Said(REPLY, is_cut=True), Said('{"place": ', is_cut=True))
    with gateway.sdk() as sdk:
        got = sdk.chat.completions.create(
            model="auto", messages=ASK, max_completion_tokens=17, stream=stream
        )
        choices = [chunk.choices[0] for chunk in got] if stream else got.choices  # type: ignore[union-attr]
        assert choices[-1].finish_reason == "length"
        with pytest.raises(openai.LengthFinishReasonError):
            sdk.chat.completions.parse(model="auto", messages=ASK, response_format=Trip)
    assert "17" in str(provider.asked[0])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("status", "error", "seen"),
    [
        (400, openai.BadRequestError, 400),
        (429, openai.RateLimitError, 429),
        (500, openai.InternalServerError, 502),
    ],
)
def test_errors(
    gateway: Gateway,
    behind: Behind,
    dialect: str,
    status: int,
    error: type[openai.APIStatusError],
    seen: int,
    *,
    stream: bool,
) -> None:
    """A provider's refusal raises the SDK's own class for it."""
    behind(refusal(dialect, status, "Not like that.", {"retry-after": "7"}))
    with gateway.sdk() as sdk, pytest.raises(error) as raised:
        sdk.chat.completions.create(model="auto", messages=ASK, stream=stream)
    assert raised.value.status_code == seen
    if status == 400:
        assert "Not like that." in raised.value.message
        assert raised.value.type == "invalid_request_error"
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


def test_wrong_key(gateway: Gateway, behind: Behind) -> None:
    """The gateway's own key is what counts, wherever the answer would have come from."""
    behind(SECOND, client={"keys": ["E2E_CLIENT_KEY"]})
    with pytest.raises(openai.AuthenticationError):
        gateway.sdk("wrong").chat.completions.create(model="auto", messages=ASK)
    with gateway.sdk(SECRETS["E2E_CLIENT_KEY"]) as sdk:
        assert sdk.chat.completions.create(model="auto", messages=ASK).choices


@pytest.mark.parametrize("told", [None, "Overloaded, sorry."], ids=["cut", "error event"])
def test_a_broken_stream(gateway: Gateway, behind: Behind, dialect: str, told: str | None) -> None:
    """A stream that breaks off raises after what came of it, never a clean end."""
    error = None if told is None else {"message": told}
    behind(broken(dialect, BROKEN, error=error))
    got: list[str] = []
    with gateway.sdk() as sdk:
        stream = sdk.chat.completions.create(model="auto", messages=ASK, stream=True)
        pieces = (chunk.choices[0].delta.content or "" for chunk in stream)
        with pytest.raises(openai.APIError) as raised:
            got.extend(pieces)
    assert "".join(got)
    assert BROKEN.text.startswith("".join(got))
    assert raised.value.code == "upstream_stream_broken"


def test_unsupported(gateway: Gateway, behind: Behind, dialect: str) -> None:
    """A parameter that the provider's dialect lacks is a 400 that names it, unless the policy lets
    it be dropped: then the answer says so."""
    provider = behind(SECOND, SECOND)
    with gateway.sdk() as sdk:
        if dialect in {"openai-chat", "gemini"}:
            sdk.chat.completions.create(model="auto", messages=ASK, seed=7)
            assert "7" in str(provider.asked[0])
            return
        with pytest.raises(openai.BadRequestError, match="seed") as raised:
            sdk.chat.completions.create(model="auto", messages=ASK, seed=7)
        assert raised.value.code == "unsupported_by_targets"
        behind_ = behind(SECOND, on_unsupported="drop")
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=ASK, seed=7)
    assert raw.headers["x-tiergate-dropped"] == "seed"
    assert "seed" not in behind_.asked[0]


@pytest.mark.parametrize("many", [False, True])
def test_embeddings(gateway: Gateway, new_peer: NewPeer, *, many: bool) -> None:
    """Vectors come as the SDK asks for them, in base64, and as it gives them, in numbers."""
    vector = [0.25, -1.0, 3.5]
    packed = base64.b64encode(struct.pack("<3f", *vector)).decode()
    given = ["größe", "漢字"] if many else "größe"
    rows = [
        {"object": "embedding", "index": index, "embedding": packed}
        for index in range(2 if many else 1)
    ]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    answer = {"object": "list", "model": "e-1", "data": rows, "usage": usage}
    peer = new_peer(says(peers.whole(peers.dumps(answer))))
    policy = make_policy({"up": peer.url}, "up/a", embeddings={"targets": ["up/e-1"]})
    gateway.use(policy)
    with gateway.sdk() as sdk:
        found = sdk.embeddings.create(model="auto", input=given)
    assert [row.embedding for row in found.data] == [vector] * len(rows)
    assert found.usage.prompt_tokens == 4
    assert peer.received[0].line == "POST /v1/embeddings HTTP/1.1"
    asked = peer.received[0].json()
    assert (asked["model"], asked["input"], asked["encoding_format"]) == ("e-1", given, "base64")


def test_models(gateway: Gateway, behind: Behind) -> None:
    """The models are listed, and each can be looked up by its name, slashes and all."""
    provider = behind()
    with gateway.sdk() as sdk:
        names = [model.id for model in sdk.models.list()]
        assert names == ["auto", "tiergate/only", provider.target]
        assert [sdk.models.retrieve(name).id for name in names] == names
        with pytest.raises(openai.NotFoundError) as raised:
            sdk.models.retrieve("nobody/none")
    assert raised.value.code == "model_not_found"
