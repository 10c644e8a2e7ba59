"""Images, files and sound: `inlineData` in base64, `fileData` at a URL.

Facts: https://ai.google.dev/gemini-api/docs/file-input-methods. A URL may be anybody's, or be one
that only Google can read: its Files API, Cloud Storage, YouTube. The API wants a type with each.
"""

from gateway.core.conversation import Audio, File, Image, Json, Media
from gateway.core.dialects.gemini.wire import Members, standard_base64
from gateway.core.dialects.notes import Notes
from gateway.core.errors import BadRequest
from gateway.core.features import Feature

_OF_GOOGLE = (
    "https://generativelanguage.googleapis.com/",
    "https://www.youtube.com/",
    "https://youtube.com/",
    "https://youtu.be/",
)
_TYPES = {
    "png": "image/png", "jpg": "image/jpeg", "jpeg": "image/jpeg", "webp": "image/webp",
    "gif": "image/gif", "heic": "image/heic", "heif": "image/heif", "pdf": "application/pdf",
    "txt": "text/plain", "md": "text/markdown", "html": "text/html", "csv": "text/csv",
    "xml": "text/xml", "json": "application/json",
}  # fmt: skip
# For a URL that does not tell: the kinds that are sent most, where the API demands one.
_USUAL: dict[type, str] = {Image: "image/jpeg", File: "application/pdf", Audio: "audio/mpeg"}
_DETAILS = {
    "MEDIA_RESOLUTION_LOW": "low",
    "MEDIA_RESOLUTION_HIGH": "high",
    "MEDIA_RESOLUTION_ULTRA_HIGH": "high",
}


def read_inline(data: Members, notes: Notes, detail: str | None) -> Image | File | Audio | None:
    """None for what has no neutral form: video."""
    kind, encoded = data.required("mimeType"), data.required("data")
    name = data.string("displayName")
    return _sorted(Media(kind, standard_base64(encoded), None, name), data, notes, detail)


def read_linked(data: Members, notes: Notes, detail: str | None) -> Image | File | Audio | None:
    """None for what has no neutral form: video, and what only Google can read."""
    kind, url, name = data.string("mimeType"), data.required("fileUri"), data.string("displayName")
    if not url.startswith(("https://", "http://")) or url.startswith(_OF_GOOGLE):
        return None
    return _sorted(Media(kind or _type_by_name(url), None, url, name), data, notes, detail)


def read_detail(part: Members) -> str | None:
    """How closely an image is looked at: a hint, which another provider may not know."""
    resolution = part.members("mediaResolution")
    level = resolution.string("level") if resolution else None
    return _DETAILS.get(level.upper()) if level else None


def is_image(mime_type: object) -> bool:
    return isinstance(mime_type, str) and mime_type.lower().startswith("image/")


def _sorted(
    media: Media, data: Members, notes: Notes, detail: str | None
) -> Image | File | Audio | None:
    kind, is_inline = (media.type or "").lower(), media.data is not None
    if kind.startswith("video/"):
        return None
    if kind.startswith("audio/"):
        notes.use(Feature.AUDIO, data.path)
        return Audio(media)
    if kind.startswith("image/"):
        notes.use(Feature.IMAGE_DATA if is_inline else Feature.IMAGE_URL, data.path)
        return Image(media, detail)
    notes.use(Feature.FILE_DATA if is_inline else Feature.FILE_URL, data.path)
    return File(media)


def write_media(part: Image | File | Audio, *, named: bool = False) -> Json:
    """Its part. Raises BadRequest for inline data whose type nobody knows. `named`: with its name,
    which the API takes in a function's response only."""
    media = part.media
    kind = media.type or _type_by_name(media.url or media.name or "")
    named_as: Json = {"displayName": media.name} if named and media.name is not None else {}
    if media.data is None:
        kind = kind or _USUAL[type(part)]
        return {"fileData": {"mimeType": kind, **named_as, "fileUri": media.url}}
    if kind is None:
        raise BadRequest(
            f"The file {media.name or 'sent'} needs its media type for this model.",
            code="missing_media_type",
        )
    return {"inlineData": {"mimeType": kind, **named_as, "data": media.data}}


def _type_by_name(name: str) -> str | None:
    """By what a file's name, or a URL's path, ends in."""
    return _TYPES.get(name.partition("?")[0].rpartition(".")[2].lower())
