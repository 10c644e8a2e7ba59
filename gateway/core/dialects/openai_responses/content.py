"""The parts of messages and of tool results in a request, both ways.

Facts: https://platform.openai.com/docs/api-reference/responses/create (`input`). An image is a URL,
also a `data:` one; a file is inline as a `data:` URL with its name, or at a URL.
"""

from gateway.core.conversation import Audio, File, Image, Json, Media, Refusal, Text
from gateway.core.dialects import fields
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_limits import file_name, type_by_name
from gateway.core.features import Feature

type Content = Text | Image | File | Audio | Refusal

_BREAKPOINT = "prompt_cache_breakpoint"
_DEFAULT_TTL = "30m"  # of a breakpoint; other lifetimes have no neutral form
_AUDIO_TYPES = {"mp3": "audio/mpeg"}  # the rest are called as their format is
# Not registered, and taken by OpenAI all the same; Anthropic and Google refuse it.
_TYPES = {"image/jpg": "image/jpeg"}
_NOTHING: dict[str, tuple[object, ...]] = {"detail": ("auto",)}  # of a file
_KNOWN = {
    # Annotations and logprobs of an earlier answer's text tell the model nothing.
    "input_text": {"type", "text", _BREAKPOINT},
    "output_text": {"type", "text", _BREAKPOINT, "annotations", "logprobs"},
    "refusal": {"type", "refusal"},
    "input_image": {"type", "image_url", "detail", _BREAKPOINT},
    "input_file": {"type", "file_data", "file_url", "filename", _BREAKPOINT},
    "input_audio": {"type", "input_audio"},
}


def read_parts(content: object, path: str, notes: Notes) -> tuple[Content, ...]:
    """What a message or a tool result holds. Raises BadRequest."""
    if isinstance(content, str):
        return (Text(content),) if content else ()
    found = fields.each(content, path, lambda part, at: _read_part(part, at, notes))
    return tuple([part for part in found if part is not None])


def write_part(part: Text | Image | File) -> Json:
    """A part of what a user, a system or a tool says."""
    match part:
        case Text():
            return {"type": "input_text", "text": part.text}
        case Image():
            # `detail` is the API's default; servers that check its types (vLLM) demand it.
            detail = part.detail or "auto"
            return {"type": "input_image", "image_url": _url(part.media), "detail": detail}
        case File(media=Media(url=str(url))):
            return {"type": "input_file", "file_url": url}  # its name is at its URL
        case File():
            return {
                "type": "input_file",
                "filename": file_name(part.media),
                "file_data": _url(part.media) if part.media.type else part.media.data,
            }


def _read_part(part: Json, path: str, notes: Notes) -> Content | None:
    kind = fields.required(fields.string(part.get("type"), f"{path}.type"), f"{path}.type")
    known = _KNOWN.get(kind)
    if known is None or part.get("file_id") is not None:  # a file is kept at one provider
        notes.other(path)
        return None
    notes.rest(part, known, path, _NOTHING)
    cache = _cache(part, path, notes)
    match kind:
        case "input_text" | "output_text":
            return Text(_text(part, "text", path), cache=cache)
        case "refusal":
            return Refusal(_text(part, "refusal", path))
        case "input_image":
            media = _at(fields.required(_string(part, "image_url", path), f"{path}.image_url"))
            notes.use(Feature.IMAGE_URL if media.url else Feature.IMAGE_DATA, path)
            detail = _string(part, "detail", path)
            if detail == "original":  # finer than any other dialect knows
                notes.setting(f"{path}.detail")
                detail = None
            return Image(media, detail, cache)
        case "input_file":
            return _file(part, path, notes, cache)
        case _:
            return _audio(part, path, notes)


def _file(part: Json, path: str, notes: Notes, cache: Json | None) -> File:
    name = _string(part, "filename", path)
    if (data := _string(part, "file_data", path)) is not None:
        notes.use(Feature.FILE_DATA, path)
        media = _at(data)
        type_ = media.type or type_by_name(name or "")  # bare base64 says none
        return File(Media(type_, media.data or data, name=name), cache)
    url = fields.required(_string(part, "file_url", path), f"{path}.file_data")
    notes.use(Feature.FILE_URL, path)
    return File(Media(url=url, name=name), cache)


def _audio(part: Json, path: str, notes: Notes) -> Audio:
    at = f"{path}.input_audio"
    audio = fields.required(fields.members(part.get("input_audio"), at), at)
    notes.use(Feature.AUDIO, path)
    form = _text(audio, "format", at)
    return Audio(Media(_AUDIO_TYPES.get(form, f"audio/{form}"), _text(audio, "data", at)))


def _cache(part: Json, path: str, notes: Notes) -> Json | None:
    at = f"{path}.{_BREAKPOINT}"
    marker = fields.members(part.get(_BREAKPOINT), at)
    if marker is None:
        return None
    notes.use(Feature.CACHE_CONTROL, at)
    if fields.string(marker.get("ttl"), f"{at}.ttl") not in {None, _DEFAULT_TTL}:
        notes.setting(f"{at}.ttl")
    return {"type": "ephemeral"}  # the neutral words are Anthropic's


def _at(url: str) -> Media:
    """Where the bytes are: in a `data:` URL, or at it."""
    if url[:5].lower() == "data:":
        head, comma, data = url[5:].partition(",")
        type_, *parameters = head.split(";")
        if comma and "base64" in parameters:
            type_ = type_.strip().lower()
            return Media(_TYPES.get(type_, type_) or None, data)
    return Media(url=url)


def _url(media: Media) -> str:
    return media.url or f"data:{media.type or ''};base64,{media.data or ''}"


def _string(part: Json, name: str, path: str) -> str | None:
    return fields.string(part.get(name), f"{path}.{name}")


def _text(part: Json, name: str, path: str) -> str:
    return fields.required(_string(part, name, path), f"{path}.{name}")
