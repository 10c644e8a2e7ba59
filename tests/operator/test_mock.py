"""The mock provider, over real connections."""

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import jsonschema
import openai
import pytest
from openai.types.chat import ChatCompletionMessageToolCall

from gateway.operator.mock import create_app, create_server
from gateway.operator.mock.faults import BadFault, Fault, describe, parse
from gateway.operator.mock.journal import MAX_BYTES, MAX_ENTRIES, Journal
from gateway.operator.mock.samples import NoSample, sample
from gateway.operator.mock.tiers import pick

TIERS = ["fast", "balanced", "quality", "reasoning"]
HELLO = [{"role": "user", "content": "Hello there, größe and 漢字"}]


@contextmanager
def serving(fault: str | None = None) -> Iterator[str]:
    """The mock provider in a thread; its address."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        server = create_server("127.0.0.1", 0, fault)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
        )
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(10)
            assert not thread.is_alive()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with serving() as at:
        yield at


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=address, timeout=10) as http:
        yield http


@pytest.fixture
def sdk(address: str) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{address}/v1", api_key="any", max_retries=0) as made:
        yield made


def chat(model: str = "small", **more: Any) -> dict[str, Any]:  # noqa: ANN401 - a JSON body
    return {"model": model, "messages": HELLO, **more}


def post(client: httpx.Client, model: str = "small", **more: Any) -> httpx.Response:  # noqa: ANN401
    return client.post("/v1/chat/completions", json=chat(model, **more))


def read_until_broken(client: httpx.Client, model: str, **more: Any) -> tuple[bytes, str]:  # noqa: ANN401
    """What arrived before the connection broke, and how httpx puts it."""
    got = b""
    with client.stream("POST", "/v1/chat/completions", json=chat(model, **more)) as answer:
        try:
            for piece in answer.iter_raw():
                got += piece
        except httpx.HTTPError as error:
            return got, f"{type(error).__name__}: {error}"
    return got, "ended cleanly"


def events(stream: bytes) -> list[str]:
    return [e.removeprefix("data: ") for e in stream.decode().split("\n\n") if e]


# --- Answers -----------------------------------------------------------------


def test_a_whole_answer_names_the_model_and_echoes_the_last_user_turn(sdk: openai.OpenAI) -> None:
    """A new user sees who answered what, without a key."""
    answer = sdk.chat.completions.create(
        model="small",
        messages=[
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": [{"type": "text", "text": "the second " + "x" * 100}]},
        ],
    )
    content = answer.choices[0].message.content
    assert content is not None
    assert "small" in content
    assert "the second xxx" in content
    assert "x" * 100 not in content
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.prompt_tokens == 5
    assert answer.usage.completion_tokens == len(content.split())
    assert answer.usage.total_tokens == 5 + answer.usage.completion_tokens
    assert answer.id.startswith("chatcmpl-")
    assert answer.model == "small"


def test_answers_differ_in_id_and_time_alone(client: httpx.Client) -> None:
    """Tests can compare what two requests brought."""
    one, two = post(client).json(), post(client).json()
    assert one["id"] != two["id"]
    for answer in (one, two):
        del answer["id"], answer["created"]
    assert one == two


def test_a_stream_says_what_the_whole_answer_says(sdk: openai.OpenAI) -> None:
    """The official client reads the stream, its text and its usage."""
    whole = sdk.chat.completions.create(
        model="small", messages=[{"role": "user", "content": "größe and 漢字"}]
    )
    chunks = list(
        sdk.chat.completions.create(
            model="small",
            messages=[{"role": "user", "content": "größe and 漢字"}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    assert chunks[0].choices[0].delta.role == "assistant"
    assert not chunks[0].choices[0].delta.content
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content
    assert len(chunks) == len(text.split()) + 3
    assert [c.choices[0].finish_reason for c in chunks[-2:-1]] == ["stop"]
    assert chunks[-1].choices == []
    assert chunks[-1].usage == whole.usage
    assert len({c.id for c in chunks}) == 1


def test_usage_in_a_stream_must_be_asked_for(client: httpx.Client) -> None:
    """As with OpenAI, no usage appears unasked; the last event is [DONE]."""
    stream = events(post(client, stream=True).content)
    assert stream[-1] == "[DONE]"
    assert "usage" not in "".join(stream)
    assert json.loads(stream[-2])["choices"][0]["finish_reason"] == "stop"


def test_a_forced_tool_is_called_whole_and_streamed(sdk: openai.OpenAI) -> None:
    """The arguments satisfy the tool's parameters, in fragments too."""
    parameters: dict[str, object] = {
        "type": "object",
        "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 2}},
        "required": ["city", "days"],
    }
    tools: Any = [
        {"type": "function", "function": {"name": "other"}},
        {"type": "function", "function": {"name": "weather", "parameters": parameters}},
    ]
    forced: Any = {"type": "function", "function": {"name": "weather"}}
    asked: Any = {"model": "small", "messages": HELLO, "tools": tools}
    whole = sdk.chat.completions.create(**asked, tool_choice=forced).choices[0]
    assert whole.finish_reason == "tool_calls"
    assert whole.message.content is None
    call = (whole.message.tool_calls or [])[0]
    assert isinstance(call, ChatCompletionMessageToolCall)
    assert call.function.name == "weather"
    jsonschema.validate(json.loads(call.function.arguments), parameters)

    chunks = list(sdk.chat.completions.create(**asked, tool_choice=forced, stream=True))
    fragments = [f for c in chunks for f in c.choices[0].delta.tool_calls or []]
    assert fragments[0].id == call.id
    arguments = "".join(f.function.arguments or "" for f in fragments if f.function)
    assert arguments == call.function.arguments
    assert len(fragments) > 2

    first = sdk.chat.completions.create(**asked, tool_choice="required").choices[0]
    named = (first.message.tool_calls or [])[0]
    assert isinstance(named, ChatCompletionMessageToolCall)
    assert named.function.name == "other"
    free = sdk.chat.completions.create(**asked).choices[0]
    assert free.message.tool_calls is None


