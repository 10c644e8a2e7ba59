"""Google's client, with providers of every dialect behind the gateway."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from google.genai import Client
from google.genai.errors import APIError, ClientError, ServerError
from google.genai.types import (
    Content,
    FunctionDeclaration,
    GenerateContentConfig,
    GenerateContentResponse,
    HttpOptions,
    HttpRetryOptions,
    Part,
    ThinkingConfig,
    Tool,
)

from tests.component.conftest import Behind
from tests.component.gateways import SECRETS, Gateway
from tests.component.heard import said, schema_of, tools_of
from tests.component.providers import CACHED, IN, OUT, THINKING, THOUGHT, Said, broken, refusal
from tests.component.weather import (
    ABOUT,
    ASKED,
    FIRST,
    LOOK,
    PLAIN,
    PNG,
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

BRIEF = GenerateContentConfig(system_instruction=SYSTEM, max_output_tokens=200, temperature=0.5)
THINKS = ThinkingConfig(include_thoughts=True)
WEATHER = Tool(
    function_declarations=[
        FunctionDeclaration(name=TOOL, description=ABOUT, parameters_json_schema=SCHEMA)
    ]
)
BROKEN = Said("One half of it comes, and then nothing more of it.")


def get_weather(city: str) -> str:
    """The weather in a city."""
    return RAIN[city]


def _client(gateway: Gateway, key: str = "unused") -> Client:
    return Client(
        api_key=key,
        http_options=HttpOptions(
            base_url=gateway.url, timeout=30_000, retry_options=HttpRetryOptions(attempts=1)
        ),
    )


@pytest.fixture
def sdk(gateway: Gateway) -> Iterator[Client]:
    """The client, pointed here."""
    client = _client(gateway)
    yield client
    client.close()


def _parts(answer: GenerateContentResponse) -> list[Part]:
    candidates = answer.candidates or []
    return [part for c in candidates if c.content for part in c.content.parts or []]


def test_whole(sdk: Client, behind: Behind) -> None:
    """A whole answer has the provider's text, its thoughts, its end and its counts."""
    provider = behind(PLAIN)
    answer = sdk.models.generate_content(model="auto", contents=QUESTION, config=BRIEF)
    assert answer.text == REPLY
    assert "".join(part.text or "" for part in _parts(answer) if part.thought) == THINKING
    assert answer.candidates
    assert answer.candidates[0].finish_reason == "STOP"
    usage = answer.usage_metadata
    assert usage
    assert (usage.prompt_token_count, usage.total_token_count) == (IN, IN + OUT)
    assert (usage.candidates_token_count, usage.thoughts_token_count) == (OUT - THOUGHT, THOUGHT)
    assert usage.cached_content_token_count == CACHED
    assert told(provider) == ASKED
    assert SECRETS["E2E_PROVIDER_KEY"] in str(provider.headers())


