"""Anthropic's client, with providers of every dialect behind the gateway."""

import asyncio
from collections.abc import Iterator
from typing import Any

import anthropic
import pytest
from anthropic import Anthropic, AsyncAnthropic, beta_tool
from anthropic.types import Message, MessageParam, TextBlock, ThinkingBlock, ToolParam, ToolUseBlock

from tests.component.conftest import Behind
from tests.component.gateways import SECRETS, Gateway
from tests.component.heard import said, schema_of, tools_of
from tests.component.peers import dumps, whole
from tests.component.providers import (
    CACHED,
    IN,
    MODEL,
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

ASK: list[MessageParam] = [{"role": "user", "content": QUESTION}]
WEATHER: ToolParam = {"name": TOOL, "description": ABOUT, "input_schema": SCHEMA}
BROKEN = Said("One half of it comes, and then nothing more of it.")


def _sdk(gateway: Gateway, key: str = "unused") -> Anthropic:
    return Anthropic(base_url=gateway.url, api_key=key, max_retries=0, timeout=30)


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[Anthropic]:
    """The client, pointed here."""
    with _sdk(gateway) as client:
        yield client


def _text(message: Message) -> str:
    return "".join(block.text for block in message.content if isinstance(block, TextBlock))


def test_whole(sdk: Anthropic, behind: Behind) -> None:
    """A whole message has the provider's text, its reasoning, its end and its counts."""
    provider = behind(PLAIN)
    message = sdk.messages.create(model="auto", max_tokens=200, system=SYSTEM, messages=ASK)
    thought, text, *_ = message.content  # a proof that came after the text is behind it
    assert isinstance(thought, ThinkingBlock)
    assert isinstance(text, TextBlock)
    assert (thought.thinking, text.text) == (THINKING, REPLY)
    assert thought.signature
    assert message.stop_reason == "end_turn"
    usage = message.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (IN - CACHED, CACHED)
    assert usage.output_tokens == OUT
    assert usage.output_tokens_details
    assert usage.output_tokens_details.thinking_tokens == THOUGHT
    assert told(provider) == ASKED
    assert SECRETS["E2E_PROVIDER_KEY"] in str(provider.headers())


def test_streamed(sdk: Anthropic, behind: Behind) -> None:
    """A stream has its blocks one after the other, each begun, grown and ended."""
    provider = behind(PLAIN)
    events = list(
        sdk.messages.create(model="auto", max_tokens=200, system=SYSTEM, messages=ASK, stream=True)
    )
    kinds = [event.type for event in events]
    assert (kinds[0], kinds[-2], kinds[-1]) == ("message_start", "message_delta", "message_stop")
    placed = [event.index for event in events if event.type == "content_block_start"]
    assert placed == list(range(len(placed)))
    assert [event.index for event in events if event.type == "content_block_stop"] == placed
    deltas = [event.delta for event in events if event.type == "content_block_delta"]
    assert "".join(d.thinking for d in deltas if d.type == "thinking_delta") == THINKING
    assert "".join(d.text for d in deltas if d.type == "text_delta") == REPLY
    assert len(deltas) > 6
    assert told(provider) == ASKED


def test_stream_helper(sdk: Anthropic, behind: Behind) -> None:
    """The stream helper tells of each piece as it grows, and gives the whole at the end."""
    behind(FIRST)
    seen: list[Any] = []
    with sdk.messages.stream(model="auto", max_tokens=200, messages=ASK, tools=[WEATHER]) as stream:
        seen.extend(stream)
        final = stream.get_final_message()
    assert "".join(event.text for event in seen if event.type == "text") == LOOK
    assert [event.snapshot for event in seen if event.type == "thinking"][-1] == THINKING
    inputs = [event.snapshot for event in seen if event.type == "input_json"]
    assert inputs[-1] == {"city": "Ulm"}
    calls = [block for block in final.content if isinstance(block, ToolUseBlock)]
    assert [(call.name, call.input) for call in calls] == [(TOOL, {"city": city}) for city in RAIN]
    assert len({call.id for call in calls}) == 2
    assert final.stop_reason == "tool_use"
    usage = final.usage
    assert (usage.input_tokens, usage.cache_read_input_tokens) == (IN - CACHED, CACHED)
    assert usage.output_tokens == OUT


def test_text_stream(sdk: Anthropic, behind: Behind) -> None:
    """The stream of text alone is that text."""
    behind(PLAIN)
    with sdk.messages.stream(model="auto", max_tokens=200, messages=ASK) as stream:
        assert "".join(stream.text_stream) == REPLY


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_loop(sdk: Anthropic, behind: Behind, *, stream: bool) -> None:
    """All blocks go back with the results: the provider gets its own turn, its proof unchanged."""
    provider = behind(FIRST, SECOND)
    messages = [*ASK]
    first = _turn(sdk, messages, stream=stream)
    messages.append({"role": "assistant", "content": first.content})
    messages.append(
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": block.id,
                    "content": RAIN[str(block.input["city"])],
                }
                for block in first.content
                if isinstance(block, ToolUseBlock)
            ],
        }
    )
    last = _turn(sdk, messages, stream=stream)
    assert _text(last) == REPLY
    check_loop(provider)
    assert tools_of(provider.dialect, provider.asked[1]) == {TOOL: SCHEMA}


