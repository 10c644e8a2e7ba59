"""What the dialect is called, and the marks by which the gateway knows again what it made.

A client returns the items of an answer in its next turn. Those of another provider's answer have
ids and proofs that OpenAI never gave: it refuses them ("Item with id ... not found", "encrypted
content could not be verified"), so they must be found when such a turn goes to it.
"""

import re

from gateway.core.conversation import Json
from gateway.core.dialects.signatures import unseal

NAME = "openai-responses"
PATH = "/responses"

MADE = "tiergate"  # in every id that the gateway made, and before every proof that it sealed
_NOT_OF_AN_ID = re.compile(r"[^A-Za-z0-9_-]")  # "letters, numbers, underscores, or dashes"


def response_id(id: str | None) -> str:
    """An answer's id as this dialect's clients expect it."""
    found = _NOT_OF_AN_ID.sub("", id or MADE)
    return found if found.startswith("resp_") else f"resp_{found}"


def made_id(prefix: str, response: str, number: int) -> str:
    """An id for an item of an answer whose provider gave it none."""
    return f"{prefix}_{MADE}_{response.removeprefix('resp_')}_{number}"


def is_made(id: object) -> bool:
    return isinstance(id, str) and f"_{MADE}_" in id


def is_foreign(item: Json) -> bool:
    """Whether a reasoning item is another provider's: its id or its proof is the gateway's."""
    proof = item.get("encrypted_content")
    return is_made(item.get("id")) or (isinstance(proof, str) and unseal(proof, NAME)[1] != NAME)
