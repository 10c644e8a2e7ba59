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
        "wasmtime",
        "a_certificate_of_a_trusted_authority",
        "a provider whose certificate is of an authority of your own",
        "its command line has no option for it: it trusts the public ones",
    ),
    Lack(
        "fastly",
        "test_before_the_head[stream]",
        "the record of a stream whose client left before its head",
        "Viceroy ends the sandbox that sends a head to nobody; a whole answer's record is written"
        " before its head, a stream's cannot be: it is not known yet",
    ),
)


def lack(host: str, test: str) -> Lack | None:
    """What this host lacks for a test, if anything."""
    return next((one for one in LACKS if one.host == host and one.test in test), None)