def _turn(sdk: Anthropic, messages: list[MessageParam], *, stream: bool) -> Message:
    about: dict[str, Any] = {
        "model": "auto",
        "max_tokens": 4096,
        "system": SYSTEM,
        "messages": messages,
        "tools": [WEATHER],
        "thinking": {"type": "adaptive"},
    }
    if not stream:
        answer: Message = sdk.messages.create(**about)
        return answer
    with sdk.messages.stream(**about) as stream_:
        final: Message = stream_.get_final_message()
        return final


def test_tool_runner(sdk: Anthropic, behind: Behind) -> None:
    """The SDK's own loop over a Python function goes to its end."""

    @beta_tool
    def get_weather(city: str) -> str:
        """The weather in a city.

        Args:
            city: Where.
        """
        return RAIN[city]

    provider = behind(FIRST, SECOND)
    runner = sdk.beta.messages.tool_runner(
        model="auto",
        max_tokens=200,
        system=SYSTEM,
        messages=[{"role": "user", "content": QUESTION}],
        tools=[get_weather],
    )
    assert runner.until_done().content[-1].to_dict()["text"] == REPLY
    check_loop(provider)


async def _both(gateway: Gateway) -> tuple[str, str]:
    async with AsyncAnthropic(base_url=gateway.url, api_key="any", max_retries=0) as sdk:
        message = await sdk.messages.create(model="auto", max_tokens=200, messages=ASK)
        async with sdk.messages.stream(model="auto", max_tokens=200, messages=ASK) as stream:
            pieces = [piece async for piece in stream.text_stream]
    return _text(message), "".join(pieces)


def test_async(gateway: Gateway, behind: Behind) -> None:
    """The asynchronous client gets the same answers, whole and streamed."""
    behind(PLAIN, PLAIN)
    assert asyncio.run(_both(gateway)) == (REPLY, REPLY)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_parse(sdk: Anthropic, behind: Behind, *, stream: bool) -> None:
    """A class's schema reaches the provider, and its answer is an object of that class."""
    provider = behind(TYPED)
    if stream:
        with sdk.messages.stream(
            model="auto", max_tokens=200, messages=ASK, output_format=Trip
        ) as stream_:
            message = stream_.get_final_message()
    else:
        message = sdk.messages.parse(model="auto", max_tokens=200, messages=ASK, output_format=Trip)
    assert message.parsed_output == TRIP
    asked = schema_of(provider.dialect, provider.asked[0])
    assert set(asked["properties"]) == {"place", "days", "notes"}