SCHEMAS: list[dict[str, Any]] = [
    {
        "type": "object",
        "properties": {
            "name": {"type": "string", "minLength": 9, "maxLength": 9},
            "kind": {"enum": ["a", "b"]},
            "count": {"type": "integer", "minimum": 3, "multipleOf": 5},
            "share": {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
            "whole": {"type": "integer", "minimum": 2.5},
            "yes": {"type": "boolean"},
            "tags": {"type": "array", "items": {"type": "string"}, "minItems": 2},
            "inner": {"type": "object", "properties": {"x": {"type": ["null", "string"]}}},
        },
        "required": ["name", "kind", "count", "share", "whole", "yes", "tags", "inner"],
        "additionalProperties": False,
    },
    {
        "$defs": {
            "node": {
                "type": "object",
                "properties": {
                    "value": {"const": 7},
                    "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]},
                },
                "required": ["value", "next"],
            }
        },
        "$ref": "#/$defs/node",
    },
    {
        "allOf": [
            {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
            {"properties": {"b": {"type": "integer", "maximum": -4}}, "required": ["b"]},
        ]
    },
]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_json_answer_satisfies_its_schema(client: httpx.Client, schema: dict[str, Any]) -> None:
    """An independent validator accepts the answer."""
    form = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
    answer = post(client, response_format=form).json()
    jsonschema.validate(json.loads(answer["choices"][0]["message"]["content"]), schema)


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ({"type": "array", "minItems": 10**9}, "minItems"),
        ({"type": "string", "minLength": 10**9}, "minLength"),
        ({"minItems": 9999, "items": {"type": "string", "minLength": 1000}}, "for too much"),
        ({"minItems": 9999, "items": {"const": "x" * 1000}}, "for too much"),
        ({"$ref": "#"}, "the schema is too deep"),
        ({"type": "number", "minimum": 2, "maximum": 1}, "no number from 2 to 1"),
        ({"type": "integer", "minimum": 0.5, "multipleOf": 1e-320}, "a number in the schema"),
        ({"type": "colour"}, "no such type: colour"),
    ],
)
def test_a_schema_beyond_it_is_refused(schema: dict[str, Any], message: str) -> None:
    """It gives up, early and with a reason, before it answers wrongly or fills the memory."""
    with pytest.raises(NoSample, match=message):
        sample(schema)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b"[" * 100_000, None),
        (b'{"model": NaN}', None),
        (b'{"messages": [{}]}', "model"),
        (b'{"model": "m", "messages": []}', "messages"),
        (b'{"model": "m", "messages": [{}], "n": 2}', "n"),
        (b'{"model": "m", "messages": [{}], "n": []}', "n"),
        (b'{"model": "m", "messages": [{}], "stream": "yes"}', "stream"),
        (b'{"model": "m", "messages": [{}], "tool_choice": "required"}', "tool_choice"),
        (
            b'{"model": "m", "messages": [{}], "response_format": {"type": "json_schema"}}',
            "response_format",
        ),
    ],
)
def test_a_wrong_request_is_a_400(client: httpx.Client, body: bytes, param: str | None) -> None:
    """What it cannot do it refuses, in OpenAI's shape, naming the parameter."""
    answer = client.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == param


