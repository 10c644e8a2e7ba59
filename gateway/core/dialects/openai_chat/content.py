"""The content of messages: text, images, files and audio, both ways.

A message of text alone is written as one string: the API takes an array of parts as well, but Groq,
DeepSeek, Cerebras and others refuse one ("value must be a string", "invalid type: sequence":
https://github.com/livekit/agents/issues/1790, https://github.com/tbphp/gpt-load/issues/743).

Facts: https://platform.openai.com/docs/api-reference/chat/create for the parts. OpenAI answers 400
to a file without a name and to one that is no data: URL
(https://github.com/langchain-ai/langchainjs/pull/9570); OpenRouter takes a URL as `file_data`
(https://openrouter.ai/docs/features/multimodal/pdfs). A plain string as `image_url` is Mistral's.
`cache_control` is OpenRouter's, in Anthropic's shape; OpenAI's mark is `prompt_cache_breakpoint`.
"""

from collections.abc import Iterable

from gateway.core.conversation import (
    Audio,
    File,
    Image,
    Json,
    Media,
    Part,
    Reasoning,
    Refusal,
    Text,
)
from gateway.core.dialects.fields import each, members, required, string, wrong_type, wrong_value
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat.reasoning import THINKING
from gateway.core.dialects.openai_chat.words import NAME
from gateway.core.dialects.openai_limits import file_name, type_by_name
from gateway.core.features import Feature

_AUDIO_TYPES = {"mp3": "audio/mpeg"}  # the rest are called as their format is
_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}
# Not registered, and taken by OpenAI all the same; Anthropic and Google refuse it.
_TYPES = {"image/jpg": "image/jpeg"}
_KNOWN = {"type", "cache_control", "prompt_cache_breakpoint"}
_DEFAULT_TTL = "30m"  # of a `prompt_cache_breakpoint`; other lifetimes have no neutral form


def read_content(value: object, path: str, notes: Notes) -> tuple[Part, ...]:
    """A string, an array of parts, or nothing. Raises BadRequest."""
    if value is None or isinstance(value, str):
        return (Text(value),) if value else ()
    if not isinstance(value, list):
        raise wrong_type(path, "a string or an array of parts")
    found = each(value, path, lambda part, at: _read_part(part, at, notes))
    return tuple([part for part in found if part is not None])


def write_content(parts: Iterable[Part], *, between: str) -> str | list[Json]:
    """One string where it is text alone, joined by `between`. A file by URL is left out: the API
    takes none."""
    parts = list(parts)
    texts = [part.text for part in parts if isinstance(part, Text)]
    if len(texts) == len(parts):
        return between.join(texts)
    return [written for part in parts if (written := _write_part(part))]


# --- Read --------------------------------------------------------------------


def _read_part(part: Json, path: str, notes: Notes) -> Part | None:
    match part.get("type"):
        case "text":
            notes.rest(part, {*_KNOWN, "text"}, path)
            text = required(string(part.get("text"), f"{path}.text"), f"{path}.text")
            return Text(text, cache=_cache(part, path, notes))
        case "refusal":
            text = required(string(part.get("refusal"), f"{path}.refusal"), f"{path}.refusal")
            return Refusal(text)
        case "image_url":
            notes.rest(part, {*_KNOWN, "image_url"}, path)
            return _read_image(part, path, notes)
        case "input_audio":
            notes.rest(part, {*_KNOWN, "input_audio"}, path)
            return _read_audio(part, path, notes)
        case "file":
            notes.rest(part, {*_KNOWN, "file"}, path)
            return _read_file(part, path, notes)
        case "thinking":
            return Reasoning(read_thinking(part, path), signature=THINKING, origin=NAME)
        case _:
            notes.other(path)  # a video, a document of some provider's own
            return None


def read_thinking(part: Json, path: str) -> str:
    """The text of Mistral's part for reasoning (https://docs.mistral.ai/api)."""
    inner = part.get(THINKING)
    if isinstance(inner, str):
        return inner
    texts = each(inner, f"{path}.thinking", lambda item, at: string(item.get("text"), f"{at}.text"))
    return "".join([text for text in texts if text])


def _read_image(part: Json, path: str, notes: Notes) -> Image:
    at = f"{path}.image_url"
    value = part.get("image_url")
    image: Json = {"url": value} if isinstance(value, str) else required(members(value, at), at)
    notes.rest(image, {"url", "detail"}, at)
    media = _media(required(string(image.get("url"), f"{at}.url"), f"{at}.url"), f"{at}.url")
    notes.use(Feature.IMAGE_URL if media.data is None else Feature.IMAGE_DATA, path)
    detail = string(image.get("detail"), f"{at}.detail")
    return Image(media, detail, _cache(part, path, notes))


