"""OpenAI's client on responses, with providers of every dialect behind the gateway."""

import asyncio
import json
from typing import Any

import openai
import pytest
from openai.types.responses import (
    FunctionToolParam,
    ParsedResponse,
    Response,
    ResponseFunctionToolCall,
    ResponseReasoningItem,
    ResponseStreamEvent,
)
from openai.types.responses.response_input_param import ResponseInputParam

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

WEATHER: FunctionToolParam = {
    "type": "function",
    "name": TOOL,
    "description": ABOUT,
    "parameters": SCHEMA,
    "strict": True,
}
ASK: ResponseInputParam = [{"role": "user", "content": QUESTION}]
BROKEN = Said("One half of it comes, and then nothing more of it.")


def test_whole(gateway: Gateway, behind: Behind) -> None:
    """A whole response has the provider's text, its reasoning, its end and its counts."""
    provider = behind(PLAIN)
    with gateway.sdk() as sdk:
        answer = sdk.responses.create(
            model="auto", instructions=SYSTEM, input=QUESTION, max_output_tokens=200
        )
    assert answer.output_text == REPLY
    assert answer.status == "completed"
    thought = answer.output[0]
    assert isinstance(thought, ResponseReasoningItem)
    assert [part.text for part in thought.summary] == [THINKING]
    usage = answer.usage
    assert usage
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (IN, OUT, IN + OUT)
    assert usage.input_tokens_details.cached_tokens == CACHED
    assert usage.output_tokens_details.reasoning_tokens == THOUGHT
    assert told(provider) == ASKED


def test_streamed(gateway: Gateway, behind: Behind) -> None:
    """A stream's events come numbered, piece by piece, and end with the whole response."""
    provider = behind(PLAIN)
    with gateway.sdk() as sdk:
        events = list(
            sdk.responses.create(model="auto", instructions=SYSTEM, input=ASK, stream=True)
        )
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert events[0].type == "response.created"
    text = [event.delta for event in events if event.type == "response.output_text.delta"]
    assert "".join(text) == REPLY
    assert len(text) > 3
    thought = [
        event.delta for event in events if event.type == "response.reasoning_summary_text.delta"
    ]
    assert "".join(thought) == THINKING
    last = events[-1]
    assert last.type == "response.completed"
    assert last.response.output_text == REPLY
    assert last.response.usage
    assert (last.response.usage.input_tokens, last.response.usage.output_tokens) == (IN, OUT)
    assert told(provider) == ASKED


def test_stream_helper(gateway: Gateway, behind: Behind) -> None:
    """The stream helper gathers text and calls as they grow, and gives the whole at the end."""
    behind(FIRST)
    snapshots: list[str] = []
    with (
        gateway.sdk() as sdk,
        sdk.responses.stream(model="auto", input=ASK, tools=[WEATHER]) as stream,
    ):
        for event in stream:
            if event.type == "response.output_text.delta":
                snapshots.append(event.snapshot)
            elif event.type == "response.function_call_arguments.delta":
                assert event.snapshot.endswith(event.delta)
        final = stream.get_final_response()
    assert snapshots[-1] == LOOK
    assert final.output_text == LOOK
    assert [item.type for item in final.output if item.type != "reasoning"] == [
        "message",
        "function_call",
        "function_call",
    ]
    calls = [item for item in final.output if item.type == "function_call"]
    assert [json.loads(call.arguments) for call in calls] == [{"city": city} for city in RAIN]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_tool_loop(gateway: Gateway, behind: Behind, *, stream: bool) -> None:
    """All items go back with the results: the provider gets its own turn, its proof unchanged."""
    provider = behind(FIRST, SECOND)
    with gateway.sdk() as sdk:
        items: list[Any] = [*ASK]
        first = _turn(sdk, items, stream=stream)
        items += first.output
        for item in first.output:
            if isinstance(item, ResponseFunctionToolCall):
                weather = RAIN[json.loads(item.arguments)["city"]]
                items.append(
                    {"type": "function_call_output", "call_id": item.call_id, "output": weather}
                )
        last = _turn(sdk, items, stream=stream)
    assert last.output_text == REPLY
    check_loop(provider)
    assert tools_of(provider.dialect, provider.asked[1]) == {TOOL: SCHEMA}


