"""Parts of a turn or of an answer, written. Fact: https://ai.google.dev/api/caching#Part."""

from gateway.core.conversation import Json, Reasoning, ToolCall
from gateway.core.dialects.gemini import proofs
from gateway.core.dialects.gemini.calls import arguments_object
from gateway.core.dialects.gemini.proofs import Proof

USER, MODEL = "user", "model"


def write_text(text: str) -> Json:
    return {"text": text}


def write_thought(text: str) -> Json:
    return {"text": text, "thought": True}


def write_signed(part: Reasoning) -> Json | None:
    """A whole reasoning for a client; None where there is nothing of it.

    A signature of Gemini's without text is that of what stands before it, and no thought.
    """
    signature = proofs.write(Proof(part.signature, part.redacted, part.id, part.origin))
    if not part.text and signature is None:
        return None
    is_thought = bool(part.text) or not proofs.is_own(part.origin)
    written = write_thought(part.text) if is_thought else write_text("")
    return written if signature is None else {**written, "thoughtSignature": signature}


def write_call(call: ToolCall) -> Json | None:
    """A call for a client; None where its arguments are no JSON object."""
    args = arguments_object(call.arguments)
    if args is None:
        return None
    part: Json = {"functionCall": {"id": call.id, "name": call.name, "args": args}}
    signature = proofs.write(Proof(call.signature, origin=call.origin))
    return part if signature is None else {**part, "thoughtSignature": signature}
