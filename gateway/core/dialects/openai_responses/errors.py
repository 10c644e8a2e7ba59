"""Errors: bodies have the shape of Chat Completions'; in a stream there is an `error` event.

Facts: https://platform.openai.com/docs/guides/error-codes. The event is documented with `code`,
`message` and `param` beside its `type`; what OpenAI sends has them in an object `error` instead
(https://github.com/openai/openai-dotnet/issues/881), and only on that do its Python and Node SDKs
raise. Both are read, and both are written.
"""

import json

from gateway.core import jsontext
from gateway.core.answers import Failed
from gateway.core.conversation import Json
from gateway.core.dialect import ProviderError
from gateway.core.errors import TiergateError
from gateway.core.jsontext import JsonError

_UNKNOWN = "the provider reported an error"


def error_body(error: TiergateError) -> bytes:
    """An error in the shape an OpenAI client reads."""
    return json.dumps({"error": _members(error)}).encode()


def error_event(error: TiergateError, sequence: int) -> bytes:
    """An error in a stream that has begun; no `response.completed` follows. `sequence`: its place
    among the events."""
    members = _members(error)
    value = {
        "type": "error",
        "sequence_number": sequence,
        "code": members["code"],
        "message": members["message"],
        "param": members["param"],
        "error": members,
    }
    return b"event: error\ndata: " + json.dumps(value).encode() + b"\n\n"


def read_error(status: int, body: bytes) -> ProviderError:
    """A provider's error as long as it wrote one: under `error`, at the top, or as a string."""
    try:
        found = jsontext.parse(body)
    except JsonError:
        found = None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if isinstance(found, dict):
        found = found.get("error") or found
    members: Json = found if isinstance(found, dict) else {"message": found}
    message = members.get("message") or members.get("detail")
    if isinstance(message, (dict, list)):  # FastAPI's validation: vLLM, SGLang
        message = json.dumps(message)
    if not isinstance(message, str) or not message:
        message = f"The provider refused the request with status {status}."
    return ProviderError(
        message, _word(members.get("type")), _word(members.get("code")), _word(members.get("param"))
    )


def failure(members: object) -> Failed:
    """What a provider reports in its stream, in any of the places where it does."""
    found = members if isinstance(members, dict) else {"message": members}
    message = found.get("message")
    return Failed(
        message if isinstance(message, str) and message else _UNKNOWN,
        _word(found.get("type")),
        _word(found.get("code")),
    )


def _members(error: TiergateError) -> Json:
    return {
        "message": error.message,
        "type": error.type,
        "param": error.param,
        "code": error.code,
    }


def _word(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    return str(value) or None