def _read_audio(part: Json, path: str, notes: Notes) -> Audio:
    at = f"{path}.input_audio"
    audio = required(members(part.get("input_audio"), at), at)
    notes.rest(audio, {"data", "format"}, at)
    data = required(string(audio.get("data"), f"{at}.data"), f"{at}.data")
    form = required(string(audio.get("format"), f"{at}.format"), f"{at}.format")
    notes.use(Feature.AUDIO, path)
    return Audio(Media(_AUDIO_TYPES.get(form, f"audio/{form}"), data))


def _read_file(part: Json, path: str, notes: Notes) -> File | None:
    at = f"{path}.file"
    file = required(members(part.get("file"), at), at)
    notes.rest(file, {"file_data", "filename", "file_id"}, at)
    data = string(file.get("file_data"), f"{at}.file_data")
    if data is None:
        required(string(file.get("file_id"), f"{at}.file_id"), f"{at}.file_data")
        notes.other(f"{at}.file_id")  # it lies at OpenAI
        return None
    name = string(file.get("filename"), f"{at}.filename")
    if data.startswith(("http://", "https://")):
        media = Media(url=data, name=name)
    elif data.startswith("data:"):
        media = _media(data, f"{at}.file_data", name)
    else:
        media = Media(type_by_name(name or ""), data, name=name)  # bare base64 says none
    notes.use(Feature.FILE_URL if media.data is None else Feature.FILE_DATA, path)
    return File(media, _cache(part, path, notes))


def _media(url: str, path: str, name: str | None = None) -> Media:
    """What a URL points to; a data: URL holds it (RFC 2397)."""
    if url[:5].lower() != "data:":
        return Media(url=url, name=name)
    head, comma, data = url[5:].partition(",")
    type_, *parameters = head.split(";")
    if not comma or "base64" not in parameters:
        raise wrong_value(path, "must have its data in base64")
    type_ = type_.strip().lower()
    return Media(_TYPES.get(type_, type_) or None, data, name=name)


def _cache(part: Json, path: str, notes: Notes) -> Json | None:
    mark = read_cache(part, path, notes)
    point = members(part.get("prompt_cache_breakpoint"), f"{path}.prompt_cache_breakpoint")
    if mark is None and point is not None:
        mark = {"type": "ephemeral"}
        notes.use(Feature.CACHE_CONTROL, f"{path}.prompt_cache_breakpoint")
        if point.get("ttl") not in (None, _DEFAULT_TTL):
            notes.setting(f"{path}.prompt_cache_breakpoint.ttl")
    return mark


def read_cache(values: Json, path: str, notes: Notes) -> Json | None:
    mark = members(values.get("cache_control"), f"{path}.cache_control")
    if mark is not None:
        notes.use(Feature.CACHE_CONTROL, f"{path}.cache_control")
    return mark


# --- Written -----------------------------------------------------------------


def _write_part(part: Part) -> Json | None:
    match part:
        case Text():
            return {"type": "text", "text": part.text}
        case Image():
            image: Json = {"url": _url(part.media)}
            if part.detail is not None:
                image["detail"] = part.detail
            return {"type": "image_url", "image_url": image}
        case Audio():
            return _write_audio(part.media)
        case File():
            return _write_file(part.media)
        case Reasoning() if part.signature == THINKING and part.origin == NAME:
            return {"type": THINKING, THINKING: [{"type": "text", "text": part.text}]}
        case _:
            return None


def _write_audio(media: Media) -> Json:
    if media.data is None:  # vLLM's part; who does not know it refuses, and loses nothing
        return {"type": "audio_url", "audio_url": {"url": media.url}}
    form = (media.type or "").partition("/")[2]
    return {
        "type": "input_audio",
        "input_audio": {"data": media.data, "format": _AUDIO_FORMATS.get(form, form)},
    }


def _write_file(media: Media) -> Json | None:
    if media.data is None:
        return None
    data = _url(media) if media.type else media.data
    return {"type": "file", "file": {"filename": file_name(media), "file_data": data}}


def _url(media: Media) -> str:
    if media.data is None:
        return media.url or ""
    return f"data:{media.type or ''};base64,{media.data}"
