"""What OpenAI's APIs, both of them, do not take as other dialects' clients say it."""

import hashlib
import re

from gateway.core.conversation import Json, Media

# The API knows a file's kind by its name's ending alone ("Expected context stuffing file type to be
# a supported format ... but got none"; https://platform.openai.com/docs/guides/pdf-files).
_ENDINGS = {
    "application/pdf": "pdf",
    "application/json": "json",
    "application/msword": "doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": "pptx",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
    "text/plain": "txt",
    "text/markdown": "md",
    "text/html": "html",
    "text/csv": "csv",
    "text/xml": "xml",
}
_BY_ENDING = {ending: type_ for type_, ending in _ENDINGS.items()}
_AN_ENDING = re.compile(r"\.[A-Za-z][A-Za-z0-9]{0,4}\Z")
_NAMELESS = "file"
_MAX_USER = 64  # "Invalid 'user': string too long. Expected a string with maximum length 64"


def file_name(media: Media) -> str:
    """A name for an inline file: the API takes none without. Its own, with an ending that tells its
    type; text may have any, as source code does."""
    name, type_ = media.name or _NAMELESS, (media.type or "").lower()
    ending = _ENDINGS.get(type_) or type_.partition("/")[2]
    if not ending.isalnum() or name.lower().endswith(f".{ending}"):
        return name
    has_ending = _AN_ENDING.search(name) is not None
    is_told = has_ending and (type_.startswith("text/") or type_ not in _ENDINGS)
    return name if is_told else f"{name}.{ending}"


def type_by_name(name: str) -> str | None:
    """What an inline file is whose data does not tell, by its name's ending as the API does."""
    _, dot, ending = name.rpartition(".")
    return _BY_ENDING.get(ending.lower()) if dot else None


def user_name(user: str) -> str:
    """Who the user is: where the name is too long, its hash, which is what OpenAI recommends anyway
    (https://platform.openai.com/docs/guides/safety-best-practices#end-user-ids)."""
    if len(user) <= _MAX_USER:
        return user
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()


def parameters(schema: Json) -> Json:
    """A function's schema: the API takes no object without `properties` ("object schema missing
    properties"), which is what tools without arguments have elsewhere
    (https://github.com/openai/openai-agents-python, agents/mcp/util.py)."""
    is_told = schema.get("type") != "object" or schema.get("properties") is not None
    return schema if is_told else {**schema, "properties": {}}
