"""Errors, both ways.

Facts: https://platform.claude.com/docs/en/api/errors. The type follows from the status; a code that
says more is `details.error_code`
(https://github.com/anthropics/anthropic-sdk-python, `_exceptions.py`). In a stream there is an
event `error` with the same body, under status 200; the SDKs raise on the event's name, and no
`message_stop` follows. A thread that cannot be served has a code of its own, by which the SDKs know
that they are to go on without (`types/thread_unsupported_request_error.py`).
"""

import json

from gateway.core import jsontext
from gateway.core.answers import Failed
from gateway.core.conversation import Json
from gateway.core.dialect import ProviderError
from gateway.core.dialects.anthropic_messages.words import THREAD
from gateway.core.errors import BadRequest, TiergateError
from gateway.core.jsontext import JsonError

_INVALID, _API = "invalid_request_error", "api_error"
_TYPES = {
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_SAY_MORE = frozenset(_TYPES.values())  # than the two words for the rest, which others use too
_NO_THREAD = "thread_unsupported_request"
_UNKNOWN = "the provider reported an error"


def error_body(error: TiergateError) -> bytes:
    """An error in the shape an Anthropic client reads."""
    found: Json = {"type": _type(error), "message": error.message}
    code = _NO_THREAD if error.param == THREAD and isinstance(error, BadRequest) else error.code
    details = {"error_code": code, "param": error.param}
    if known := {name: value for name, value in details.items() if value is not None}:
        found["details"] = known
    return json.dumps({"type": "error", "error": found}).encode()


def error_event(error: TiergateError) -> bytes:
    """An error in a stream that has begun."""
    return b"event: error\ndata: " + error_body(error) + b"\n\n"


def read_error(status: int, body: bytes) -> ProviderError:
    """A provider's error as long as it wrote one: under `error`, at the top, or as a string."""
    try:
        found = jsontext.parse(body)
    except JsonError:
        found = None
    if isinstance(found, dict):
        found = found.get("error") or found
    members: Json = found if isinstance(found, dict) else {"message": found}
    message = members.get("message") or members.get("detail")
    if isinstance(message, (dict, list)):  # FastAPI's validation, of servers that speak the dialect
        message = json.dumps(message)
    if not isinstance(message, str) or not message:
        message = f"The provider refused the request with status {status}."
    details = members.get("details")
    more: Json = details if isinstance(details, dict) else {}
    return ProviderError(
        message,
        _word(members.get("type")),
        _word(more.get("error_code")) or _word(members.get("code")),
        _word(more.get("param")) or _word(members.get("param")),
    )


def failure(found: object) -> Failed:
    """What a provider reports in its stream."""
    members: Json = found if isinstance(found, dict) else {"message": found}
    message = members.get("message")
    details = members.get("details")
    code = details.get("error_code") if isinstance(details, dict) else None
    return Failed(
        message if isinstance(message, str) and message else _UNKNOWN,
        _word(members.get("type")),
        _word(code),
    )


def _type(error: TiergateError) -> str:
    if error.type in _SAY_MORE:
        return error.type
    return _TYPES.get(error.status, _INVALID if error.status < 500 else _API)


def _word(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value) or None
