"""How much a model is to think.

Facts: https://ai.google.dev/gemini-api/docs/thinking. Gemini 3 and later take a level, and refuse a
level and a budget together; 2.5 takes a budget alone. The budgets for an effort are those of
Google's own OpenAI endpoint (https://ai.google.dev/gemini-api/docs/openai#thinking). Thoughts are
not shown unless that is asked for; elsewhere thinking that is turned on is shown unless it is not.
"""

import re

from gateway.core.conversation import Conversation, Json
from gateway.core.dialects.fields import wrong_value
from gateway.core.features import Feature

_TAKES_BUDGET_ONLY = re.compile(r"(?:models/)?gemini-2\b")
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
# https://ai.google.dev/api/generate-content#ThinkingLevel, and the Python SDK, which is ahead of it
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "XHIGH"}
_NONE, _ANY = 0, -1


def write_thinking(conversation: Conversation, model: str) -> Json | None:
    """Raises BadRequest for an effort that the model has no level or budget for."""
    thinking = conversation.thinking
    if thinking is None:
        return None
    wanted: Json = {}
    shows = thinking.is_on or None if thinking.shows is None else thinking.shows
    if shows is not None:
        wanted["includeThoughts"] = shows
    if thinking.is_on is False or thinking.effort == "none":
        wanted["thinkingBudget"] = _NONE
    elif thinking.budget is not None:
        wanted["thinkingBudget"] = thinking.budget
    elif thinking.effort is not None and _TAKES_BUDGET_ONLY.match(model):
        wanted["thinkingBudget"] = _known(_BUDGETS, thinking.effort, conversation)
    elif thinking.effort is not None:
        wanted["thinkingLevel"] = _known(_LEVELS, thinking.effort, conversation)
    elif thinking.is_on:
        wanted["thinkingBudget"] = _ANY
    return wanted or None


def _known[T](values: dict[str, T], effort: str, conversation: Conversation) -> T:
    if effort in values:
        return values[effort]
    path = conversation.uses.get(Feature.EFFORT, "reasoning effort")
    known = ", ".join(dict.fromkeys(["none", *values]))
    raise wrong_value(path, f"must be one of {known} for this model")
