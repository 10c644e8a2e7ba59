"""What a request refers to at OpenAI: an uploaded file, the sound of an earlier answer
(https://platform.openai.com/docs/api-reference/chat/create)."""

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json
from gateway.core.dialects.kept import find


def find_kept(chat: ChatRequest) -> str | None:
    if not (chat.source.mentions('"file_id"') or chat.source.mentions('"audio"')):
        return None
    return find(chat.source.values.get("messages"), "messages", ("content",), _refers)


def _refers(value: Json) -> str | None:
    match value:
        case {"type": "file", "file": {"file_id": str()}}:
            return "file.file_id"
        case {"role": "assistant", "audio": {"id": str()}}:
            return "audio.id"
    return None