def test_streamed(sdk: Client, behind: Behind) -> None:
    """A stream is the same, piece by piece, its end and its counts in the last one."""
    provider = behind(PLAIN)
    answers = list(
        sdk.models.generate_content_stream(model="auto", contents=QUESTION, config=BRIEF)
    )
    parts = [part for answer in answers for part in _parts(answer)]
    assert "".join(part.text or "" for part in parts if not part.thought) == REPLY
    assert "".join(part.text or "" for part in parts if part.thought) == THINKING
    assert len(answers) > 6
    last = answers[-1]
    assert last.candidates
    assert last.candidates[0].finish_reason == "STOP"
    assert last.usage_metadata
    assert last.usage_metadata.total_token_count == IN + OUT
    assert told(provider) == ASKED


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_loop(sdk: Client, behind: Behind, *, stream: bool) -> None:
    """A chat's history goes back with the results: the provider gets its own turn, and its proof
    unchanged."""
    provider = behind(FIRST, SECOND)
    config = GenerateContentConfig(
        system_instruction=SYSTEM, tools=[WEATHER], thinking_config=THINKS
    )
    chat = sdk.chats.create(model="auto", config=config)

    def send(message: Any) -> list[GenerateContentResponse]:  # noqa: ANN401 - as the SDK's
        return list(chat.send_message_stream(message)) if stream else [chat.send_message(message)]

    first = send(QUESTION)
    text = [p.text or "" for answer in first for p in _parts(answer) if not p.thought]
    assert "".join(text) == LOOK
    calls = [call for answer in first for call in answer.function_calls or []]
    assert [(call.name, call.args) for call in calls] == [(TOOL, {"city": city}) for city in RAIN]
    results = []
    for call in calls:
        assert call.args
        part = Part.from_function_response(name=TOOL, response={"output": RAIN[call.args["city"]]})
        assert part.function_response
        part.function_response.id = call.id
        results.append(part)
    last = send(results)
    assert "".join(answer.text or "" for answer in last) == REPLY
    check_loop(provider)
    assert tools_of(provider.dialect, provider.asked[1]) == {TOOL: SCHEMA}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_results_without_ids(sdk: Client, behind: Behind, *, stream: bool) -> None:
    """Results that only name their tool are those of its calls, in their order."""
    provider = behind(FIRST, SECOND)
    config = GenerateContentConfig(system_instruction=SYSTEM, tools=[WEATHER])
    chat = sdk.chats.create(model="auto", config=config)
    results: list[Any] = [
        Part.from_function_response(name=TOOL, response={"output": weather})
        for weather in RAIN.values()
    ]
    for message in (QUESTION, results):
        if stream:
            list(chat.send_message_stream(message))
        else:
            chat.send_message(message)
    check_loop(provider)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_automatic_calls(sdk: Client, behind: Behind, *, stream: bool) -> None:
    """Python functions given as tools are called by the SDK until there is an answer."""
    provider = behind(FIRST, SECOND)
    config = GenerateContentConfig(system_instruction=SYSTEM, tools=[get_weather])
    if stream:
        answers = list(
            sdk.models.generate_content_stream(model="auto", contents=QUESTION, config=config)
        )
        assert answers[-1].candidates
        assert "".join(answer.text or "" for answer in answers) == LOOK + REPLY
    else:
        answer = sdk.models.generate_content(model="auto", contents=QUESTION, config=config)
        assert answer.text == REPLY
    check_loop(provider)


async def _both(gateway: Gateway) -> tuple[str | None, str]:
    async with _client(gateway).aio as sdk:
        whole = await sdk.models.generate_content(model="auto", contents=QUESTION)
        stream = await sdk.models.generate_content_stream(model="auto", contents=QUESTION)
        pieces = [answer.text or "" async for answer in stream]
    return whole.text, "".join(pieces)


def test_async(gateway: Gateway, behind: Behind) -> None:
    """The asynchronous client gets the same answers, whole and streamed."""
    behind(PLAIN, PLAIN)
    assert asyncio.run(_both(gateway)) == (REPLY, REPLY)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_schema(sdk: Client, behind: Behind, *, stream: bool) -> None:
    """A class's schema reaches the provider, and its answer is an object of that class."""
    provider = behind(TYPED)
    config = GenerateContentConfig(response_mime_type="application/json", response_schema=Trip)
    if stream:
        answers = sdk.models.generate_content_stream(model="auto", contents=QUESTION, config=config)
        found: object = Trip.model_validate_json("".join(answer.text or "" for answer in answers))
    else:
        answer = sdk.models.generate_content(model="auto", contents=QUESTION, config=config)
        found = answer.parsed
    assert found == TRIP
    asked = schema_of(provider.dialect, provider.asked[0])
    assert set(asked["properties"]) == {"place", "days", "notes"}
    assert str(asked["type"]).lower() == "object"