def test_half_a_character_does_no_harm(client: httpx.Client) -> None:
    """JSON can hold half a surrogate pair; the echo is still UTF-8."""
    body = b'{"model": "m", "messages": [{"role": "user", "content": "a \\ud83d b"}]}'
    answer = client.post("/v1/chat/completions", content=body)
    assert "a ? b" in answer.json()["choices"][0]["message"]["content"]
    assert client.get("/mock/requests?last=1").status_code == 200


def test_models_are_listed(sdk: openai.OpenAI) -> None:
    """The official client can list models."""
    assert {"small", "medium", "large", "reasoner"} <= {m.id for m in sdk.models.list()}


# --- The classifier's part ---------------------------------------------------


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("Hi!", 0),
        ("What is the capital of France?", 0),
        ("Write a birthday poem for my aunt who likes sailing", 1),
        ("Refactor this class so that it can be tested", 2),
        ("Review the termination clause of this contract", 2),
        ("Prove that there are infinitely many primes", 3),
    ],
)
def test_the_toy_classifier_picks_a_tier(client: httpx.Client, text: str, place: int) -> None:
    """A demo without keys shows different tiers, judged by the last user turn alone."""
    document = {
        "conversation_before": [{"role": "user", "text": "prove a theorem"}],
        "last_user_turn": text,
    }
    schema = {
        "type": "object",
        "properties": {"tier": {"type": "string", "enum": TIERS}},
        "required": ["tier"],
        "additionalProperties": False,
    }
    body = {
        "model": "classifier",
        "messages": [
            {"role": "system", "content": "fast: puzzle. reasoning: prove"},
            {"role": "user", "content": json.dumps(document)},
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "tier", "strict": True, "schema": schema},
        },
    }
    answer = client.post("/v1/chat/completions", json=body).json()
    reply = json.loads(answer["choices"][0]["message"]["content"])
    assert reply == {"tier": TIERS[place]}


def test_any_number_of_tiers_will_do() -> None:
    """Tiers are known by their place, whatever their names and however many."""
    texts = ("hi", "write a poem", "debug this", "prove it")
    assert [pick(["a"], t) for t in texts] == ["a", "a", "a", "a"]
    assert [pick(["a", "b"], t) for t in texts] == ["a", "b", "b", "b"]
    assert [pick(list("abc"), t) for t in texts] == ["a", "b", "c", "c"]
    assert [pick(list("abcde"), t) for t in texts] == ["a", "b", "c", "e"]


# --- Faults ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "there is no fault ''"),
        ("status=503,", "there is no fault ''"),
        ("statu=503", "there is no fault 'statu'"),
        ("status", "status takes a whole number"),
        ("status=200", "status is from 400 to 599"),
        ("cut=-1", "cut takes a whole number"),
        ("cut=٣", "cut takes a whole number"),
        ("refuse=1", "refuse takes no value"),
        ("cut=1,cut=2", "cut is given twice"),
    ],
)
def test_a_wrong_spec_is_refused_and_lists_the_faults(
    client: httpx.Client, spec: str, message: str
) -> None:
    """In a model's name, at the control endpoint and at the start alike."""
    named = post(client, f"small!{spec}")
    ordered = client.put("/mock/faults/small", json={"fault": spec})
    for answer in (named, ordered):
        assert answer.status_code == 400
        said = answer.json()["error"]["message"]
        assert said.startswith(message)
        assert all(fault in said for fault in describe())
    with pytest.raises(BadFault, match=r"Faults: status=400\.\.599"):
        create_app(spec)


