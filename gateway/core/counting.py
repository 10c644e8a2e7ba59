"""Counts of tokens before a request: https://platform.claude.com/docs/en/api/messages-count-tokens.

Only providers of that dialect have such an endpoint, and each of their models counts its own way:
nothing is estimated. Clients ask often, so no judge is asked for it.
"""

from gateway.core.chat import ChatRequest
from gateway.core.decide import Controls, Decision, check_kept, default
from gateway.core.decide import decide as decide_chat
from gateway.core.dialects import ANTHROPIC_MESSAGES
from gateway.core.errors import NotSupported
from gateway.core.plan import candidates_of
from gateway.core.policy import Policy, Target


def decide(
    policy: Policy, chat: ChatRequest, controls: Controls
) -> tuple[Decision, tuple[Target, ...]]:
    """Who could count it. Raises NotSupported where nobody can."""
    decision = decide_chat(policy, chat, controls)
    check_kept(decision, ANTHROPIC_MESSAGES.find_kept(chat))
    decision = decision or default(policy, "only_counted")
    name = ANTHROPIC_MESSAGES.name
    candidates = tuple(
        [
            target
            for target in candidates_of(policy, decision)
            if policy.providers[target.provider].dialect_for(name) == name
        ]
    )
    if not candidates:
        raise NotSupported(
            "Tokens are counted by providers of Anthropic's dialect, and no target here is one."
        )
    return decision, candidates