def _turn(sdk: openai.OpenAI, items: list[Any], *, stream: bool) -> Response:
    about: dict[str, Any] = {
        "model": "auto",
        "instructions": SYSTEM,
        "input": items,
        "tools": [WEATHER],
        "reasoning": {"effort": "medium", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    if not stream:
        answer: Response = sdk.responses.create(**about)
        return answer
    with sdk.responses.stream(**about) as stream_:
        stream_.until_done()
        final: Response = stream_.get_final_response()
        return final


async def _both(sdk: openai.AsyncOpenAI) -> tuple[str, str]:
    async with sdk:
        whole = await sdk.responses.create(model="auto", input=ASK)
        async with sdk.responses.stream(model="auto", input=ASK) as stream:
            final = await stream.get_final_response()
    return whole.output_text, final.output_text


def test_async(gateway: Gateway, behind: Behind) -> None:
    """The asynchronous client gets the same answers, whole and streamed."""
    behind(PLAIN, PLAIN)
    assert asyncio.run(_both(gateway.async_sdk())) == (REPLY, REPLY)


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_parse(gateway: Gateway, behind: Behind, *, stream: bool) -> None:
    """A class's schema reaches the provider, and its answer is an object of that class."""
    provider = behind(TYPED)
    answer: ParsedResponse[Trip]
    with gateway.sdk() as sdk:
        if stream:
            with sdk.responses.stream(model="auto", input=ASK, text_format=Trip) as stream_:
                answer = stream_.get_final_response()
        else:
            answer = sdk.responses.parse(model="auto", input=ASK, text_format=Trip)
    assert answer.output_parsed == TRIP
    asked = schema_of(provider.dialect, provider.asked[0])
    assert set(asked["properties"]) == {"place", "days", "notes"}


def test_images(gateway: Gateway, behind: Behind) -> None:
    """An image reaches the provider byte by byte, in its place."""
    provider = behind(SECOND)
    content: list[Any] = [
        {"type": "input_text", "text": "What is"},
        {"type": "input_image", "image_url": f"data:image/png;base64,{PNG_BASE64}"},
        {"type": "input_text", "text": "this?"},
    ]
    with gateway.sdk() as sdk:
        sdk.responses.create(model="auto", input=[{"role": "user", "content": content}])
    assert told(provider) == [
        said("user", "What is"),
        said("image", PNG_BASE64),
        said("user", "this?"),
    ]


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "stream"])
def test_cut_at_its_limit(gateway: Gateway, behind: Behind, *, stream: bool) -> None:
    """An answer that reached its limit of tokens is incomplete, and says why."""
    behind(Said(REPLY, is_cut=True))
    with gateway.sdk() as sdk:
        got = sdk.responses.create(model="auto", input=ASK, max_output_tokens=17, stream=stream)
        if isinstance(got, Response):
            answer = got
        else:
            last = list(got)[-1]
            assert last.type == "response.incomplete"
            answer = last.response
    assert answer.status == "incomplete"
    assert answer.incomplete_details
    assert answer.incomplete_details.reason == "max_output_tokens"
    assert answer.output_text == REPLY


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
    behind(refusal(dialect, status, "Not like that."))
    with gateway.sdk() as sdk, pytest.raises(error) as raised:
        sdk.responses.create(model="auto", input=ASK, stream=stream)
    assert raised.value.status_code == seen
    if status == 400:
        assert "Not like that." in raised.value.message


def test_wrong_key(gateway: Gateway, behind: Behind) -> None:
    """The gateway's own key is what counts, wherever the answer would have come from."""
    behind(SECOND, client={"keys": ["E2E_CLIENT_KEY"]})
    with pytest.raises(openai.AuthenticationError):
        gateway.sdk("wrong").responses.create(model="auto", input=ASK)
    with gateway.sdk(SECRETS["E2E_CLIENT_KEY"]) as sdk:
        assert sdk.responses.create(model="auto", input=ASK).output


@pytest.mark.parametrize("why", [None, "Overloaded, sorry."], ids=["cut", "error event"])
def test_a_broken_stream(gateway: Gateway, behind: Behind, dialect: str, why: str | None) -> None:
    """A stream that breaks off raises after what came of it, never a clean end."""
    behind(broken(dialect, BROKEN, error=None if why is None else {"message": why}))
    got: list[ResponseStreamEvent] = []
    with gateway.sdk() as sdk:
        stream = sdk.responses.create(model="auto", input=ASK, stream=True)
        with pytest.raises(openai.APIError) as raised:
            got.extend(stream)
    assert not {event.type for event in got} & {"response.completed", "response.incomplete"}
    text = "".join(event.delta for event in got if event.type == "response.output_text.delta")
    assert text
    assert BROKEN.text.startswith(text)
    assert raised.value.code == "upstream_stream_broken"


def test_what_one_provider_keeps(gateway: Gateway, behind: Behind) -> None:
    """An answer kept elsewhere cannot be gone on from: a 400 that says what to do."""
    behind()
    with gateway.sdk() as sdk, pytest.raises(openai.BadRequestError) as raised:
        sdk.responses.create(model="auto", input=ASK, previous_response_id="resp_7")
    assert (raised.value.code, raised.value.param) == ("needs_a_model", "previous_response_id")