def test_a_spec_is_read_whole() -> None:
    """Faults add up."""
    assert parse("status=503, delay_ms=100,no_done") == Fault(
        status=503, delay_ms=100, no_done=True
    )


def test_status_and_retry_after(sdk: openai.OpenAI) -> None:
    """The official client sees the error it would see from OpenAI, streamed or not."""
    for stream in (False, True):
        with pytest.raises(openai.RateLimitError) as caught:
            sdk.chat.completions.create(
                model="small!status=429,retry_after=7",
                messages=[{"role": "user", "content": "hi"}],
                stream=stream,
            )
        assert caught.value.code == "rate_limit_exceeded"
        assert caught.value.response.headers["retry-after"] == "7"


def test_delays(client: httpx.Client) -> None:
    """delay_ms is before the head, chunk_ms between the events."""
    began = time.monotonic()
    body = chat("small!delay_ms=300,chunk_ms=40", stream=True)
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        head = time.monotonic() - began
        count = len(events(answer.read()))
    assert head >= 0.3
    assert time.monotonic() - began >= 0.3 + 0.04 * (count - 1)


def test_refuse_sends_nothing(client: httpx.Client) -> None:
    """The connection ends without an answer, and a new one works."""
    with pytest.raises(httpx.RemoteProtocolError, match="without sending a response"):
        post(client, "small!refuse")
    assert post(client).status_code == 200


def test_a_cut_stream_does_not_end(client: httpx.Client) -> None:
    """Exactly N events arrive, and the client can tell that the body is not complete."""
    total = len(events(post(client, stream=True).content))
    for count in (0, 1, 3, total):
        got, how = read_until_broken(client, f"small!cut={count}", stream=True)
        assert len(events(got)) == count
        assert how.startswith("RemoteProtocolError: peer closed connection"), how
    got, how = read_until_broken(client, f"small!cut={total + 1}", stream=True)
    assert how == "ended cleanly"
    assert len(events(got)) == total


def test_a_cut_body_is_shorter_than_promised(client: httpx.Client) -> None:
    """Exactly N bytes arrive of the content-length announced; an error's body too."""
    for model in ("small!cut=10", "small!cut=0", "small!status=500,cut=10"):
        got, how = read_until_broken(client, model)
        assert len(got) == int(model.rpartition("=")[2])
        assert how.startswith("RemoteProtocolError: peer closed connection"), how


def test_the_official_client_sees_the_cut(sdk: openai.OpenAI) -> None:
    """A cut is a connection error, not the end of an answer."""
    with pytest.raises(openai.APIConnectionError):
        sdk.chat.completions.create(
            model="small!cut=10", messages=[{"role": "user", "content": "hi"}]
        )


@pytest.mark.parametrize(
    ("spec", "stream", "count"),
    [
        ("stall=2", True, 2),
        ("head_stall", True, 0),
        ("stall=10", False, 10),
        ("head_stall", False, 0),
        ("cut=5,stall=2", True, 2),
    ],
)
def test_a_stall_is_silence(address: str, spec: str, *, stream: bool, count: int) -> None:
    """The head and N events or bytes arrive, then nothing while the connection stays open."""
    with httpx.Client(base_url=address, timeout=0.4) as client:
        got, how = read_until_broken(client, f"small!{spec}", stream=stream)
    assert how.startswith("ReadTimeout"), how
    assert (len(events(got)) if stream else len(got)) == count


def test_a_stall_does_not_hold_up_the_end(capfd: pytest.CaptureFixture[str]) -> None:
    """A server with a silent answer still stops when told to, at once and without complaint."""
    with ExitStack() as still_open:
        with serving("stall=1") as at:
            client = still_open.enter_context(httpx.Client(base_url=at))
            body = chat(stream=True)
            stream = client.stream("POST", "/v1/chat/completions", json=body)
            assert still_open.enter_context(stream).status_code == 200
            began = time.monotonic()
        assert time.monotonic() - began < 1
    assert capfd.readouterr() == ("", "")


