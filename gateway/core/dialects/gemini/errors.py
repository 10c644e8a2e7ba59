"""Errors, both ways.

Facts: https://ai.google.dev/gemini-api/docs/troubleshooting, https://google.aip.dev/193: an HTTP
status, a canonical word for it, a message for the developer, and details by type. The official SDKs
take an event for an error if `error` is its first member. With `alt=json` a stream's error lies in
a list of one.
"""

import json

from gateway.core import jsontext, sse
from gateway.core.answers import Failed
from gateway.core.conversation import Json
from gateway.core.dialect import ProviderError
from gateway.core.errors import TiergateError

# google/rpc/code.proto: https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto
_STATUSES: dict[int, str] = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
    529: "UNAVAILABLE",
}
_TYPES: dict[str, str] = {
    "INVALID_ARGUMENT": "invalid_request_error",
    "FAILED_PRECONDITION": "invalid_request_error",
    "OUT_OF_RANGE": "invalid_request_error",
    "NOT_FOUND": "invalid_request_error",
    "ALREADY_EXISTS": "invalid_request_error",
    "ABORTED": "invalid_request_error",
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
    "UNAVAILABLE": "service_unavailable_error",
    "INTERNAL": "server_error",
    "UNKNOWN": "server_error",
    "DATA_LOSS": "server_error",
    "UNIMPLEMENTED": "server_error",
    "DEADLINE_EXCEEDED": "server_error",
    "CANCELLED": "server_error",
}
# A wrong key is a 400: https://ai.google.dev/gemini-api/docs/troubleshooting.
_OF_KEYS = frozenset({"API_KEY_INVALID"})
_RPC = "type.googleapis.com/google.rpc."
_DOMAIN = "tiergate"


def error_body(error: TiergateError) -> bytes:
    """An error in the shape a Gemini client reads: `code` is its detail's reason."""
    return json.dumps({"error": _error(error)}).encode()


def error_event(error: TiergateError) -> bytes:
    """An error in a stream that has begun: the official SDKs raise on it."""
    return sse.encode(error_body(error))


def read_error(status: int, body: bytes) -> ProviderError:
    """A provider's refusal, as long as it wrote one."""
    try:
        found = jsontext.parse(body)
    except jsontext.JsonError:
        found = None
    if isinstance(found, list) and found:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("error") or found
    message, type_, code, param = _told(found)
    fallback = _TYPES.get(_STATUSES.get(status, ""), "invalid_request_error")
    return ProviderError(
        message or f"The provider refused the request with status {status}.",
        type_ or fallback,
        code,
        param,
    )


def read_failure(error: object) -> Failed:
    """An error in a stream."""
    message, type_, code, _ = _told(error)
    return Failed(message or "the provider reported an error", type_, code)


def _error(error: TiergateError) -> Json:
    status = _STATUSES.get(error.status)
    if status is None:
        status = "INVALID_ARGUMENT" if 400 <= error.status < 500 else "INTERNAL"
    code = error.code
    details: list[Json] = []
    if code in _TYPES:  # a provider's own word, which says more than the HTTP status
        status, code = code, None
    if code:
        details.append({"@type": f"{_RPC}ErrorInfo", "reason": code.upper(), "domain": _DOMAIN})
    if error.param:
        violation = {"field": error.param, "description": error.message}
        details.append({"@type": f"{_RPC}BadRequest", "fieldViolations": [violation]})
    told: Json = {"code": error.status, "message": error.message, "status": status}
    return {**told, "details": details} if details else told


def _told(error: object) -> tuple[str | None, str | None, str | None, str | None]:
    """Message, type, code and param. The code is the detail's reason, or else the status."""
    if isinstance(error, str):
        return error or None, None, None, None
    if not isinstance(error, dict):
        return None, None, None, None
    message, status = _text(error.get("message")), _text(error.get("status"))
    reason = param = None
    details = error.get("details")
    for detail in details if isinstance(details, list) else []:
        if not isinstance(detail, dict):
            continue
        reason = reason or _text(detail.get("reason"))
        match detail.get("fieldViolations"):
            case [{"field": str(field)}, *_] if field:
                param = param or field
    type_ = _TYPES.get(status) if status else None
    if reason in _OF_KEYS:
        type_ = _TYPES["UNAUTHENTICATED"]
    return message, type_, reason or status, param


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
