"""What an earlier turn at another provider left in a client's contents, which otherwise pass.

Google takes no signature but its own ("Corrupted thought signature"), and Gemini 3 and later want
one with the first call of each step, or the word that there is none; a step is what the model said
in a row (https://ai.google.dev/gemini-api/docs/thought-signatures).
"""

import re

from gateway.core.conversation import Json
from gateway.core.dialects.gemini import proofs
from gateway.core.dialects.gemini.wire import get, snake
from gateway.core.jsontext import JsonObject

_WANTS_SIGNED = re.compile(r"(?:models/)?gemini-(?:[3-9]|\d\d)")
_SIGNATURE = "thoughtSignature"
_CALLS = '"functionCall"', '"function_call"'


def may_need_change(source: JsonObject, model: str) -> bool:
    """Whether a body has anything that `as_own` could change."""
    has_calls = _wants_signed(model) and any(source.mentions(name) for name in _CALLS)
    return has_calls or source.mentions(proofs.SEALED)


def as_own(contents: object, model: str) -> object:
    """The contents as this model takes them; the same where nothing was wrong with them."""
    if not isinstance(contents, list):
        return contents
    kept: list[object] = []
    wants_signed = _wants_signed(model)
    is_first = True  # whether the next call is its step's first
    for content in contents:
        if not isinstance(content, dict) or content.get("role") != "model":
            kept.append(content)
            is_first = True
            continue
        parts = content.get("parts")
        own: list[object] = []
        for part in parts if isinstance(parts, list) else []:
            found = _without_foreign(part) if isinstance(part, dict) else part
            if isinstance(found, dict) and get(found, "functionCall") is not None:
                found = _signed(found) if is_first and wants_signed else found
                is_first = False
            if found is not None:
                own.append(found)
        if own == parts or not isinstance(parts, list):
            kept.append(content)
        elif own:  # a content of nothing but another's thoughts says nothing, and would be refused
            kept.append({**content, "parts": own})
    return kept


def _wants_signed(model: str) -> bool:
    return _WANTS_SIGNED.match(model) is not None


def _without_foreign(part: Json) -> Json | None:
    """None for another's thought."""
    signature = get(part, _SIGNATURE)
    if not isinstance(signature, str) or proofs.is_own(proofs.read(signature).origin):
        return part
    if part.get("thought") is True:
        return None
    return {
        name: value for name, value in part.items() if name not in {_SIGNATURE, snake(_SIGNATURE)}
    }


def _signed(call: Json) -> Json:
    return call if get(call, _SIGNATURE) is not None else {**call, _SIGNATURE: proofs.UNSIGNED}
