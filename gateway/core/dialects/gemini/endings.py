"""Why an answer ended, both ways.

Facts: https://ai.google.dev/api/generate-content#FinishReason. A call of a tool ends with `STOP`,
as any other whole answer. A blocked prompt has no candidate at all, but `promptFeedback`.
"""

from gateway.core.answers import Finish

_READ: dict[str, Finish] = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "CONTINUATION": "pause",
}
# The provider threw away what the model wrote: the answer is not whole, and no neutral word says
# that of an answer. It failed, as the official SDKs' users are told to treat it.
BROKEN = frozenset(
    {
        "MALFORMED_FUNCTION_CALL", "MALFORMED_RESPONSE", "UNEXPECTED_TOOL_CALL",
        "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE",
    }
)  # fmt: skip
# `refusal` and `pause` have no word here: `SAFETY` is the nearest to the one, `OTHER` to the other.
_WRITTEN: dict[Finish, str] = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
    "refusal": "SAFETY",
    "pause": "OTHER",
}
MALFORMED_CALL = "MALFORMED_FUNCTION_CALL"


def read_finish(reason: str, *, has_calls: bool) -> Finish:
    """Whatever is neither the model's own end nor a limit was cut off by the provider (`SAFETY`,
    `RECITATION`, `BLOCKLIST` ..., and those not known yet): `content_filter` is nearest."""
    found = _READ.get(reason, "content_filter")
    return "tool_calls" if found == "stop" and has_calls else found


def write_finish(finish: Finish, *, has_broken_call: bool) -> str:
    """A call that was not written to its end is none, and the reason says so."""
    if has_broken_call and finish in {"stop", "tool_calls"}:
        return MALFORMED_CALL
    return _WRITTEN[finish]
