"""What a host cannot do, and why: the one table. docs/hosts.md shows it; the tests expect it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Lack:
    """`test` is the part of a test's id that it makes fail. `what` and `why` are for readers."""

    host: str
    test: str
    what: str
    why: str


LACKS = (
    Lack(
        "memory",
        "chance_is_not_the_same_twice",
        "chance",
        "draws and ids are those that a test or `tiergate explain` says",
    ),
    Lack(
        "fastly",
        "a_fetch_that_is_cut_fails",
        "a classifier's answer that is cut",
        "waiting with a deadline hides how a body ended, under Viceroy; what is left of an answer"
        " is no JSON, so it counts as malformed",
    ),
)


def lack(host: str, test: str) -> Lack | None:
    """What this host lacks for a test, if anything."""
    return next((one for one in LACKS if one.host == host and one.test in test), None)
