"""The official OpenAI client works against the gateway as it does against OpenAI."""

import asyncio
import base64
import json

import openai
import pytest
from openai import AsyncOpenAI, OpenAI
from openai.types.chat import (
    ChatCompletionFunctionToolParam,
    ChatCompletionMessageFunctionToolCall,
    ChatCompletionMessageParam,
    ChatCompletionStreamOptionsParam,
)
from openai.types.chat.completion_create_params import ResponseFormat
from pydantic import BaseModel

from tests.component.conftest import Mock
from tests.component.gateways import Gateway, judged

HELLO: list[ChatCompletionMessageParam] = [
    {"role": "user", "content": "Tell me about größe and 漢字."}
]
SAID = "Hello from medium, a mock model happy to help: you said “Tell me about größe and 漢字.”."
WEATHER: ChatCompletionFunctionToolParam = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}},
            "required": ["city", "days"],
        },
    },
}


class Trip(BaseModel):
    city: str
    days: int


@pytest.fixture(autouse=True)
def _policy(gateway: Gateway, mock: Mock) -> None:
    gateway.use(judged(mock.url))


def test_whole(gateway: Gateway) -> None:
    """A whole answer parses into the SDK's type, with the provider's text and usage."""
    with gateway.sdk() as sdk:
        answer = sdk.chat.completions.create(model="auto", messages=HELLO)
    assert answer.choices[0].message.content == SAID
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


def test_streamed(gateway: Gateway) -> None:
    """A stream yields the provider's text in several chunks and ends with its finish reason."""
    with gateway.sdk() as sdk:
        chunks = list(sdk.chat.completions.create(model="auto", messages=HELLO, stream=True))
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks]
    assert "".join(pieces) == SAID
    assert len(pieces) > 5
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_stream_helper(gateway: Gateway) -> None:
    """The SDK's stream helper accumulates the same answer and sees its end."""
    with (
        gateway.sdk() as sdk,
        sdk.chat.completions.stream(model="auto", messages=HELLO) as stream,
    ):
        kinds = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= kinds
    assert final.choices[0].message.content == SAID


@pytest.mark.parametrize("asked", [True, False])
def test_usage_in_a_stream(gateway: Gateway, *, asked: bool) -> None:
    """A client that asks for usage in its stream gets that chunk, and nobody else does."""
    with gateway.sdk() as sdk:
        wish: ChatCompletionStreamOptionsParam = {"include_usage": True}
        stream = sdk.chat.completions.create(
            model="auto",
            messages=HELLO,
            stream=True,
            stream_options=wish if asked else openai.omit,
        )
        chunks = list(stream)
    assert bool(chunks[-1].usage) is asked
    assert all(chunk.choices for chunk in chunks[:-1])
    assert bool(chunks[-1].choices) is not asked


async def _async_answers(sdk: AsyncOpenAI) -> tuple[str | None, str]:
    async with sdk:
        whole = await sdk.chat.completions.create(model="auto", messages=HELLO)
        stream = await sdk.chat.completions.create(model="auto", messages=HELLO, stream=True)
        pieces = [chunk.choices[0].delta.content or "" async for chunk in stream]
    return whole.choices[0].message.content, "".join(pieces)


def test_async(gateway: Gateway) -> None:
    """The asynchronous client gets the same answers, whole and streamed."""
    assert asyncio.run(_async_answers(gateway.async_sdk())) == (SAID, SAID)


def test_tools(gateway: Gateway) -> None:
    """A forced tool comes back as a call whose arguments fit the schema."""
    with gateway.sdk() as sdk:
        answer = sdk.chat.completions.create(
            model="auto",
            messages=HELLO,
            tools=[WEATHER],
            tool_choice="required",
        )
    assert answer.choices[0].finish_reason == "tool_calls"
    assert answer.choices[0].message.content is None
    (call,) = answer.choices[0].message.tool_calls or []
    assert isinstance(call, ChatCompletionMessageFunctionToolCall)
    assert call.function.name == "weather"
    assert set(json.loads(call.function.arguments)) == {"city", "days"}


def test_tools_streamed(gateway: Gateway) -> None:
    """Fragments of a tool call's arguments join to the JSON that the whole answer has."""
    name, arguments, ids = "", "", []
    with gateway.sdk() as sdk:
        stream = sdk.chat.completions.create(
            model="auto",
            messages=HELLO,
            stream=True,
            tools=[WEATHER],
            tool_choice="required",
        )
        for chunk in stream:
            for call in chunk.choices[0].delta.tool_calls or []:
                ids += [call.id] if call.id else []
                assert call.function
                name += call.function.name or ""
                arguments += call.function.arguments or ""
    assert (name, len(ids)) == ("weather", 1)
    assert set(json.loads(arguments)) == {"city", "days"}


