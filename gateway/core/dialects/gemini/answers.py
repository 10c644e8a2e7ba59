"""Whole answers, both ways.

Facts: https://ai.google.dev/api/generate-content#GenerateContentResponse. A whole answer has the
shape of an event of a stream, and is read as one.
"""

import json

from gateway.core.answers import Answer, Choice, Failed
from gateway.core.chat import ChatRequest
from gateway.core.conversation import Audio, File, Image, Json, Part, Reasoning, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.gemini.citations import Found, placed, write_citations
from gateway.core.dialects.gemini.endings import write_finish
from gateway.core.dialects.gemini.logprobs import write_logprobs
from gateway.core.dialects.gemini.media import write_media
from gateway.core.dialects.gemini.parts_out import MODEL, write_call, write_signed, write_text
from gateway.core.dialects.gemini.stream_in import Reader, parse
from gateway.core.dialects.gemini.usage import write_usage
from gateway.core.dialects.parts import fold


def read_answer(body: bytes) -> Answer:
    """Raises Malformed, also for an answer that its provider calls broken."""
    reader = Reader()
    value = parse(body)
    events = reader.take(value)
    if any(isinstance(event, Failed) for event in events):
        raise Malformed("the provider reported an error")
    answer = fold([*events, *reader.end()])
    if not answer.choices:
        raise Malformed("no answer")
    return answer


def write_answer(answer: Answer, chat: ChatRequest | None = None) -> bytes:  # noqa: ARG001
    body: Json = {"candidates": [_candidate(*item) for item in enumerate(answer.choices)]}
    if answer.usage is not None:
        body["usageMetadata"] = write_usage(answer.usage)
    return json.dumps(body | about(answer.model, answer.id)).encode()


def about(model: str | None, id: str | None) -> Json:
    """What every event of an answer says of it."""
    told = {"modelVersion": model, "responseId": id}
    return {name: value for name, value in told.items() if value is not None}


def _candidate(index: int, choice: Choice) -> Json:
    parts: list[Json] = []
    found: list[Found] = []
    has_broken_call = False
    for part in choice.parts:
        written = _part(part)
        if written is not None:
            if isinstance(part, Text):
                found += [placed(source, part.text, len(parts)) for source in part.citations]
            parts.append(written)
        has_broken_call = has_broken_call or (written is None and isinstance(part, ToolCall))
    content: Json = {"parts": parts, "role": MODEL} if parts else {"role": MODEL}
    candidate: Json = {"content": content}
    if choice.finish is not None:
        finish = write_finish(choice.finish, has_broken_call=has_broken_call)
        candidate["finishReason"] = finish
    candidate["index"] = index
    if (sources := write_citations(found)) is not None:
        candidate["groundingMetadata"] = sources
    if choice.logprobs:
        candidate["logprobsResult"] = write_logprobs(choice.logprobs)
    return candidate


def _part(part: Part) -> Json | None:
    match part:
        case Reasoning():
            return write_signed(part)
        case ToolCall():
            return write_call(part)
        case Image() | File() | Audio():
            return write_media(part)
        case _:
            return write_text(part.text) if hasattr(part, "text") else None
