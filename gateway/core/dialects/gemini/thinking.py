"""How much a model is to think.

Facts: https://ai.google.dev/gemini-api/docs/thinking. Gemini 3 and later take a level, and refuse a
level and a budget together; 2.5 takes a budget alone. The budgets for an effort are those of
Google's own OpenAI endpoint (https://ai.google.dev/gemini-api/docs/openai#thinking).
"""

import re

from gateway.core.conversation import Conversation, Json
from gateway.core.dialects.fields import wrong_value
from gateway.core.features import Feature

_TAKES_BUDGET_ONLY = re.compile(r"(?:models/)?gemini-2\b")
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}
_NONE, _ANY = 0, -1


def write_thinking(conversation: Conversation, model: str) -> Json | None:
    """Raises BadRequest for an effort that an older model has no budget for."""
    thinking = conversation.thinking
    if thinking is None:
        return None
    wanted: Json = {}
    if thinking.shows is not None:
        wanted["includeThoughts"] = thinking.shows
    if thinking.is_on is False or thinking.effort == "none":
        wanted["thinkingBudget"] = _NONE
    elif thinking.budget is not None:
        wanted["thinkingBudget"] = thinking.budget
    elif thinking.effort is not None and _TAKES_BUDGET_ONLY.match(model):
        budget = _BUDGETS.get(thinking.effort)
        if budget is None:
            path = conversation.uses.get(Feature.EFFORT, "reasoning effort")
            raise wrong_value(path, f"must be one of {', '.join(_BUDGETS)} for this model")
        wanted["thinkingBudget"] = budget
    elif thinking.effort is not None:
        wanted["thinkingLevel"] = thinking.effort.upper()
    elif thinking.is_on:
        wanted["thinkingBudget"] = _ANY
    return wanted or None
