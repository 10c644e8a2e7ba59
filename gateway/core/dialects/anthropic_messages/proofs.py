"""Proofs of reasoning in a client's messages: Anthropic's own, and others' in the place of its own.

Anthropic's are the `signature` of a `thinking` block and the `data` of a `redacted_thinking` one;
whoever changes one, or sends one that Anthropic did not make, gets a 400
(https://platform.claude.com/docs/en/build-with-claude/extended-thinking). A foreign one stands
there sealed, as JSON where its provider wants more back than fits: an id, what stands for withheld
text beside a summary. The signature of a tool call, for which this dialect has no place, is a
redacted block of its own with the call's id. Reasoning without any signature is sealed, too, and so
is the index that proves a citation: neither must be sent to Anthropic as if it were its own.
"""

import json
from collections.abc import Iterable
from dataclasses import replace

from gateway.core import jsontext
from gateway.core.conversation import Json, Part, Reasoning, ToolCall
from gateway.core.dialects.anthropic_messages.words import NAME
from gateway.core.dialects.signatures import seal, unseal

MARK = '"tiergate.'  # how a sealed proof begins in JSON
THINKING, REDACTED = "thinking", "redacted_thinking"
_CITATIONS = "citations"

_NOBODY = "unsigned"  # whose reasoning it was is not known
_SIGNATURE, _REDACTED, _ID, _CALL = "signature", "redacted", "id", "call"
_MEMBERS = (_SIGNATURE, _REDACTED, _ID, _CALL)

# In the place of a citation's `encrypted_index`, which Anthropic wants back as its search gave it
# (https://platform.claude.com/docs/en/agents-and-tools/tool-use/web-search-tool).
NO_INDEX = seal("", _NOBODY, NAME)


def thinking_signature(part: Reasoning, signature: str | None) -> str:
    """What a client keeps in `signature`. `signature`: the part's own, or what a stream made of
    it."""
    if part.origin == NAME or (part.origin is None and signature):
        return signature or ""
    kept = {_SIGNATURE: signature or None, _REDACTED: part.redacted, _ID: part.id}
    return _sealed(kept, part.origin, _SIGNATURE)


def redacted_data(part: Reasoning) -> str:
    """What a client keeps in `data`."""
    if part.origin in {None, NAME}:
        return part.redacted or ""
    return _sealed({_REDACTED: part.redacted, _ID: part.id}, part.origin, _REDACTED)


def call_block(call: ToolCall, signature: str | None) -> Json | None:
    """The block that keeps a tool call's signature, if it has one: another dialect's, since this
    one signs no calls."""
    if not signature or call.origin in {None, NAME}:
        return None
    kept: dict[str, str | None] = {_SIGNATURE: signature, _CALL: call.id}
    return {"type": REDACTED, "data": _sealed(kept, call.origin, _REDACTED)}


def read_thinking(text: str, signature: str) -> Reasoning:
    """The reasoning in a client's `thinking` block."""
    kept, origin = _unsealed(signature, _SIGNATURE)
    return Reasoning(
        text,
        kept.get(_SIGNATURE) or None,
        kept.get(_REDACTED),
        kept.get(_ID),
        None if origin == _NOBODY else origin,
    )


def read_redacted(data: str) -> Reasoning | ToolCall:
    """What a client's `redacted_thinking` block stands for; a tool call without a name is one that
    stands elsewhere, and this its signature."""
    kept, origin = _unsealed(data, _REDACTED)
    if (call := kept.get(_CALL)) is not None:
        return ToolCall(call, "", signature=kept.get(_SIGNATURE), origin=origin)
    return Reasoning(redacted=kept.get(_REDACTED, ""), id=kept.get(_ID), origin=origin)


def sign_calls(parts: Iterable[Part]) -> tuple[Part, ...]:
    """The parts of a turn, each tool call with the signature that a block of its own kept."""
    found = tuple(parts)
    kept = {part.id: part for part in found if isinstance(part, ToolCall) and not part.name}
    return tuple(
        replace(part, signature=kept[part.id].signature, origin=kept[part.id].origin)
        if isinstance(part, ToolCall) and part.id in kept
        else part
        for part in found
        if not isinstance(part, ToolCall) or part.name
    )


def without_foreign(messages: object) -> object:
    """A client's messages without what only a provider of another dialect can read."""
    if not isinstance(messages, list):
        return messages
    kept: list[object] = []
    for message in messages:
        content = message.get("content") if isinstance(message, dict) else None
        if not isinstance(content, list):
            kept.append(message)
            continue
        own = [_without_citations(block) for block in content if not _is_foreign(block)]
        if own == content:
            kept.append(message)
        elif own:  # a message of nothing but another's reasoning says nothing, and would be refused
            kept.append({**message, "content": own})
    return kept


def _is_foreign(block: object) -> bool:
    match block:
        case {"type": "thinking", "signature": str(proof)}:
            return unseal(proof, NAME)[1] != NAME
        case {"type": "redacted_thinking", "data": str(proof)}:
            return unseal(proof, NAME)[1] != NAME
    return False


def _without_citations(block: object) -> object:
    """A text without the citations that no search of Anthropic's found."""
    citations = block.get(_CITATIONS) if isinstance(block, dict) else None
    if not isinstance(block, dict) or not isinstance(citations, list):
        return block
    own = [one for one in citations if not _is_unindexed(one)]
    if len(own) == len(citations):
        return block
    kept = {**block, _CITATIONS: own}
    return kept if own else {name: value for name, value in kept.items() if name != _CITATIONS}


def _is_unindexed(citation: object) -> bool:
    return isinstance(citation, dict) and citation.get("encrypted_index") == NO_INDEX


def _sealed(kept: dict[str, str | None], origin: str | None, plain: str) -> str:
    """`plain`: the member that is as good as all of them where it is the only one."""
    said = {name: value for name, value in kept.items() if value is not None}
    text = json.dumps(said) if set(said) - {plain} else said.get(plain, "")
    return seal(text, origin or _NOBODY, NAME)


def _unsealed(text: str, plain: str) -> tuple[dict[str, str], str]:
    """What was kept, and whose it is. JSON is told by its brace: no proof begins with one."""
    proof, origin = unseal(text, NAME)
    if origin != NAME and proof.startswith("{"):
        try:
            found = jsontext.parse(proof.encode())
        except ValueError:  # no JSON, or no Unicode: not what the gateway wrote
            found = None
        if isinstance(found, dict):
            said = {name: found.get(name) for name in _MEMBERS}
            return {name: it for name, it in said.items() if isinstance(it, str)}, origin
    return {plain: proof}, origin
