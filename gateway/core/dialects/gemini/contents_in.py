"""The contents of a client's request as the turns of a conversation.

Rules: a result of a tool is part of a user's turn; what the model said in a row is one turn. A chat
session of the official SDKs keeps each event of a stream as a content of its own
(https://github.com/googleapis/python-genai, chats.py): texts that meet at such a border are pieces
of one text. A signature without text belongs to the unsigned reasoning before it. What Google's own
tools did has no neutral form.
"""

from dataclasses import replace

from gateway.core.conversation import (
    File,
    Image,
    Part,
    Reasoning,
    Role,
    Text,
    ToolCall,
    ToolResult,
    Turn,
)
from gateway.core.dialects import fields
from gateway.core.dialects.gemini import media, proofs
from gateway.core.dialects.gemini.calls import OpenCalls, arguments_text, made_id
from gateway.core.dialects.gemini.proofs import Proof
from gateway.core.dialects.gemini.results import read_response
from gateway.core.dialects.gemini.wire import NAME, Members
from gateway.core.dialects.notes import Notes
from gateway.core.features import Feature

ROLES: dict[str, Role] = {"user": "user", "model": "assistant", "function": "user"}

_DATA = (
    "text", "inlineData", "fileData", "functionCall", "functionResponse", "executableCode",
    "codeExecutionResult", "toolCall", "toolResponse",
)  # fmt: skip
# Beside the data: `partMetadata` is the client's own note, which no model sees.
_BESIDE = frozenset({"thought", "thoughtSignature", "mediaResolution", "partMetadata"})

_NOTHING: tuple[Part, ...] = (Text(""), Reasoning())


class Turns:
    """Takes contents one by one."""

    def __init__(self, notes: Notes) -> None:
        self._notes = notes
        self._calls = OpenCalls()
        self._turns: list[tuple[Role, list[Part]]] = []

    def turns(self) -> tuple[Turn, ...]:
        said = [(role, _without_nothing(parts)) for role, parts in self._turns]
        return tuple([Turn(role, tuple(parts)) for role, parts in said if parts])

    def instruct(self, content: Members) -> None:
        """The system prompt: text only, whatever role it names."""
        self._notes.use(Feature.SYSTEM, content.path)
        parts = [part for item in content.each("parts") for part in self._part(item, "system")]
        self._turns.append(("system", parts))

    def say(self, content: Members) -> None:
        role = ROLES[content.string("role") or "user"]
        is_more = role == "assistant" and self._turns and self._turns[-1][0] == role
        if not is_more:
            self._turns.append((role, []))
        parts = self._turns[-1][1]
        for number, item in enumerate(content.each("parts")):
            for part in self._part(item, role):
                _add(parts, part, is_border=bool(is_more) and number == 0)

    def _part(self, part: Members, role: Role) -> list[Part]:
        found = [name for name in _DATA if part.get(name) is not None]
        signature = part.string("thoughtSignature")
        if len(found) > 1 or not (found or signature):
            raise fields.wrong_value(part.path, f"must have one of {', '.join(_DATA)}")
        kind = found[0] if found else "text"
        if role == "system" and kind != "text":
            self._notes.other(part.path)
            return []
        part.rest({*_DATA, *_BESIDE}, self._notes)
        proof = proofs.read(signature) if signature else Proof()
        match kind:
            case "text":
                return self._text(part, proof)
            case "functionCall":
                return [self._call(part, proof)]
            case "functionResponse":
                return [self._result(Members(part.json(kind) or {}, part.at(kind)), part.path)]
            case "inlineData" | "fileData":
                read = media.read_inline if kind == "inlineData" else media.read_linked
                data = Members(part.json(kind) or {}, part.at(kind))
                medium = read(data, self._notes, media.read_detail(part))
                if medium is not None:
                    return [medium]
        self._notes.other(part.path)
        return []

    def _text(self, part: Members, proof: Proof) -> list[Part]:
        """A signature of a plain text follows it as reasoning without text.

        Only another provider's proof, or one of a text, needs a place where it goes: Gemini signs
        whatever it says, and nobody else can use that.
        """
        text = part.string("text") or ""
        signed = Reasoning("", proof.signature, proof.redacted, proof.id, proof.origin)
        is_thought = part.boolean("thought") is True
        if proof.origin is not None and (proof.origin != NAME or (is_thought and text)):
            self._notes.use(Feature.REASONING, part.path)
        if is_thought:
            return [replace(signed, text=text)]
        said: list[Part] = [Text(text)] if text or proof.origin is None else []
        return said if proof.origin is None else [*said, signed]

    def _call(self, part: Members, proof: Proof) -> ToolCall:
        call = Members(part.json("functionCall") or {}, part.at("functionCall"))
        call.rest({"id", "name", "args"}, self._notes)
        self._notes.use(Feature.TOOLS, call.path)
        name, args = call.required("name"), call.json("args")
        id_ = call.string("id") or made_id(part.path, name)
        self._calls.called(id_, name)
        if not proofs.is_own(proof.origin):
            self._notes.use(Feature.REASONING, part.path)
        arguments = "" if args is None else arguments_text(args)
        return ToolCall(id_, name, arguments, proof.signature, proof.origin)

    def _result(self, result: Members, path: str) -> ToolResult:
        result.rest({"id", "name", "response", "parts"}, self._notes)
        self._notes.use(Feature.TOOLS, result.path)
        name, id_ = result.required("name"), result.string("id")
        text, is_error = read_response(result.json("response") or {})
        parts: list[Text | Image | File] = [Text(text)] if text else []
        for item in result.each("parts"):
            parts += self._medium(item)
        if is_error:
            self._notes.use(Feature.TOOL_ERRORS, result.path)
        found = self._calls.answered(id_, name) or id_ or made_id(path, name)
        return ToolResult(found, tuple(parts), is_error, name)

    def _medium(self, item: Members) -> list[Image | File]:
        for kind, read in (("inlineData", media.read_inline), ("fileData", media.read_linked)):
            if (data := item.members(kind)) is not None:
                medium = read(data, self._notes, None)
                if isinstance(medium, (Image, File)):
                    self._notes.use(Feature.TOOL_MEDIA, item.path)
                    return [medium]
        self._notes.other(item.path)
        return []


def _add(parts: list[Part], part: Part, *, is_border: bool) -> None:
    match parts[-1] if parts else None, part:
        case Text() as before, Text() if is_border:
            parts[-1] = replace(before, text=before.text + part.text)
        case Reasoning(signature=None, redacted=None) as before, Reasoning() if not part.text or (
            is_border and part.origin is None
        ):
            parts[-1] = replace(part, text=before.text + part.text)
        case _:
            parts.append(part)


def _without_nothing(parts: list[Part]) -> list[Part]:
    """Without empty texts, which others refuse, unless one is all there is."""
    return [part for part in parts if part not in _NOTHING] or parts[:1]
