"""The messages of a client's request as the turns of a conversation.

Rules: results in a row are one turn of the user's; every other message is its own. A legacy
`function_call` has no id, and the message of role `function` names only the function: the ids are
made here, from the call's place.
"""

from gateway.core.conversation import (
    File,
    Image,
    Json,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.dialects.fields import each, required, string
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat.assistant import read_message
from gateway.core.dialects.openai_chat.calls import made_id
from gateway.core.dialects.openai_chat.content import read_content
from gateway.core.dialects.openai_chat.reasoning import DETAILS, PLACES, is_proof
from gateway.core.features import Feature

_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
_BLANK: tuple[object, ...] = (False, "", [], {})
# Of an answer that is sent back as it came: `annotations` cite what the text says anyway, `parsed`
# is the text again (OpenAI's SDK), and the signature of a text is only advised (Google's).
_ECHOES = {"annotations", "parsed", "extra_content"}
_KNOWN = {
    "role", "content", "name", "refusal", "tool_calls", "function_call", "tool_call_id", "prefix",
    *PLACES, DETAILS, *_ECHOES,
}  # fmt: skip


def read_turns(messages: object, notes: Notes) -> tuple[Turn, ...]:
    """All messages. Raises BadRequest with the path of what is wrong."""
    turns = _Turns(notes)
    each(messages, "messages", turns.read)
    return turns.end()


class _Turns:
    """Gathers turns, message by message."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._turns: list[Turn] = []
        self._path = "messages"  # of the latest message
        self._number = 0
        self._is_result = False  # whether the latest message was a result
        self._has_begun = False  # anything but system prompts
        self._legacy: dict[str, str] = {}  # of each function, its latest call's id

    def read(self, message: Json, path: str) -> None:
        self._path = path
        self._number += 1
        self._rest(message, path)
        role = required(string(message.get("role"), f"{path}.role"), f"{path}.role")
        name = string(message.get("name"), f"{path}.name")
        if role in {"tool", "function"}:
            self._result(message, path, role, name)
            return
        self._is_result = False
        if name is not None:
            self._notes.use(Feature.NAMES, f"{path}.name")
        known = _ROLES[role]  # parse_request has let no other through
        if known in {"system", "developer"}:
            self._notes.use(Feature.DEVELOPER if self._has_begun else Feature.SYSTEM, path)
        else:
            self._has_begun = True
        parts = (
            self._assistant(message, path)
            if known == "assistant"
            else read_content(message.get("content"), f"{path}.content", self._notes)
        )
        self._turns.append(Turn(known, parts, name))

    def end(self) -> tuple[Turn, ...]:
        last = self._turns[-1] if self._turns else None
        if last and last.role == "assistant" and not _has_calls(last.parts):
            self._notes.use(Feature.PREFILL, self._path)
        return tuple(self._turns)

    def _rest(self, message: Json, path: str) -> None:
        for name, value in message.items():
            if name not in _KNOWN and value is not None and value not in _BLANK:
                self._notes.other(f"{path}.{name}")

    def _assistant(self, message: Json, path: str) -> tuple[Part, ...]:
        if message.get("prefix") is True:  # Mistral's and DeepSeek's word for it
            self._notes.use(Feature.PREFILL, f"{path}.prefix")
        parts = read_message(message, path, self._notes, str(self._number), is_answer=False)
        if _has_calls(parts):
            member = "tool_calls" if message.get("tool_calls") else "function_call"
            self._notes.use(Feature.TOOLS, f"{path}.{member}")
            if member == "function_call":
                self._legacy |= {part.name: part.id for part in parts if isinstance(part, ToolCall)}
        for part in parts:
            # What has no proof is for people: no provider of another dialect takes it.
            if isinstance(part, Reasoning) and (part.redacted or is_proof(part.signature)):
                self._notes.use(Feature.REASONING, f"{path}.{DETAILS}")
        return parts

    def _result(self, message: Json, path: str, role: str, name: str | None) -> None:
        if role == "function":
            name = required(name, f"{path}.name")
            id_ = self._legacy.get(name) or made_id(name, self._number)
        else:
            at = f"{path}.tool_call_id"
            id_ = required(string(message.get("tool_call_id"), at), at)
        at = f"{path}.content"
        found = read_content(message.get("content"), at, self._notes)
        if any(not isinstance(part, Text) for part in found):
            self._notes.use(Feature.TOOL_MEDIA, at)
        self._notes.use(Feature.TOOLS, path)
        parts = tuple([part for part in found if isinstance(part, (Text, Image, File))])
        result = ToolResult(id_, parts, name=name)
        if self._is_result:
            last = self._turns.pop()
            self._turns.append(Turn("user", (*last.parts, result)))
        else:
            self._turns.append(Turn("user", (result,)))
        self._is_result = self._has_begun = True


def _has_calls(parts: tuple[Part, ...]) -> bool:
    return any(isinstance(part, ToolCall) for part in parts)
