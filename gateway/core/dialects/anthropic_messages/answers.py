"""Whole answers, both ways.

Facts: https://platform.claude.com/docs/en/api/messages (Returns), and the types of the Python SDK
(https://github.com/anthropics/anthropic-sdk-python, `types/message.py`) for what must be there.
Blocks of tools that run at the provider are left out: nobody asked for them.
"""

import json

from gateway.core.answers import Answer, Choice
from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json, Part, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects import shapes
from gateway.core.dialects.anthropic_messages import arguments, proofs
from gateway.core.dialects.anthropic_messages.citations import read_citation, write_citation
from gateway.core.dialects.anthropic_messages.usage import read_usage, write_usage
from gateway.core.dialects.anthropic_messages.words import NAME, read_finish, write_finish

# --- Read ----------------------------------------------------------------------


def read_answer(body: bytes) -> Answer:
    """A provider's answer. Raises Malformed."""
    message = shapes.an_object(body)
    if not isinstance(message.get("content"), list) or message.get("type") == "error":
        raise Malformed("it is not a message")
    parts = [read_block(block) for block in shapes.objects(message, "content")]
    reason = shapes.string(message, "stop_reason")
    choice = Choice(
        (*[part for part in parts if part is not None], *read_refusal(message)),
        None if reason is None else read_finish(reason),
        shapes.string(message, "stop_sequence"),
    )
    return Answer(
        (choice,),
        shapes.string(message, "id"),
        shapes.string(message, "model"),
        usage=read_usage(message.get("usage")),
    )


def read_block(block: Json) -> Text | Reasoning | ToolCall | None:
    """A block of an answer, or as much as its first event says; None for one that is left out."""
    match block.get("type"):
        case "text":
            found = [read_citation(item) for item in shapes.objects(block, "citations")]
            citations = tuple([citation for citation in found if citation is not None])
            return Text(shapes.text(block, "text"), citations)
        case "thinking":
            signature = shapes.string(block, "signature") or None
            return Reasoning(shapes.text(block, "thinking"), signature, origin=NAME)
        case "redacted_thinking":
            return Reasoning(redacted=shapes.text(block, "data"), origin=NAME)
        case "tool_use":
            id_, name = shapes.string(block, "id"), shapes.string(block, "name")
            if not id_ or not name:
                raise Malformed("a tool call without an id or a name")
            return ToolCall(id_, name, arguments.to_text(shapes.members(block, "input") or {}))
        case str():
            return None
        case _:
            raise Malformed("a block without a type")


def read_refusal(message: Json) -> list[Refusal]:
    """Why a safeguard stepped in, in words for people, where they are given."""
    details = shapes.members(message, "stop_details") or {}
    explanation = shapes.text(details, "explanation")
    return [Refusal(explanation)] if explanation else []


# --- Written -------------------------------------------------------------------


def write_answer(answer: Answer, chat: ChatRequest | None = None) -> bytes:  # noqa: ARG001
    """The first answer, if there are several: no client of this dialect asks for more."""
    choice = answer.choices[0] if answer.choices else Choice(())
    message = frame(answer.id, answer.model)
    message["content"] = [block for part in choice.parts for block in _blocks(part)]
    message["stop_reason"] = write_finish(
        choice.finish,
        choice.stopped_by,
        has_calls=any(isinstance(part, ToolCall) for part in choice.parts),
        is_refusal=any(isinstance(part, Refusal) and part.text for part in choice.parts),
    )
    message["stop_sequence"] = choice.stopped_by
    message["usage"] = write_usage(answer.usage)
    return json.dumps(message).encode()


def frame(id: str | None, model: str | None) -> Json:
    """A message before anything of it is known."""
    return {
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _blocks(part: Part) -> list[Json]:
    """Empty text makes no block: the API refuses one when the client returns it."""
    match part:
        case Text(text="", citations=()) | Refusal(text=""):
            return []
        case Text():
            block: Json = {"type": "text", "text": part.text}
            found = [write_citation(citation) for citation in part.citations]
            if citations := [citation for citation in found if citation is not None]:
                block["citations"] = citations
            return [block]
        case Refusal():
            return [{"type": "text", "text": part.text}]
        case Reasoning(text="", redacted=str()):
            return [{"type": proofs.REDACTED, "data": proofs.redacted_data(part)}]
        case Reasoning():
            signature = proofs.thinking_signature(part, part.signature)
            return [{"type": proofs.THINKING, "thinking": part.text, "signature": signature}]
        case ToolCall():
            found_input = arguments.from_text(part.arguments)
            call: Json = {
                "type": "tool_use",
                "id": part.id,
                "name": part.name,
                # An object, unless the model wrote something else: then the client sees what.
                "input": part.arguments if found_input is None else found_input,
            }
            kept = proofs.call_block(part, part.signature)
            return [call] if kept is None else [kept, call]
        case _:  # what a model says is none of the others
            return []
