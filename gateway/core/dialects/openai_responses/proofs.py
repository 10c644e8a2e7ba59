"""Proofs of reasoning: OpenAI's own on their way out and back, others' in the place of its own.

OpenAI's proof is `encrypted_content`, and strict services want the reasoning item's id beside it
(https://github.com/stacklok/mecatl/issues/406): as a neutral signature the two are one text, so
that the id survives in clients that keep nothing but a signature. Into `encrypted_content` a
foreign proof goes sealed, as JSON of all that its provider wants back. A tool call has no place for
one: its signature is a reasoning item of its own, which names the call.
"""

import json
from dataclasses import dataclass

from gateway.core import jsontext
from gateway.core.conversation import Reasoning, ToolCall
from gateway.core.dialects.openai_responses.marks import NAME
from gateway.core.dialects.signatures import seal, unseal
from gateway.core.jsontext import JsonError


@dataclass(frozen=True, slots=True)
class Proof:
    """What a client returned in `encrypted_content`. `call`: the tool call that it signs; the rest
    are members of Reasoning."""

    origin: str
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    call: str | None = None


def pack(id: str | None, encrypted: str) -> str:
    """OpenAI's proof as a neutral signature."""
    return f"{id or ''}:{encrypted}"


def unpack(signature: str) -> tuple[str | None, str]:
    """The reasoning item's id and its `encrypted_content`."""
    item, colon, encrypted = signature.partition(":")
    return (item or None, encrypted) if colon else (None, signature)


def of_reasoning(part: Reasoning) -> tuple[str | None, str | None]:
    """The provider's id of the item, where it is OpenAI's, and its `encrypted_content`."""
    if part.origin in {None, NAME}:
        item, encrypted = unpack(part.signature or "")
        return item or part.id, encrypted or None
    if not (part.signature or part.redacted):
        return None, None
    return None, _sealed(part.origin, part.signature, part.redacted, part.id)


def of_call(call: ToolCall) -> str | None:
    """The `encrypted_content` that keeps a tool call's foreign signature."""
    if not call.signature or call.origin in {None, NAME}:
        return None  # OpenAI signs no calls
    return _sealed(call.origin, call.signature, call=call.id)


def read(encrypted: str, id: str | None) -> Proof:
    """What a client returned, with the id of its item, unless the gateway made it."""
    text, origin = unseal(encrypted, NAME)
    if origin == NAME:
        return Proof(NAME, pack(id, text), id=id)
    try:
        found = jsontext.parse(text.encode())
    except (JsonError, UnicodeEncodeError):
        found = None
    if not isinstance(found, dict):  # not sealed here
        return Proof(origin, text)
    kept = {name: value for name, value in found.items() if isinstance(value, str)}
    return Proof(
        origin, kept.get("signature"), kept.get("redacted"), kept.get("id"), kept.get("call")
    )


def _sealed(
    origin: str | None,
    signature: str | None,
    redacted: str | None = None,
    id: str | None = None,
    call: str | None = None,
) -> str:
    members = {"signature": signature, "redacted": redacted, "id": id, "call": call}
    kept = {name: value for name, value in members.items() if value is not None}
    return seal(json.dumps(kept), origin, NAME)
