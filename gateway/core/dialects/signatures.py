"""Proofs of reasoning on their way through a client of another dialect.

A provider wants its signature back in the next turn, and takes no other's. A client returns what
stands where its own dialect keeps one: there it goes sealed with the dialect that it is from.
"""

_PREFIX = "tiergate."


def seal(signature: str, origin: str | None, own: str) -> str:
    """The signature as a client of the dialect `own` keeps it."""
    return signature if origin in {None, own} else f"{_PREFIX}{origin}.{signature}"


def unseal(text: str, own: str) -> tuple[str, str]:
    """The signature that a client of the dialect `own` returns, and the dialect it is from."""
    if text.startswith(_PREFIX):
        origin, dot, signature = text.removeprefix(_PREFIX).partition(".")
        if dot:
            return signature, origin
    return text, own
