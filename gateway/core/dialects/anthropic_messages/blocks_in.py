"""The content blocks of a client's messages as the parts of a conversation.

Facts: https://platform.claude.com/docs/en/api/messages, and the types of the Python SDK
(https://github.com/anthropics/anthropic-sdk-python, `types/content_block_param.py`). Blocks of
tools that run at Anthropic, files kept there and search results have no neutral form.
"""

from base64 import b64encode

from gateway.core.conversation import File, Image, Json, Media, Part, Text, ToolCall, ToolResult
from gateway.core.dialects.anthropic_messages import arguments, proofs
from gateway.core.dialects.fields import boolean, each, members, required, string, wrong_value
from gateway.core.dialects.notes import Notes
from gateway.core.features import Feature

type Content = Text | Image | File

_CACHE = "cache_control"
_SHOWN = ("text", "image", "document")  # what a tool result may hold as well
_KNOWN = {
    # The citations of an earlier answer's text tell the model nothing that its text does not.
    "text": {"type", "text", _CACHE, "citations"},
    "image": {"type", "source", _CACHE},
    "document": {"type", "source", "title", "context", _CACHE, "citations"},
    "thinking": {"type", "thinking", "signature"},
    "redacted_thinking": {"type", "data"},
    "tool_use": {"type", "id", "name", "input", _CACHE},
    "tool_result": {"type", "tool_use_id", "content", "is_error", _CACHE},
}
# `caller`: who called a tool; the model itself unless it says otherwise.
_NOTHING: dict[str, tuple[object, ...]] = {
    "caller": ({"type": "direct"},),
    "transformations": ({}, {"oversized_image": "downsize"}),
}


def read_parts(content: object, path: str, notes: Notes) -> tuple[Part, ...]:
    """What a message holds. Raises BadRequest."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    found = each(content, path, lambda block, at: _read_block(block, at, notes))
    return proofs.sign_calls([part for part in found if part is not None])


def read_cache(values: Json, path: str, notes: Notes) -> Json | None:
    at = f"{path}.{_CACHE}" if path else _CACHE
    cache = members(values.get(_CACHE), at)
    if cache is not None:
        notes.use(Feature.CACHE_CONTROL, at)
    return cache


def _read_block(block: Json, path: str, notes: Notes) -> Part | None:
    kind = _text(block, "type", path)
    known = _KNOWN.get(kind)
    if known is None:
        notes.other(path)
        return None
    notes.rest(block, known, path, _NOTHING)
    match kind:
        case "thinking":
            return _thinking(block, path, notes)
        case "redacted_thinking":
            notes.use(Feature.REASONING, path)
            return proofs.read_redacted(_text(block, "data", path))
        case "tool_use":
            return _call(block, path, notes)
        case "tool_result":
            return _result(block, path, notes)
        case _:
            return _shown(kind, block, path, notes)


def _shown(kind: str, block: Json, path: str, notes: Notes) -> Content | None:
    cache = read_cache(block, path, notes)
    if kind == "text":
        text = _text(block, "text", path)
        return Text(text, cache=cache) if text else None  # nothing is said; the API refuses it
    source = required(members(block.get("source"), f"{path}.source"), f"{path}.source")
    if kind == "image":
        return _image(source, path, notes, cache)
    return _document(block, source, path, notes, cache)


def _image(source: Json, path: str, notes: Notes, cache: Json | None) -> Image | None:
    match _text(source, "type", f"{path}.source"):
        case "base64":
            notes.use(Feature.IMAGE_DATA, path)
            return Image(_inline(source, path), cache=cache)
        case "url":
            notes.use(Feature.IMAGE_URL, path)
            return Image(Media(url=_text(source, "url", f"{path}.source")), cache=cache)
        case _:
            notes.other(f"{path}.source")
            return None


def _document(
    block: Json, source: Json, path: str, notes: Notes, cache: Json | None
) -> File | None:
    name = string(block.get("title"), f"{path}.title")
    if string(block.get("context"), f"{path}.context") is not None:  # told to the model, too
        notes.other(f"{path}.context")
    citations = members(block.get("citations"), f"{path}.citations") or {}
    if boolean(citations.get("enabled"), f"{path}.citations.enabled"):
        notes.use(Feature.CITATIONS, f"{path}.citations")
    at = f"{path}.source"
    match (_text(source, "type", at), source.get("content")):
        case ("base64", _):
            media = _inline(source, path)
            media = Media(media.type, media.data, name=name)
        case ("url", _):  # always a PDF
            notes.use(Feature.FILE_URL, path)
            return File(Media("application/pdf", url=_text(source, "url", at), name=name), cache)
        case ("text", _):
            media = _plain(_text(source, "data", at), name, at)
        case ("content", str(text)):
            media = _plain(text, name, at)
        case _:  # a file kept at Anthropic; or blocks, of which each is a place to cite
            notes.other(at)
            return None
    notes.use(Feature.FILE_DATA, path)
    return File(media, cache)


def _inline(source: Json, path: str) -> Media:
    at = f"{path}.source"
    return Media(_text(source, "media_type", at), _text(source, "data", at))


def _plain(text: str, name: str | None, path: str) -> Media:
    try:
        data = b64encode(text.encode()).decode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise wrong_value(path, "is not valid Unicode text") from None
    return Media("text/plain", data, name=name)


def _thinking(block: Json, path: str, notes: Notes) -> Part:
    """Thinking without a proof is for people: no provider takes it, and it asks for nothing."""
    signature = string(block.get("signature"), f"{path}.signature") or ""
    found = proofs.read_thinking(_text(block, "thinking", path), signature)
    if found.signature or found.redacted:
        notes.use(Feature.REASONING, path)
    return found


def _call(block: Json, path: str, notes: Notes) -> ToolCall:
    notes.use(Feature.TOOLS, path)
    given = required(members(block.get("input"), f"{path}.input"), f"{path}.input")
    return ToolCall(
        _text(block, "id", path),
        _name(block, path),
        arguments.to_text(given),
        cache=read_cache(block, path, notes),
    )


def _name(block: Json, path: str) -> str:
    name = _text(block, "name", path)
    if not name:
        raise wrong_value(f"{path}.name", "is empty")
    return name


def _result(block: Json, path: str, notes: Notes) -> ToolResult:
    notes.use(Feature.TOOLS, path)
    is_error = boolean(block.get("is_error"), f"{path}.is_error") or False
    if is_error:
        notes.use(Feature.TOOL_ERRORS, f"{path}.is_error")
    content, at = block.get("content"), f"{path}.content"
    if isinstance(content, str):
        parts: tuple[Content, ...] = (Text(content),) if content else ()
    else:
        found = each(content, at, lambda part, where: _result_part(part, where, notes))
        parts = tuple([part for part in found if part is not None])
    return ToolResult(
        _text(block, "tool_use_id", path), parts, is_error, cache=read_cache(block, path, notes)
    )


def _result_part(block: Json, path: str, notes: Notes) -> Content | None:
    kind = _text(block, "type", path)
    if kind not in _SHOWN:
        notes.other(path)
        return None
    notes.rest(block, _KNOWN[kind], path, _NOTHING)
    if kind != "text":
        notes.use(Feature.TOOL_MEDIA, path)
    return _shown(kind, block, path, notes)


def _text(values: Json, name: str, path: str) -> str:
    return required(string(values.get(name), f"{path}.{name}"), f"{path}.{name}")
