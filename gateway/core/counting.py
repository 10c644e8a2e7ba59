"""Counts of tokens before a request: https://platform.claude.com/docs/en/api/messages-count-tokens.

Only providers of that dialect have such an endpoint, and each of their models counts its own way:
nothing is estimated. Clients ask often, so no judge is asked for it.
"""

from gateway.core.chat import ChatRequest
from gateway.core.decide import Controls, Decision, check_kept, default
from gateway.core.decide import decide as decide_chat
from gateway.core.dialects import ANTHROPIC_MESSAGES
from gateway.core.errors import NotSupported
from gateway.core.plan import steps_of
from gateway.core.policy import Policy, Step


def decide(policy: Policy, chat: ChatRequest, controls: Controls) -> tuple[Decision, list[Step]]:
    """Who could count it. Raises NotSupported where nobody can."""
    decision = decide_chat(policy, chat, controls)
    check_kept(decision, ANTHROPIC_MESSAGES.find_kept(chat))
    decision = decision or default(policy, "only_counted")
    name = ANTHROPIC_MESSAGES.name
    tier, targets = next(steps_of(policy, decision))
    able = [each for each in targets if policy.providers[each.provider].dialect_for(name) == name]
    if not able:
        raise NotSupported(
            "Tokens are counted by providers of Anthropic's dialect, and no target here is one."
        )
    return decision, [(tier, tuple(able))]
