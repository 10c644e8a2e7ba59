"""OpenAI Responses to itself: the bytes pass, read just far enough; errors, both ways."""

import json
from typing import Any

import pytest

from gateway.core.chat import StreamEvent, Usage
from gateway.core.dialect import ProviderError
from gateway.core.dialects.openai_responses import DIALECT
from gateway.core.errors import BadRequest, UpstreamError
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent


def passed(body: str) -> str:
    chat = DIALECT.parse_request(body.encode(), None, None)
    request = DIALECT.pass_request(chat, "gpt-5", True)  # noqa: FBT003 - as Dialect has it
    assert request.path == "/responses"
    return request.body.decode()


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            '{ "model":"auto","input" : "h\\u00e9",\n"new": 1.50 }',
            '{ "model":"gpt-5","input" : "h\\u00e9",\n"new": 1.50 }',
        ),
        ('{"input": "of tiergate"}', '{"input": "of tiergate", "model": "gpt-5"}'),
        (
            '{"input":[{"role":"user","content":"tiergate"},{"id":"msg_1"}],"model":"m"}',
            '{"input":[{"role":"user","content":"tiergate"},{"id":"msg_1"}],"model":"gpt-5"}',
        ),
    ],
)
def test_only_the_model_changes(body: str, expected: str) -> None:
    """The client's text reaches the provider as it is, but for the model."""
    assert passed(body) == expected


def test_items_that_the_gateway_made() -> None:
    """Another provider's reasoning is left out, and ids that the gateway made are taken off."""
    own = [
        {"role": "user", "content": "hi"},
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"},
        {"type": "message", "id": "msg_1", "role": "assistant", "content": []},
    ]
    made = [
        {"type": "reasoning", "id": "rs_tiergate_x_0", "summary": [{"text": "hm"}]},
        {"type": "reasoning", "summary": [], "encrypted_content": "tiergate.other.sig"},
        {"type": "function_call", "id": "fc_tiergate_x_1", "call_id": "c", "name": "f"},
        {"type": "item_reference", "id": "msg_tiergate_x_2"},  # for the provider to say
    ]
    found = json.loads(passed(json.dumps({"model": "auto", "input": own + made, "store": False})))
    call = {"type": "function_call", "call_id": "c", "name": "f"}
    assert found == {"model": "gpt-5", "input": [*own, call, made[3]], "store": False}


USAGE = {"input_tokens": 9, "output_tokens": 2}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"output": []}', (Outcome.ANSWERED, None)),
        (
            json.dumps({"output": [{}], "status": "queued", "usage": USAGE}).encode(),
            (Outcome.ANSWERED, Usage(9, 2)),
        ),
        (b'{"output": [], "error": {"message": "x"}}', (Outcome.SERVER_ERROR, None)),
        (b'{"output": [], "status": "failed"}', (Outcome.SERVER_ERROR, None)),
        (b"{}", (Outcome.MALFORMED, None)),
        (b"[]", (Outcome.MALFORMED, None)),
        (b"<html>", (Outcome.MALFORMED, None)),
        (b'{"output": [', (Outcome.MALFORMED, None)),
    ],
)
def test_peeks(body: bytes, expected: tuple[Outcome, Usage | None]) -> None:
    """Status 200 is no answer by itself: it has output, and did not fail."""
    assert DIALECT.peek_answer(body) == expected


def watch(value: object) -> StreamEvent | None:
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    chat = DIALECT.parse_request(b'{"input": "hi"}', None, None)
    return DIALECT.watcher(chat).watch(SseEvent(data, b"raw"))


