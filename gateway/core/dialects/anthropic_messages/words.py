"""What the dialect is called, and its words for how an answer ends.

Facts: https://platform.claude.com/docs/en/api/messages (`stop_reason`),
https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons. `refusal` is a
safeguard of Anthropic's that stepped in, not what a model says when it declines; the reason why may
stand in `stop_details`. A `stop_sequence` is named beside its reason.
"""

from gateway.core.answers import Finish

NAME = "anthropic-messages"
PATH = "/messages"
COUNT_PATH = "/messages/count_tokens"

STOP_SEQUENCE = "stop_sequence"
THREAD = "thread"

_READ: dict[str, Finish] = {
    "end_turn": "stop",
    STOP_SEQUENCE: "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",  # beta: the conversation was summarised, and the turn is to be resumed
    "refusal": "refusal",
}
_WRITTEN: dict[Finish, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",  # the one word for an answer that a safeguard ended
    "refusal": "refusal",
    "pause": "pause_turn",
}


def read_finish(reason: str) -> Finish:
    """What ended an answer. An unknown reason still says that it ended, on its own."""
    return _READ.get(reason, "stop")


def write_finish(
    finish: Finish | None, stopped_by: str | None, *, has_calls: bool, is_refusal: bool
) -> str | None:
    """The reason in this dialect's words.

    Its clients run tools only on `tool_use`, which not every provider says with a call
    (OpenAI: `stop` where `tool_choice` named the function). What a model says to decline is text
    here, and `refusal` is how a client can tell.
    """
    if finish is None:
        return None
    if finish == "stop":
        if has_calls:
            return "tool_use"
        if is_refusal:
            return "refusal"
        if stopped_by is not None:
            return STOP_SEQUENCE
    return _WRITTEN[finish]
