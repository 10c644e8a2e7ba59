"""Gemini: errors, both ways."""

import json
from typing import Any

import pytest

from gateway.core.conversation import Json
from gateway.core.dialect import ProviderError
from gateway.core.dialects.gemini import DIALECT
from gateway.core.dialects.gemini.errors import error_event
from gateway.core.errors import (
    BadRequest,
    Forbidden,
    Internal,
    MethodNotAllowed,
    NotFound,
    NotReady,
    Rejected,
    TiergateError,
    TooLarge,
    Unauthorized,
    UpstreamError,
)


def shown(error: TiergateError) -> Any:  # noqa: ANN401 - JSON
    return json.loads(DIALECT.error_body(error))["error"]


@pytest.mark.parametrize(
    ("error", "code", "status"),
    [
        (BadRequest("x"), 400, "INVALID_ARGUMENT"),
        (Unauthorized("x"), 401, "UNAUTHENTICATED"),
        (Forbidden("x"), 403, "PERMISSION_DENIED"),
        (NotFound("x"), 404, "NOT_FOUND"),
        (MethodNotAllowed("x"), 405, "INVALID_ARGUMENT"),
        (TooLarge("x"), 413, "INVALID_ARGUMENT"),
        (UpstreamError(429, "x"), 429, "RESOURCE_EXHAUSTED"),
        (Internal("x"), 500, "INTERNAL"),
        (UpstreamError(502, "x"), 502, "UNAVAILABLE"),
        (NotReady("x"), 503, "UNAVAILABLE"),
        (UpstreamError(504, "x"), 504, "DEADLINE_EXCEEDED"),
        (Rejected(529, "x", type="t", code=None, param=None), 529, "UNAVAILABLE"),
        (
            Rejected(400, "x", type="t", code="FAILED_PRECONDITION", param=None),
            400,
            "FAILED_PRECONDITION",
        ),
    ],
)
def test_statuses(error: TiergateError, code: int, status: str) -> None:
    """HTTP status, canonical word and message; a provider's own word is kept."""
    found = shown(error)
    assert (found["code"], found["status"], found["message"]) == (code, status, "x")


def test_details() -> None:
    """Code and param are details of Google's types."""
    found = shown(BadRequest("bad", code="invalid_type", param="contents[0]"))
    assert found["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "INVALID_TYPE",
            "domain": "tiergate",
        },
        {
            "@type": "type.googleapis.com/google.rpc.BadRequest",
            "fieldViolations": [{"field": "contents[0]", "description": "bad"}],
        },
    ]
    assert "details" not in shown(Rejected(400, "x", type="t", code=None, param=None))


def test_an_error_in_a_stream() -> None:
    """The official SDKs raise on an event whose first member is `error`."""
    error = UpstreamError(502, "broke")
    assert error_event(error) == b"data: " + DIALECT.error_body(error) + b"\n\n"
    assert DIALECT.error_body(error).startswith(b'{"error": ')


INFO: Json = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}
VIOLATION: Json = {
    "@type": "type.googleapis.com/google.rpc.BadRequest",
    "fieldViolations": [{"field": "contents[0].role", "description": "x"}],
}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {"error": {"code": 400, "message": "Bad", "status": "INVALID_ARGUMENT"}},
            ProviderError("Bad", "invalid_request_error", "INVALID_ARGUMENT"),
        ),
        (
            [{"error": {"code": 429, "message": "Slow", "status": "RESOURCE_EXHAUSTED"}}],
            ProviderError("Slow", "rate_limit_error", "RESOURCE_EXHAUSTED"),
        ),
        (
            {"error": {"message": "Key", "status": "INVALID_ARGUMENT", "details": [INFO, 1]}},
            ProviderError("Key", "authentication_error", "API_KEY_INVALID"),
        ),
        (
            {"error": {"message": "Role", "status": "INVALID_ARGUMENT", "details": [VIOLATION]}},
            ProviderError("Role", "invalid_request_error", "INVALID_ARGUMENT", "contents[0].role"),
        ),
        (
            {"error": {"message": "No", "status": "SOMETHING_NEW"}},
            ProviderError("No", "invalid_request_error", "SOMETHING_NEW"),
        ),
        ({"error": "No"}, ProviderError("No", "invalid_request_error")),
        ({"message": "No"}, ProviderError("No", "invalid_request_error")),
    ],
)
def test_providers_errors(body: object, expected: ProviderError) -> None:
    """Message, type, code and param, where Google puts them. A wrong key is no invalid request,
    though its status says so."""
    assert DIALECT.read_error(400, json.dumps(body).encode()) == expected


@pytest.mark.parametrize(
    ("status", "type_"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (503, "service_unavailable_error"),
    ],
)
@pytest.mark.parametrize("body", [b"", b"<html>", b"\xff", b"[]", b"{}", b"7", b'{"error": [1]}'])
def test_an_error_without_a_message(status: int, type_: str, body: bytes) -> None:
    """What cannot be read is not quoted: message and type say the status."""
    found = DIALECT.read_error(status, body)
    message = f"The provider refused the request with status {status}."
    assert found == ProviderError(message, type_)


def test_our_own_errors_come_back() -> None:
    """A gateway behind a gateway: what is written is read."""
    error = BadRequest("bad", code="invalid_type", param="contents[0]")
    found = DIALECT.read_error(400, DIALECT.error_body(error))
    assert found == ProviderError("bad", "invalid_request_error", "INVALID_TYPE", "contents[0]")
