"""Proofs of reasoning in the place where this dialect keeps its own: `thoughtSignature`.

It stands on any kind of part, and is base64: the official SDKs decode it and encode it anew, in
the other alphabet (https://github.com/googleapis/python-genai, types.py: `bytes`). So a foreign
proof goes sealed, as JSON of all that its provider wants back, in base64.
"""

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass

from gateway.core import jsontext
from gateway.core.dialects.gemini.wire import NAME, standard_base64
from gateway.core.dialects.signatures import seal, unseal

SEALED = "dGllcmdhdGUu"  # how every seal, "tiergate.", begins in base64
_MEMBERS = ("signature", "redacted", "id")
# Google's words for "there is none": FAQ of
# https://ai.google.dev/gemini-api/docs/thought-signatures.
UNSIGNED = "skip_thought_signature_validator"
_NO_SIGNATURE = frozenset({UNSIGNED, "context_engineering_is_the_way_to_go"})


@dataclass(frozen=True, slots=True)
class Proof:
    """What stands for a model's reasoning: the members of the same names of `Reasoning`."""

    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    origin: str | None = None


def is_own(origin: str | None) -> bool:
    return origin in {None, NAME}


def write(proof: Proof) -> str | None:
    """The `thoughtSignature` for a client; None where there is nothing to keep."""
    if is_own(proof.origin):
        return proof.signature
    kept = {name: value for name in _MEMBERS if (value := getattr(proof, name)) is not None}
    if not kept:
        return None
    sealed = seal(json.dumps(kept), proof.origin, NAME)
    return b64encode(sealed.encode()).decode()


def read(text: str) -> Proof:
    """What a client returned, or a provider gave."""
    if text in _NO_SIGNATURE:
        return Proof()
    if text.startswith(SEALED):
        try:
            sealed = b64decode(standard_base64(text)).decode()
            kept, origin = unseal(sealed, NAME)
            found = jsontext.parse(kept.encode())
        except ValueError:  # of base64, of UTF-8, of JSON: only somebody else's signature
            return Proof(text, origin=NAME)
        if isinstance(found, dict) and origin != NAME:
            values = [found.get(name) for name in _MEMBERS]
            signature, redacted, id_ = [
                value if isinstance(value, str) else None for value in values
            ]
            return Proof(signature, redacted, id_, origin)
    return Proof(text, origin=NAME)