def test_malformed(client: httpx.Client) -> None:
    """A body, or one event of a stream, is not JSON."""
    with pytest.raises(json.JSONDecodeError):
        post(client, "small!malformed").json()
    stream = events(post(client, "small!malformed", stream=True).content)
    json.loads(stream[0])
    json.loads(stream[2])
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream[1])
    assert stream[-1] == "[DONE]"


def test_an_error_event_ends_the_stream(client: httpx.Client, sdk: openai.OpenAI) -> None:
    """After N events comes an error and no [DONE]; the official client raises it."""
    stream = events(post(client, "small!error_event=3", stream=True).content)
    assert ["error" in json.loads(event) for event in stream] == [False, False, False, True]
    with pytest.raises(openai.APIError, match="told to fail"):
        list(
            sdk.chat.completions.create(
                model="small!error_event=2",
                messages=[{"role": "user", "content": "hi"}],
                stream=True,
            )
        )


def test_missing_ends(client: httpx.Client) -> None:
    """no_done and no_finish take just that away."""
    stream = events(post(client, "small!no_done", stream=True).content)
    assert json.loads(stream[-1])["choices"][0]["finish_reason"] == "stop"
    stream = events(post(client, "small!no_finish", stream=True).content)
    assert stream[-1] == "[DONE]"
    assert all(json.loads(e)["choices"][0]["finish_reason"] is None for e in stream[:-1])
    assert post(client, "small!no_finish").json()["choices"][0]["finish_reason"] is None


def test_empty(client: httpx.Client) -> None:
    """A 200 with no bytes that ends cleanly."""
    for stream in (False, True):
        answer = post(client, "small!empty", stream=stream)
        assert (answer.status_code, answer.content) == (200, b"")


@pytest.mark.parametrize("size", [0, 1, 100, 3_000_000])
def test_big(client: httpx.Client, size: int) -> None:
    """The text has exactly so many bytes, whole and streamed."""
    whole = post(client, f"small!big={size}").json()["choices"][0]["message"]["content"]
    assert len(whole.encode()) == size
    stream = events(post(client, f"small!big={size}", stream=True).content)
    deltas = [json.loads(event)["choices"][0]["delta"] for event in stream[:-1]]
    assert "".join(delta.get("content", "") for delta in deltas) == whole


@pytest.mark.parametrize(
    ("spec", "status", "code"),
    [
        ("too_long", 400, "context_length_exceeded"),
        ("filtered", 400, "content_filter"),
        ("bad_key", 400, None),
        ("redirect", 307, None),
    ],
)
def test_refusals_of_their_own(
    client: httpx.Client, spec: str, status: int, code: str | None
) -> None:
    """What a gateway has to tell apart by more than the status is said in a provider's words."""
    for stream in (False, True):
        answer = post(client, f"small!{spec}", stream=stream)
        assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
        assert ("location" in answer.headers) == (spec == "redirect")


def test_when_to_come_back(client: httpx.Client) -> None:
    """A wait can be said in seconds, as a date and in milliseconds."""
    spec = "small!status=429,retry_after_date=60,retry_after_ms=1500"
    headers = post(client, spec).headers
    ahead = parsedate_to_datetime(headers["retry-after"]).timestamp() - time.time()
    assert 57 < ahead <= 60
    assert headers["retry-after-ms"] == "1500"


def test_a_pause_after_the_head(client: httpx.Client) -> None:
    """content_ms comes after the head and the role; pings fill it, and are no events."""
    body = chat("small!content_ms=300,ping_ms=100", stream=True)
    began = time.monotonic()
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        got = b"".join(answer.iter_raw())
    assert time.monotonic() - began >= 0.3
    said, *rest = got.split(b"\n\n")
    assert b'"role"' in said
    assert rest[0] == b": ping"
    assert b'"content"' in rest[got.count(b": ping\n\n")]


@pytest.mark.parametrize("spec", ["reset", "garbage"])
@pytest.mark.parametrize("stream", [False, True])
def test_no_http_at_all(client: httpx.Client, spec: str, *, stream: bool) -> None:
    """A reset and bytes of another protocol are errors of the connection."""
    with pytest.raises(httpx.HTTPError):
        post(client, f"small!{spec}", stream=stream)
    assert post(client).status_code == 200


