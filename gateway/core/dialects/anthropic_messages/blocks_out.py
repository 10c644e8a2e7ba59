"""The turns of a conversation as the messages of a request.

Facts: https://platform.claude.com/docs/en/api/messages. Empty text is refused ("text content blocks
must be non-empty", https://github.com/anthropics/anthropic-sdk-python/issues/461), and so is a
message without blocks: what says nothing is left out. The results of a turn's tool calls are in the
one message after it, before anything else there
(https://platform.claude.com/docs/en/agents-and-tools/tool-use/handle-tool-calls), so turns of one
role that follow each other are one message, which is what the API makes of them anyway. Thinking
goes back with Anthropic's own proof or not at all.
"""

from base64 import b64decode
from collections.abc import Iterable

from gateway.core.conversation import (
    File,
    Image,
    Json,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.dialects.anthropic_messages import arguments
from gateway.core.dialects.anthropic_messages.ids import valid_id
from gateway.core.dialects.anthropic_messages.words import NAME
from gateway.core.errors import BadRequest


def write_system(turns: Iterable[Turn]) -> str | list[Json] | None:
    """The system prompt: a string where one will do."""
    texts = [part for turn in turns for part in turn.parts if isinstance(part, Text) and part.text]
    match texts:
        case []:
            return None
        case [Text(text=str(text), cache=None)]:
            return text
        case _:
            return _blocks(texts)


def write_messages(turns: Iterable[Turn]) -> list[Json]:
    """Raises BadRequest for what no request of this dialect can hold."""
    merged: list[tuple[str, list[Part]]] = []
    for turn in turns:
        role: str = "system" if turn.role == "developer" else turn.role
        if not merged or merged[-1][0] != role:
            merged.append((role, []))
        merged[-1][1].extend(turn.parts)
    messages: list[Json] = []
    for role, parts in merged:
        results = [part for part in parts if isinstance(part, ToolResult)]
        rest = [part for part in parts if not isinstance(part, ToolResult)]
        if blocks := _blocks([*results, *rest]):
            messages.append({"role": role, "content": _short(blocks)})
    return messages


def _short(blocks: list[Json]) -> str | list[Json]:
    """One text as the string that it is short for."""
    match blocks:
        case [{"type": "text", "text": str(text), **more}] if not more:
            return text
        case _:
            return blocks


def _blocks(parts: Iterable[Part]) -> list[Json]:
    blocks = [_block(part) for part in parts]
    return [block for block in blocks if block is not None]


def _block(part: Part) -> Json | None:
    match part:
        case Text() | Refusal():
            cache = part.cache if isinstance(part, Text) else None
            return _with_cache({"type": "text", "text": part.text}, cache) if part.text else None
        case Image():
            source = _source(part.media)
            return _with_cache({"type": "image", "source": source}, part.cache)
        case File():
            return _document(part)
        case Reasoning():
            return _thinking(part)
        case ToolCall():
            call: Json = {
                "type": "tool_use",
                "id": valid_id(part.id),
                "name": part.name,
                "input": _input(part),
            }
            return _with_cache(call, part.cache)
        case ToolResult():
            return _result(part)
        case _:  # audio: not carried
            return None


def _thinking(part: Reasoning) -> Json | None:
    if part.origin != NAME:
        return None
    if part.redacted is not None:
        return {"type": "redacted_thinking", "data": part.redacted}
    if not part.signature:
        return None
    return {"type": "thinking", "thinking": part.text, "signature": part.signature}


def _document(part: File) -> Json:
    """PDFs are inline or at a URL; of what is inline, text is not in base64."""
    media = part.media
    is_text = media.url is None and (media.type or "").startswith("text/")
    document: Json = {
        "type": "document",
        "source": _plain(media) if is_text else _source(media),
    }
    if media.name is not None:
        document["title"] = media.name
    return _with_cache(document, part.cache)


def _source(media: Media) -> Json:
    if media.url is not None:
        return {"type": "url", "url": media.url}
    if media.type is None:
        raise BadRequest(
            f"The file {media.name or 'sent'} needs its media type for this model.",
            code="missing_media_type",
            param="messages",
        )
    return {"type": "base64", "media_type": media.type, "data": media.data or ""}


def _plain(media: Media) -> Json:
    """Any text is `text/plain`: the API knows no other kind."""
    try:
        text = b64decode(media.data or "", validate=True).decode()
    except ValueError:
        raise BadRequest(
            f"The file {media.name or 'sent'} of type {media.type} is not UTF-8 text in base64.",
            code="invalid_value",
            param="messages",
        ) from None
    return {"type": "text", "media_type": "text/plain", "data": text}


def _result(part: ToolResult) -> Json:
    result: Json = {"type": "tool_result", "tool_use_id": valid_id(part.id)}
    if blocks := _blocks(part.parts):
        result["content"] = _short(blocks)
    if part.is_error:
        result["is_error"] = True
    return _with_cache(result, part.cache)


def _input(call: ToolCall) -> Json:
    """The arguments of an earlier call. What a model wrote need not be JSON, but must be here."""
    found = arguments.from_text(call.arguments)
    if isinstance(found, dict):
        return found
    raise BadRequest(
        f"The arguments of the tool call '{call.id}' are not a JSON object.",
        code="invalid_value",
        param="messages",
    )


def _with_cache(block: Json, cache: Json | None) -> Json:
    return block if cache is None else {**block, "cache_control": cache}
