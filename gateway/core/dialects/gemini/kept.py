"""What a request refers to at Google: cached content, and files of its Files API
(https://ai.google.dev/gemini-api/docs/files, https://ai.google.dev/api/caching)."""

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json
from gateway.core.dialects.gemini.wire import Members, get
from gateway.core.dialects.kept import find

_FILES = "https://generativelanguage.googleapis.com/"


def find_kept(chat: ChatRequest) -> str | None:
    root = Members(chat.source.values)
    if root.get("cachedContent") is not None:
        return root.at("cachedContent")
    if not chat.source.mentions(_FILES):
        return None
    return find(root.get("contents"), "contents", ("parts",), _refers)


def _refers(value: Json) -> str | None:
    data = get(value, "fileData")
    uri = get(data, "fileUri") if isinstance(data, dict) else None
    return "fileData.fileUri" if isinstance(uri, str) and uri.startswith(_FILES) else None