def item(kind: str) -> dict[str, Any]:
    return {"type": "response.output_item.added", "item": {"type": kind}}


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (b"", set()),
        (b"[DONE]", set()),
        ({"type": "keepalive"}, set()),
        ({"type": "response.created", "response": {"output": []}}, set()),
        (item("message"), {"choices"}),
        (item("reasoning"), {"choices"}),
        (item("function_call"), {"choices", "has_content"}),
        (item("web_search_call"), {"choices", "has_content"}),
        ({"type": "response.content_part.added", "part": {"text": ""}}, set()),
        ({"type": "response.output_text.delta", "delta": ""}, set()),
        ({"type": "response.output_text.delta", "delta": "a"}, {"has_content"}),
        ({"type": "response.reasoning_summary_text.delta", "delta": "a"}, {"has_content"}),
        ({"type": "response.something_new.delta", "delta": {"a": 1}}, {"has_content"}),
        (
            {"type": "response.completed", "response": {"usage": USAGE, "output": []}},
            {"choices", "finished", "is_done", "usage"},
        ),
        (
            {"type": "response.incomplete", "response": {"output": [{}]}},
            {"choices", "finished", "is_done", "has_content"},
        ),
        ({"type": "response.failed", "response": {"error": {"message": "m"}}}, {"error"}),
        ({"type": "error", "message": "m"}, {"error"}),
        ({"type": "error", "error": {"message": "m"}}, {"error"}),
        ({"error": {"message": "m"}}, {"error"}),
    ],
)
def test_watched_events(value: object, flags: set[str]) -> None:
    """An event is read just far enough; its raw bytes are kept."""
    found = watch(value)
    assert found is not None
    assert found.raw == b"raw"
    assert found.error in {None, "m"}
    names = ("has_content", "choices", "finished", "is_done", "error", "usage", "is_usage_only")
    assert {name for name in names if getattr(found, name)} == flags


@pytest.mark.parametrize(
    "value", [b"hello", b"{", b"\xff", [], {}, {"type": 1}, item("x") | {"item": 1}]
)
def test_events_of_another_dialect(value: object) -> None:
    """What is not of this dialect is None, never an empty event."""
    assert watch(value) is None


@pytest.mark.parametrize("kind", ["completed", "incomplete"])
def test_the_end_of_a_passing_stream(kind: str) -> None:
    """A stream is whole after its last event, and cut before it."""
    watcher = DIALECT.watcher(DIALECT.parse_request(b'{"input": "hi"}', None, None))
    assert watcher.end() is None
    watcher.watch(SseEvent(b"[DONE]", b""))
    assert watcher.end() is None
    watcher.watch(SseEvent(json.dumps({"type": f"response.{kind}", "response": {}}).encode(), b""))
    assert watcher.end() == b""


# --- Errors --------------------------------------------------------------------


def test_error_bodies() -> None:
    """An error has OpenAI's shape."""
    error = BadRequest("Bad.", code="invalid_type", param="input")
    assert json.loads(DIALECT.error_body(error)) == {
        "error": {
            "message": "Bad.",
            "type": "invalid_request_error",
            "param": "input",
            "code": "invalid_type",
        }
    }


def test_error_events() -> None:
    """An error event has the documented members, and those that OpenAI sends."""
    watcher = DIALECT.watcher(DIALECT.parse_request(b'{"input": "hi"}', None, None))
    watcher.watch(SseEvent(b'{"type": "response.created", "sequence_number": 6}', b""))
    raw = watcher.fail(UpstreamError(502, "Broken.\nOff.", code="c"))
    head, data, *rest = raw.split(b"\n")
    assert (head, rest) == (b"event: error", [b"", b""])
    value = json.loads(data.removeprefix(b"data: "))
    nested = value.pop("error")
    assert value == {
        "type": "error",
        "sequence_number": 7,
        "code": "c",
        "message": "Broken.\nOff.",
        "param": None,
    }
    assert (nested["type"], nested["code"]) == ("upstream_error", "c")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"error": {"message": "m", "type": "t", "param": "p", "code": "c"}},
            ProviderError("m", "t", "c", "p"),
        ),
        ({"error": {"message": "m", "type": None, "code": 7}}, ProviderError("m", code="7")),
        ({"error": "m"}, ProviderError("m")),
        ({"message": "m", "type": "t"}, ProviderError("m", "t")),
        ({"detail": [{"msg": "m"}]}, ProviderError('[{"msg": "m"}]')),
        ([{"error": {"message": "m"}}], ProviderError("m")),
        ("m", ProviderError("m")),
        ({}, ProviderError("The provider refused the request with status 400.")),
        (None, ProviderError("The provider refused the request with status 400.")),
    ],
)
def test_providers_errors(body: object, expected: ProviderError) -> None:
    """A provider's error is found where servers put it; what cannot be read is not quoted."""
    assert DIALECT.read_error(400, json.dumps(body).encode()) == expected
    assert DIALECT.read_error(400, b"<html>").message.endswith("400.")