def test_images(sdk: Anthropic, behind: Behind) -> None:
    """An image reaches the provider byte by byte, in its place."""
    provider = behind(SECOND)
    source: Any = {"type": "base64", "media_type": "image/png", "data": PNG_BASE64}
    content: list[Any] = [
        {"type": "text", "text": "What is"},
        {"type": "image", "source": source},
        {"type": "text", "text": "this?"},
    ]
    sdk.messages.create(
        model="auto", max_tokens=200, messages=[{"role": "user", "content": content}]
    )
    assert told(provider) == [
        said("user", "What is"),
        said("image", PNG_BASE64),
        said("user", "this?"),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_cut_at_its_limit(sdk: Anthropic, behind: Behind, *, stream: bool) -> None:
    """An answer that reached its limit of tokens says so."""
    provider = behind(Said(REPLY, is_cut=True))
    if stream:
        with sdk.messages.stream(model="auto", max_tokens=17, messages=ASK) as stream_:
            message: Message = stream_.get_final_message()
    else:
        message = sdk.messages.create(model="auto", max_tokens=17, messages=ASK)
    assert (message.stop_reason, _text(message)) == ("max_tokens", REPLY)
    assert "17" in str(provider.asked[0])


def test_count_tokens(sdk: Anthropic, behind: Behind, dialect: str) -> None:
    """Tokens are counted by a provider of Anthropic's dialect; of others nobody can say."""
    provider = behind(whole(dumps({"input_tokens": 42})))
    if dialect == "anthropic-messages":
        count = sdk.messages.count_tokens(model="auto", system=SYSTEM, messages=ASK)
        assert count.input_tokens == 42
        assert provider.lines == ["POST /v1/messages/count_tokens HTTP/1.1"]
        assert provider.asked[0]["model"] == MODEL
        return
    with pytest.raises(anthropic.InternalServerError) as raised:
        sdk.messages.count_tokens(model="auto", messages=ASK)
    assert raised.value.status_code == 501
    assert not provider.asked


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("status", "error", "seen"),
    [
        (400, anthropic.BadRequestError, 400),
        (429, anthropic.RateLimitError, 429),
        (500, anthropic.InternalServerError, 502),
    ],
)
def test_errors(
    sdk: Anthropic,
    behind: Behind,
    dialect: str,
    status: int,
    error: type[anthropic.APIStatusError],
    seen: int,
    *,
    stream: bool,
) -> None:
    """A provider's refusal raises the SDK's own class for it."""
    behind(refusal(dialect, status, "Not like that.", {"retry-after": "7"}))
    with pytest.raises(error) as raised:
        sdk.messages.create(model="auto", max_tokens=200, messages=ASK, stream=stream)
    assert raised.value.status_code == seen
    assert raised.value.type in {"invalid_request_error", "rate_limit_error", "api_error"}
    if status == 400:
        assert "Not like that." in raised.value.message
    if status == 429:
        assert raised.value.response.headers["retry-after"] == "7"


def test_wrong_key(gateway: Gateway, behind: Behind) -> None:
    """The gateway's own key is what counts, wherever the answer would have come from."""
    behind(SECOND, client={"keys": ["E2E_CLIENT_KEY"]})
    with _sdk(gateway, "wrong") as sdk, pytest.raises(anthropic.AuthenticationError):
        sdk.messages.create(model="auto", max_tokens=200, messages=ASK)
    with _sdk(gateway, SECRETS["E2E_CLIENT_KEY"]) as sdk:
        assert sdk.messages.create(model="auto", max_tokens=200, messages=ASK).content


@pytest.mark.parametrize("why", [None, "Overloaded, sorry."], ids=["cut", "error event"])
def test_a_broken_stream(sdk: Anthropic, behind: Behind, dialect: str, why: str | None) -> None:
    """A stream that breaks off raises after what came of it, never a clean end."""
    behind(broken(dialect, BROKEN, error=None if why is None else {"message": why}))
    got: list[Any] = []
    with sdk.messages.stream(model="auto", max_tokens=200, messages=ASK) as stream:
        with pytest.raises(anthropic.APIStatusError, match="broke off") as raised:
            got.extend(stream)
        assert raised.value.type == "api_error"
    assert "message_stop" not in {event.type for event in got}
    text = "".join(event.text for event in got if event.type == "text")
    assert text
    assert BROKEN.text.startswith(text)


def test_models(sdk: Anthropic, behind: Behind) -> None:
    """The models are listed in this SDK's shape, and each can be asked for."""
    provider = behind()
    names = [model.id for model in sdk.models.list()]
    assert names == ["auto", "tiergate/only", provider.target]
    for name in names:
        model = sdk.models.retrieve(name)
        assert (model.id, model.type, model.display_name) == (name, "model", name)
        assert model.created_at.year == 1970
    with pytest.raises(anthropic.NotFoundError):
        sdk.models.retrieve("nobody/none")
