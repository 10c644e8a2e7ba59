"""Errors, both ways. Facts: https://platform.openai.com/docs/guides/error-codes."""

import json

from gateway.core import jsontext, sse
from gateway.core.dialect import ProviderError
from gateway.core.errors import TiergateError
from gateway.core.jsontext import JsonError

_INVALID = "invalid_request_error"
# Google's statuses, which no client of this dialect knows (https://cloud.google.com/apis/design/errors).
_TYPES = {
    "INVALID_ARGUMENT": _INVALID,
    "FAILED_PRECONDITION": _INVALID,
    "OUT_OF_RANGE": _INVALID,
    "NOT_FOUND": _INVALID,
    "UNIMPLEMENTED": _INVALID,
    "UNAUTHENTICATED": "authentication_error",
    "PERMISSION_DENIED": "permission_error",
    "RESOURCE_EXHAUSTED": "rate_limit_error",
    "INTERNAL": "server_error",
    "UNAVAILABLE": "server_error",
    "DEADLINE_EXCEEDED": "server_error",
}


def error_body(error: TiergateError) -> bytes:
    """An error in the shape an OpenAI client reads."""
    return json.dumps(
        {
            "error": {
                "message": error.message,
                "type": _TYPES.get(error.type, error.type),
                "param": error.param,
                "code": error.code,
            }
        }
    ).encode()


def error_event(error: TiergateError) -> bytes:
    """An error in a stream that has begun: OpenAI's SDKs raise on it, and no `[DONE]` follows."""
    return sse.encode(error_body(error))


def read_error(status: int, body: bytes) -> tuple[str, str, str | None, str | None]:
    """A provider's error as (message, type, code, param), as long as it wrote them.

    OpenAI nests it under `error`; Mistral and vLLM put the members at the top; some send a string,
    xAI with a `code` (https://docs.x.ai/docs/key-information/debugging).
    """
    try:
        found = jsontext.parse(body)
    except JsonError:
        found = None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    members = found if isinstance(found, dict) else {"message": found}
    match members.get("error"):
        case dict() as told if told:
            members = told
        case str() as told if told:  # xAI: its code is beside it
            members = {**members, "message": told}
    message = members.get("message") or members.get("detail")
    if isinstance(message, (dict, list)):
        message = json.dumps(message)
    if not isinstance(message, str) or not message:
        message = f"The provider refused the request with status {status}."
    type_ = members.get("type")
    param = members.get("param")
    return (
        message,
        type_ if isinstance(type_, str) and type_ else _INVALID,
        code_of(members),
        param if isinstance(param, str) else None,
    )


def provider_error(status: int, body: bytes) -> ProviderError:
    """A provider's error, as `read_error` finds it."""
    return ProviderError(*read_error(status, body))


def error_message(error: object) -> str:
    """The message of an `error` in a stream, whatever its shape."""
    message = error.get("message") if isinstance(error, dict) else error
    return message if isinstance(message, str) and message else "the provider reported an error"


def code_of(members: dict[str, object]) -> str | None:
    code = members.get("code")
    return str(code) if isinstance(code, (str, int)) and not isinstance(code, bool) else None
