"""What the mock provider sends as a body: JSON, events, an error, and each of them spoiled."""

import json
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any

from gateway.operator.mock.faults import Fault

DONE = b"data: [DONE]\n\n"
PING = b": ping\n\n"
BROKEN_EVENT = b'data: {"id": "chatcmpl-mock", "choices": [{"ind\n\n'
BROKEN_BODY = b'{"id": "chatcmpl-mock", "choices": [{"ind'
PAGE = b"<!DOCTYPE html>\n<html><title>502 Bad Gateway</title><h1>Bad gateway</h1></html>\n"
# What a server of TLS says to one that speaks no TLS: alert 40, handshake failure.
GARBAGE = b"\x15\x03\x01\x00\x02\x02\x28"

FAILED = "The mock provider was told to fail."
# OpenAI's, Azure's and Google's words: the gateway tells what they mean by their codes and words.
TOO_LONG = "This model's maximum context length is 8 tokens. Please reduce the length."
FILTERED = "The response was filtered due to the prompt triggering the content management policy."
BAD_KEY = "API key not valid. Please pass a valid API key."


def to_bytes(value: object) -> bytes:
    """JSON in UTF-8; half a surrogate pair, which UTF-8 has no bytes for, becomes `?`."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")


def error_body(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> dict[str, Any]:
    """An error as OpenAI writes it."""
    kind = "server_error" if status >= 500 else "invalid_request_error"
    if status == 429:
        kind, code = "requests", "rate_limit_exceeded"
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def refusal(fault: Fault) -> tuple[int, dict[str, Any]] | None:
    """The status and body of an error that this fault asks for."""
    if fault.too_long:
        return 400, error_body(400, TOO_LONG, param="messages", code="context_length_exceeded")
    if fault.filtered:
        return 400, error_body(400, FILTERED, param="prompt", code="content_filter")
    if fault.bad_key:
        return 400, error_body(400, BAD_KEY)
    if fault.redirect:
        return 307, error_body(307, FAILED)
    if fault.status is not None:
        return fault.status, error_body(fault.status, FAILED)
    return None


def whole_body(value: object, fault: Fault) -> bytes:
    """A body that is not streamed."""
    if fault.empty:
        return b""
    if fault.page:
        return PAGE
    if fault.malformed:
        return BROKEN_BODY
    return to_bytes(error_body(500, FAILED) if fault.error_body else value)


def events(chunks: Iterable[dict[str, Any]], fault: Fault) -> Iterator[bytes]:
    """A stream's events."""
    if fault.empty:
        return iter(())
    if fault.page:
        return iter([PAGE])
    if fault.error_body:
        return iter([event(error_body(500, FAILED))])
    broken_at = 1 if fault.malformed else fault.malformed_event
    written: Iterator[bytes] = (
        BROKEN_EVENT if number == broken_at else event(chunk) for number, chunk in enumerate(chunks)
    )
    if fault.error_event is not None:
        failure = event(error_body(500, "The mock provider was told to fail here."))
        return chain(islice(written, fault.error_event), [failure])
    return islice(written if fault.no_done else chain(written, [DONE]), fault.ends)


def event(value: object) -> bytes:
    return b"data: " + to_bytes(value) + b"\n\n"