def test_a_reset_in_the_middle(client: httpx.Client) -> None:
    """What was sent before a reset arrives."""
    got, how = read_until_broken(client, "small!cut=3,reset", stream=True)
    assert len(events(got)) == 3
    assert how.startswith("ReadError"), how


def test_lengths(client: httpx.Client) -> None:
    """A whole answer can come without its length, and a stream with it; a cut shows in both."""
    assert "content-length" not in post(client, "small!chunked").headers
    answer = post(client, "small!sized", stream=True)
    assert int(answer.headers["content-length"]) == len(answer.content)
    for spec, stream in (("chunked,cut=10", False), ("sized,cut=3", True)):
        _, how = read_until_broken(client, f"small!{spec}", stream=stream)
        assert how.startswith("RemoteProtocolError"), how


def test_where_a_stream_goes_wrong(client: httpx.Client) -> None:
    """An event that is not JSON, and a clean end that comes too early, after N events."""
    stream = events(post(client, "small!malformed_event=3", stream=True).content)
    for number in (0, 1, 2, 4):
        json.loads(stream[number])
    with pytest.raises(json.JSONDecodeError):
        json.loads(stream[3])
    assert len(events(post(client, "small!ends=3", stream=True).content)) == 3


def test_not_what_was_asked_for(client: httpx.Client) -> None:
    """Under status 200: an error, a page, a whole answer instead of a stream, one without words."""
    for stream in (False, True):
        body = post(client, "small!error_body", stream=stream).content
        assert "error" in json.loads(body.removeprefix(b"data: "))
        page = post(client, "small!page", stream=stream)
        assert (page.headers["content-type"], page.content[:9]) == ("text/html", b"<!DOCTYPE")
    assert post(client, "small!unstreamed", stream=True).json()["object"] == "chat.completion"
    answer = post(client, "small!blank").json()["choices"][0]
    assert (answer["message"]["content"], answer["finish_reason"]) == ("", "stop")
    *_, last, done = events(post(client, "small!blank", stream=True).content)
    assert (json.loads(last)["choices"][0]["finish_reason"], done) == ("stop", "[DONE]")


def test_a_stream_that_lingers(address: str) -> None:
    """All was said, but the body does not end."""
    with httpx.Client(base_url=address, timeout=0.4) as client:
        got, how = read_until_broken(client, "small!lingers", stream=True)
    assert events(got)[-1] == "[DONE]"
    assert how.startswith("ReadTimeout"), how


# --- Where faults come from --------------------------------------------------


def test_a_model_is_killed_and_revived_while_it_runs(client: httpx.Client) -> None:
    """An ordered fault beats the name's and holds for its model until it is taken away."""
    assert client.put("/mock/faults/a/b", json={"fault": "status=503"}).status_code == 200
    assert post(client, "a/b").status_code == 503
    assert post(client, "a/b!status=500").status_code == 503
    assert post(client, "b").status_code == 200
    listed = client.get("/mock/faults").json()
    assert listed["models"] == {"a/b": {"fault": "status=503", "times": None}}
    assert listed["valid"] == describe()
    assert client.delete("/mock/faults/a/b").status_code == 200
    assert post(client, "a/b").status_code == 200
    assert client.delete("/mock/faults/a/b").status_code == 404


def test_a_fault_can_be_ordered_for_a_number_of_times(client: httpx.Client) -> None:
    """After so many requests the model is whole again."""
    client.put("/mock/faults/c", json={"fault": "status=503", "times": 2}).raise_for_status()
    assert [post(client, "c").status_code for _ in range(3)] == [503, 503, 200]
    assert client.get("/mock/faults").json()["models"] == {}


def test_faults_in_turn(client: httpx.Client) -> None:
    """A list is taken one a request, then the model is whole again."""
    order = {"fault": ["status=503", "none", "status=500"]}
    client.put("/mock/faults/t", json=order).raise_for_status()
    assert post(client, "t").status_code == 503
    assert client.get("/mock/faults").json()["models"]["t"]["fault"] == ["none", "status=500"]
    assert [post(client, "t").status_code for _ in range(3)] == [200, 500, 200]


