"""What a request refers to at OpenAI: earlier answers, items, prompts, files, vector stores and
containers (https://platform.openai.com/docs/guides/conversation-state)."""

from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json
from gateway.core.dialects.kept import find, first_of

ANSWERS = ("previous_response_id", "conversation", "prompt")


def find_kept(chat: ChatRequest) -> str | None:
    values = chat.source.values
    return (
        first_of(values, ANSWERS)
        or find(values.get("input"), "input", ("content", "output"), _refers)
        or find(values.get("tools"), "tools", (), _tool_refers)
    )


def _refers(value: Json) -> str | None:
    kind = value.get("type")
    if kind == "item_reference" or (kind is None and "role" not in value and "id" in value):
        return "id"
    if kind in {"input_file", "input_image"} and value.get("file_id") is not None:
        return "file_id"
    return None


def _tool_refers(value: Json) -> str | None:
    if value.get("vector_store_ids"):
        return "vector_store_ids"
    return "container" if isinstance(value.get("container"), str) else None