def test_images(sdk: Client, behind: Behind) -> None:
    """An image reaches the provider byte by byte, in its place."""
    provider = behind(SECOND)
    contents: list[Any] = [
        Part.from_text(text="What is"),
        Part.from_bytes(data=PNG, mime_type="image/png"),
        Part.from_text(text="this?"),
    ]
    sdk.models.generate_content(model="auto", contents=Content(role="user", parts=contents))
    assert told(provider) == [
        said("user", "What is"),
        said("image", PNG_BASE64),
        said("user", "this?"),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_cut_at_its_limit(sdk: Client, behind: Behind, *, stream: bool) -> None:
    """An answer that reached its limit of tokens says so."""
    provider = behind(Said(REPLY, is_cut=True))
    config = GenerateContentConfig(max_output_tokens=17)
    if stream:
        answers = list(
            sdk.models.generate_content_stream(model="auto", contents=QUESTION, config=config)
        )
    else:
        answers = [sdk.models.generate_content(model="auto", contents=QUESTION, config=config)]
    assert answers[-1].candidates
    assert answers[-1].candidates[0].finish_reason == "MAX_TOKENS"
    assert "".join(answer.text or "" for answer in answers) == REPLY
    assert "17" in str(provider.asked[0])


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
@pytest.mark.parametrize(
    ("status", "error", "seen", "word"),
    [
        (400, ClientError, 400, "INVALID_ARGUMENT"),
        (429, ClientError, 429, "RESOURCE_EXHAUSTED"),
        (500, ServerError, 502, "UNAVAILABLE"),
    ],
)
def test_errors(
    sdk: Client,
    behind: Behind,
    dialect: str,
    status: int,
    error: type[APIError],
    seen: int,
    word: str,
    *,
    stream: bool,
) -> None:
    """A provider's refusal raises the SDK's own class for it."""
    behind(refusal(dialect, status, "Not like that."))
    call = sdk.models.generate_content_stream if stream else sdk.models.generate_content
    with pytest.raises(error) as raised:
        list(call(model="auto", contents=QUESTION))
    assert (raised.value.code, raised.value.status) == (seen, word)
    if status == 400:
        assert "Not like that." in (raised.value.message or "")


def test_wrong_key(gateway: Gateway, behind: Behind) -> None:
    """The gateway's own key is what counts, wherever the answer would have come from."""
    behind(SECOND, client={"keys": ["E2E_CLIENT_KEY"]})
    wrong, right = _client(gateway, "wrong"), _client(gateway, SECRETS["E2E_CLIENT_KEY"])
    with pytest.raises(ClientError) as raised:
        wrong.models.generate_content(model="auto", contents=QUESTION)
    assert (raised.value.code, raised.value.status) == (401, "UNAUTHENTICATED")
    assert right.models.generate_content(model="auto", contents=QUESTION).text == REPLY
    wrong.close()
    right.close()


@pytest.mark.parametrize("why", [None, "Overloaded, sorry."], ids=["cut", "error event"])
def test_a_broken_stream(sdk: Client, behind: Behind, dialect: str, why: str | None) -> None:
    """A stream that breaks off raises after what came of it, never a clean end."""
    behind(broken(dialect, BROKEN, error=None if why is None else {"message": why}))
    got: list[GenerateContentResponse] = []
    stream = sdk.models.generate_content_stream(model="auto", contents=QUESTION)
    with pytest.raises(ServerError) as raised:
        got.extend(stream)
    assert raised.value.code == 502
    assert all(not answer.candidates[0].finish_reason for answer in got if answer.candidates)
    text = "".join(answer.text or "" for answer in got)
    assert text
    assert BROKEN.text.startswith(text)


def test_models(sdk: Client, behind: Behind) -> None:
    """The models are listed in this SDK's shape, and each can be asked for."""
    provider = behind()
    names = [model.name for model in sdk.models.list()]
    assert names == ["models/auto", "models/tiergate/only", f"models/{provider.target}"]
    for name in names:
        assert sdk.models.get(model=str(name)).name == name
    with pytest.raises(ClientError) as raised:
        sdk.models.get(model="nobody/none")
    assert raised.value.code == 404