def test_a_fault_at_the_start_is_the_last_resort() -> None:
    """It is for every chat request that has no fault of its own."""
    with serving("status=500") as at, httpx.Client(base_url=at) as client:
        assert post(client).status_code == 500
        assert post(client, "small!status=501").status_code == 501
        client.put("/mock/faults/small", json={"fault": "status=502"}).raise_for_status()
        assert post(client).status_code == 502
        assert client.get("/v1/models").status_code == 200
        assert client.get("/mock/faults").json()["at_start"] == "status=500"


@pytest.mark.parametrize(
    ("model", "body"),
    [
        ("m", "{"),
        ("m", "[]"),
        ("m", '{"fault": 1}'),
        ("m", '{"fault": "refuse", "time": 1}'),
        ("m", '{"fault": "refuse", "times": 0}'),
        ("m", '{"fault": "refuse", "times": true}'),
        ("m", '{"fault": []}'),
        ("m", '{"fault": ["refuse", "no_such"]}'),
        ("m", '{"fault": ["refuse"], "times": 2}'),
        ("m!refuse", '{"fault": "refuse"}'),
    ],
)
def test_a_wrong_order_is_refused(client: httpx.Client, model: str, body: str) -> None:
    """A slip in an order never looks like a working fault."""
    assert client.put(f"/mock/faults/{model}", content=body).status_code == 400
    assert client.get("/mock/faults").json()["models"] == {}


# --- What was received -------------------------------------------------------


def test_requests_can_be_looked_at_without_their_keys(client: httpx.Client) -> None:
    """Method, path, headers and body are shown; of a key only which one it was."""
    key = "sk-very-secret"
    client.post(
        "/v1/chat/completions",
        json=chat(),
        headers={"authorization": f"Bearer {key}", "x-api-key": key, "idempotency-key": "i-1"},
    )
    client.post("/v1/nowhere", content=b"not JSON")
    shown = client.get("/mock/requests?last=2")
    assert key not in shown.text
    known, unknown = shown.json()["requests"]
    assert (known["method"], known["path"]) == ("POST", "/v1/chat/completions")
    assert known["body"] == chat()
    headers = dict(known["headers"])
    digest = hashlib.sha256(key.encode()).hexdigest()[:12]
    assert headers["authorization"] == f"Bearer *** sha256:{digest}"
    assert headers["x-api-key"] == f"*** sha256:{digest}"
    assert headers["idempotency-key"] == "i-1"
    assert (unknown["path"], unknown["body"]) == ("/v1/nowhere", "not JSON")
    assert unknown["number"] == known["number"] + 1


def test_the_journal_says_how_answers_ended(client: httpx.Client) -> None:
    """For one model: whether it was sent to its end, was broken off, or its client had gone."""
    post(client, "told")
    read_until_broken(client, "told!cut=2", stream=True)
    body = chat("told!stall=2", stream=True)
    with client.stream("POST", "/v1/chat/completions", json=body) as answer:
        next(answer.iter_raw())

    def endings() -> list[str | None]:
        shown = client.get("/mock/requests?model=told&last=9").json()["requests"]
        return [entry["ended"] for entry in shown]

    deadline = time.monotonic() + 5
    while None in endings() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert endings() == ["answered", "broken off", "client gone"]


@pytest.mark.parametrize("last", ["0", "-1", "x", "257", "9" * 5000])
def test_last_is_a_small_number(client: httpx.Client, last: str) -> None:
    """Anything else is refused."""
    assert client.get(f"/mock/requests?last={last}").status_code == 400


def test_the_journal_is_bounded() -> None:
    """In requests and in bytes; the oldest go first."""
    journal = Journal()
    for _ in range(MAX_ENTRIES + 5):
        journal.add("POST", "/", [], b"1")
    assert [entry["number"] for entry in journal.last(1000)] == list(range(6, MAX_ENTRIES + 6))
    half = b'"' + b"x" * (MAX_BYTES // 2 - 2) + b'"'
    for _ in range(3):
        journal.add("POST", "/", [], half)
    assert len(journal.last(1000)) == 2


def test_a_body_too_large_is_a_413(client: httpx.Client) -> None:
    """It is read to its end, so that the client sees the answer, but not kept."""
    answer = client.post("/v1/chat/completions", content=b"x" * (33 * 1024 * 1024))
    assert answer.status_code == 413
    assert client.get("/mock/requests?last=1").json()["requests"][0]["body"] is None
