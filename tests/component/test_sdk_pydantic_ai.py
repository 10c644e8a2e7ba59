"""Pydantic AI's agents over three dialects, with providers of every dialect behind the gateway.

It knows models by their names: of `auto` it is told here what the gateway can do.
"""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from anthropic import AsyncAnthropic
from pydantic_ai import Agent, ModelHTTPError, NativeOutput
from pydantic_ai.models import Model
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.profiles import ModelProfile
from pydantic_ai.profiles.openai import OpenAIModelProfile
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.component.conftest import Behind
from tests.component.gateways import Gateway
from tests.component.heard import said, schema_of
from tests.component.providers import MESSAGES, RESPONSES, Call, Said, refusal
from tests.component.weather import (
    ASKED,
    FIRST,
    QUESTION,
    RAIN,
    REPLY,
    SECOND,
    SYSTEM,
    TRIP,
    TYPED,
    Trip,
    check_loop,
    told,
)


@asynccontextmanager
async def _chat(gateway: Gateway) -> AsyncIterator[Model]:
    async with gateway.async_sdk() as sdk:
        yield OpenAIChatModel("auto", provider=OpenAIProvider(openai_client=sdk))


@asynccontextmanager
async def _responses(gateway: Gateway) -> AsyncIterator[Model]:
    async with gateway.async_sdk() as sdk:
        profile = OpenAIModelProfile(openai_supports_encrypted_reasoning_content=True)
        yield OpenAIResponsesModel(
            "auto", provider=OpenAIProvider(openai_client=sdk), profile=profile
        )


@asynccontextmanager
async def _messages(gateway: Gateway) -> AsyncIterator[Model]:
    async with AsyncAnthropic(base_url=gateway.url, api_key="any", max_retries=0) as sdk:
        profile = ModelProfile(supports_json_schema_output=True)
        yield AnthropicModel(
            "auto", provider=AnthropicProvider(anthropic_client=sdk), profile=profile
        )


CLIENTS = {"chat": _chat, "responses": _responses, "messages": _messages}


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> str:
    """In which dialect the agent speaks."""
    found: str = request.param
    return found


async def _run[T](
    gateway: Gateway, client: str, make: Callable[[Model], Agent[None, T]], *, stream: bool = False
) -> T:
    async with CLIENTS[client](gateway) as model:
        handler = _read_on if stream else None
        return (await make(model).run(QUESTION, event_stream_handler=handler)).output


async def _read_on(_: object, events: AsyncIterable[object]) -> None:
    async for _ in events:
        pass


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_loop(gateway: Gateway, behind: Behind, client: str, *, stream: bool) -> None:
    """An agent calls its tools with what the model said, and goes on with their results. On chat
    completions it keeps no proofs but those of a call; elsewhere the provider gets its own."""
    provider = behind(FIRST, SECOND)

    def make(model: Model) -> Agent[None, str]:
        agent = Agent(model, instructions=SYSTEM)

        @agent.tool_plain
        def get_weather(city: str) -> str:
            """The weather in a city."""
            return RAIN[city]

        return agent

    assert asyncio.run(_run(gateway, client, make, stream=stream)) == REPLY
    check_loop(
        provider, has_proof=client != "chat" or provider.dialect not in {RESPONSES, MESSAGES}
    )


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_a_typed_answer(gateway: Gateway, behind: Behind, client: str, *, stream: bool) -> None:
    """An answer of a class comes by a call of the agent's own tool for it."""
    provider = behind(Said(calls=(Call("final_result", TRIP.model_dump()),)))

    def make(model: Model) -> Agent[None, Trip]:
        return Agent(model, output_type=Trip, instructions=SYSTEM)

    assert asyncio.run(_run(gateway, client, make, stream=stream)) == TRIP
    assert told(provider) == ASKED


def test_a_native_answer(gateway: Gateway, behind: Behind, client: str) -> None:
    """An answer of a class comes as JSON of the schema that the provider was given."""
    provider = behind(TYPED)

    def make(model: Model) -> Agent[None, Trip]:
        return Agent(model, output_type=NativeOutput(Trip))

    assert asyncio.run(_run(gateway, client, make)) == TRIP
    asked = schema_of(provider.dialect, provider.asked[0])
    assert set(asked["properties"]) == {"place", "days", "notes"}
    assert told(provider)[-1] == said("user", QUESTION)


def test_errors(gateway: Gateway, behind: Behind, dialect: str, client: str) -> None:
    """A provider's refusal has its status and words."""
    behind(refusal(dialect, 400, "Not like that."))

    def make(model: Model) -> Agent[None, str]:
        return Agent(model)

    with pytest.raises(ModelHTTPError, match="Not like that") as raised:
        asyncio.run(_run(gateway, client, make))
    assert raised.value.status_code == 400
