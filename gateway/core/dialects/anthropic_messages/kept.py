"""What a request refers to at Anthropic: uploaded files and containers
(https://platform.claude.com/docs/en/build-with-claude/files), and threads, which its SDKs' loops
over tools make on their own: what is said in one is kept there, so it must stay with one provider
from its beginning on (https://github.com/anthropics/anthropic-sdk-python,
`types/beta/message_create_params.py`)."""

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json
from gateway.core.dialects.anthropic_messages.words import THREAD
from gateway.core.dialects.kept import find


def find_kept(chat: ChatRequest) -> str | None:
    values = chat.source.values
    container = values.get("container")
    if isinstance(container, str) or (isinstance(container, dict) and container.get("id")):
        return "container"
    if values.get(THREAD) is not None:
        return THREAD
    if not chat.source.mentions('"file_id"'):
        return None
    return find(values.get("messages"), "messages", ("content",), _refers)


def _refers(value: Json) -> str | None:
    match value:
        case {"type": "image" | "document", "source": {"type": "file"}}:
            return "source.file_id"
        case {"type": "container_upload", "file_id": str()}:
            return "file_id"
    return None
