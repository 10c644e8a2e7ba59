"""The items of a client's `input` as the turns of a conversation.

Rules: what the model did in a row is one turn (reasoning, message, calls); results in a row are one
turn of the user's; every other message is its own. An item that a provider keeps (a reference, a
built-in tool's call) has no neutral form. A reasoning item with neither text nor proof only names
what a provider keeps, and is nothing anywhere else; its text without a proof is for people, and no
provider takes it: only a proof uses a feature.
"""

from dataclasses import replace

from gateway.core.conversation import (
    Audio,
    Json,
    Part,
    Reasoning,
    Refusal,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.dialects import fields
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_responses import proofs
from gateway.core.dialects.openai_responses.content import read_parts
from gateway.core.dialects.openai_responses.marks import is_made
from gateway.core.dialects.openai_responses.parse import kind_of
from gateway.core.features import Feature

# `id` and `status` are a provider's remarks on what it made; `phase` is OpenAI's hint to itself.
_KNOWN = {
    "message": {"type", "role", "content", "id", "status", "phase"},
    "reasoning": {"type", "id", "status", "summary", "content", "encrypted_content"},
    "function_call": {"type", "id", "status", "call_id", "name", "arguments"},
    "function_call_output": {"type", "id", "status", "call_id", "name", "output"},
}
_ROLES: dict[str, Role] = {
    "system": "system",
    "developer": "developer",
    "user": "user",
    "assistant": "assistant",
}
_SYSTEM = ("system", "developer")


class Turns:
    """Gathers turns, item by item."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._turns: list[tuple[Role, list[Part]]] = []
        self._is_growing = False  # whether the last turn takes more items of its kind
        self._has_begun = False  # anything but system prompts
        self._path = "input"  # of the latest item
        self._proofs: dict[str, proofs.Proof] = {}  # of tool calls, by their ids

    def say(self, role: Role, parts: tuple[Part, ...], path: str) -> None:
        """A message."""
        if role in _SYSTEM:
            self._notes.use(Feature.DEVELOPER if self._has_begun else Feature.SYSTEM, path)
        else:
            self._has_begun = True
        if role == "assistant":
            self._grow("assistant", *parts)
        else:
            self._turns.append((role, list(parts)))
            self._is_growing = False

    def read(self, item: Json, path: str) -> None:
        """An item of `input`. Raises BadRequest."""
        self._path = path
        kind = kind_of(item, path)
        known = _KNOWN.get(kind)
        if known is None:
            self._notes.other(path)
            return
        self._notes.rest(item, known, path)
        match kind:
            case "message":
                self._message(item, path)
            case "reasoning":
                self._reasoning(item, path)
            case "function_call":
                self._call(item, path)
            case _:
                self._result(item, path)

    def turns(self) -> tuple[Turn, ...]:
        """All that was said, each call with the proof that came for it.

        What an assistant says last OpenAI answers and others continue: that is another request.
        """
        match self._turns[-1:]:
            case [("assistant", parts)] if not any(isinstance(part, ToolCall) for part in parts):
                if not all(isinstance(part, Reasoning) for part in parts):
                    self._notes.use(Feature.PREFILL, self._path)
            case _:
                pass
        return tuple(
            Turn(role, tuple(self._signed(part) for part in parts)) for role, parts in self._turns
        )

    def _grow(self, role: Role, *parts: Part) -> None:
        """More of a turn that is made of several items."""
        self._has_begun = True
        if not (self._is_growing and self._turns[-1][0] == role):
            self._turns.append((role, []))
        self._turns[-1][1].extend(parts)
        self._is_growing = True

    def _message(self, item: Json, path: str) -> None:
        role = _ROLES.get(_required(item, "role", path))
        if role is None:
            raise fields.wrong_value(f"{path}.role", "is not a known role")
        self.say(role, read_parts(item.get("content"), f"{path}.content", self._notes), path)

    def _reasoning(self, item: Json, path: str) -> None:
        text = "\n\n".join(_texts(item, "content", path) or _texts(item, "summary", path))
        id_ = fields.string(item.get("id"), f"{path}.id")
        id_ = None if is_made(id_) else id_
        encrypted = fields.string(item.get("encrypted_content"), f"{path}.encrypted_content")
        if not encrypted:
            if text:
                self._grow("assistant", Reasoning(text, id=id_))
            return
        proof = proofs.read(encrypted, id_)
        self._notes.use(Feature.REASONING, path)
        if proof.call is not None:
            self._proofs[proof.call] = proof
            return
        self._grow(
            "assistant", Reasoning(text, proof.signature, proof.redacted, proof.id, proof.origin)
        )

    def _call(self, item: Json, path: str) -> None:
        self._notes.use(Feature.TOOLS, path)
        self._grow(
            "assistant",
            ToolCall(
                _required(item, "call_id", path),
                _required(item, "name", path),
                _required(item, "arguments", path),
            ),
        )

    def _result(self, item: Json, path: str) -> None:
        self._notes.use(Feature.TOOLS, path)
        found = read_parts(item.get("output"), f"{path}.output", self._notes)
        parts = [part for part in found if not isinstance(part, (Audio, Refusal))]
        if len(parts) < len(found):
            self._notes.other(f"{path}.output")
        if any(not isinstance(part, Text) for part in parts):
            self._notes.use(Feature.TOOL_MEDIA, f"{path}.output")
        name = fields.string(item.get("name"), f"{path}.name")
        self._grow("user", ToolResult(_required(item, "call_id", path), tuple(parts), name=name))

    def _signed(self, part: Part) -> Part:
        if isinstance(part, ToolCall) and (proof := self._proofs.get(part.id)):
            return replace(part, signature=proof.signature, origin=proof.origin)
        return part


def _texts(item: Json, name: str, path: str) -> list[str]:
    at = f"{path}.{name}"
    texts = fields.each(item.get(name), at, lambda part, where: _required(part, "text", where))
    return [text for text in texts if text]


def _required(item: Json, name: str, path: str) -> str:
    at = f"{path}.{name}"
    return fields.required(fields.string(item.get(name), at), at)