def test_a_conversation_with_tool_results(gateway: Gateway, mock: Mock) -> None:
    """An assistant turn of tool calls alone and its tool result are accepted and passed on."""
    messages: list[ChatCompletionMessageParam] = [
        {"role": "user", "content": "weather in Ulm?"},
        {
            "role": "assistant",
            "tool_calls": [
                {
                    "id": "call_1",
                    "type": "function",
                    "function": {"name": "weather", "arguments": '{"city": "Ulm"}'},
                }
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "rain"},
    ]
    with gateway.sdk() as sdk:
        answer = sdk.chat.completions.create(model="auto", messages=messages)
    assert answer.choices[0].message.content
    assert mock.last()[0]["body"]["messages"] == messages


def test_structured_output(gateway: Gateway) -> None:
    """`parse` gives an object of the class that was asked for."""
    with gateway.sdk() as sdk:
        answer = sdk.chat.completions.parse(model="auto", messages=HELLO, response_format=Trip)
    assert isinstance(answer.choices[0].message.parsed, Trip)


def test_structured_output_by_hand(gateway: Gateway) -> None:
    """A JSON Schema given as a plain dictionary reaches the provider, and its answer fits."""
    form: ResponseFormat = {
        "type": "json_schema",
        "json_schema": {"name": "trip", "schema": Trip.model_json_schema()},
    }
    with gateway.sdk() as sdk:
        answer = sdk.chat.completions.create(model="auto", messages=HELLO, response_format=form)
    Trip.model_validate_json(answer.choices[0].message.content or "")


def test_images_pass_byte_true(gateway: Gateway, mock: Mock) -> None:
    """Image parts, inline and by address, reach the provider exactly as they were sent."""
    inline = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 400).decode()
    content = [
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": inline, "detail": "high"}},
        {"type": "image_url", "image_url": {"url": "https://images.invalid/a.png?b=c&d=%20"}},
        {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
    ]
    with gateway.sdk() as sdk:
        sdk.chat.completions.create(
            model="auto",
            messages=[{"role": "user", "content": content}],  # type: ignore[misc,list-item]
        )
    assert mock.last()[0]["body"]["messages"] == [{"role": "user", "content": content}]


def test_unknown_fields_are_kept(gateway: Gateway, mock: Mock) -> None:
    """Parameters that the gateway has never heard of reach the provider."""
    unknown = {"thinking": {"budget": 17}, "top_k": 40, "x": None, "größe": ["漢", 1e-7, 10**30]}
    with gateway.sdk() as sdk:
        sdk.chat.completions.create(model="auto", messages=HELLO, extra_body=unknown)
    body = mock.last()[0]["body"]
    assert {name: body[name] for name in unknown} == unknown


def test_models(gateway: Gateway) -> None:
    """`models.list` names what a client may send as `model`, each once."""
    with gateway.sdk() as sdk:
        names = [model.id for model in sdk.models.list()]
    assert names[:5] == [
        "auto",
        "tiergate/fast",
        "tiergate/balanced",
        "tiergate/quality",
        "tiergate/reasoning",
    ]
    assert names[5:] == ["mock/small", "mock/medium", "mock/large", "mock/reasoner"]


def test_every_listed_model_answers(gateway: Gateway) -> None:
    """Whatever `models.list` names can be asked."""
    with gateway.sdk() as sdk:
        for model in sdk.models.list():
            assert sdk.chat.completions.create(model=model.id, messages=HELLO).choices


def test_raw_response_headers(gateway: Gateway) -> None:
    """The SDK's raw responses show the gateway's headers."""
    with gateway.sdk() as sdk:
        raw = sdk.chat.completions.with_raw_response.create(model="auto", messages=HELLO)
    assert raw.headers["x-tiergate-decision"] == "model"
    assert raw.headers["x-tiergate-provider"] == "mock"


def test_a_closed_stream_ends_the_upstream(gateway: Gateway, mock: Mock) -> None:
    """A client that closes its stream ends the provider's too, and the record says so."""
    mock.order("medium", "chunk_ms=100,big=200000")
    with gateway.sdk() as sdk:
        stream = sdk.chat.completions.create(model="auto", messages=HELLO, stream=True)
        next(iter(stream))
        request_id = stream.response.headers["x-tiergate-request-id"]
        stream.close()
    record = gateway.record(request_id, 3)
    assert record["attempts"][-1]["outcome"] == "client_gone"


def test_base_url_without_v1(gateway: Gateway) -> None:
    """A base URL that lacks /v1 is answered by an error that says what is wrong."""
    with (
        OpenAI(base_url=gateway.url, api_key="any", max_retries=0) as sdk,
        pytest.raises(openai.NotFoundError, match="/v1"),
    ):
        sdk.chat.completions.create(model="auto", messages=HELLO)
