"""Rules before judgement: a policy may route by what is known of a request without judging it.

A rule holds if each of its conditions does; the first that holds decides.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.core.chat import ChatRequest
from gateway.core.classifier.excerpt import make_excerpt
from gateway.core.http import Headers
from gateway.core.language import language_of
from gateway.core.policy import Policy, Rule, When

BYTES_A_TOKEN = 4  # about: nobody's tokenizer is in the guest


@dataclass(frozen=True, slots=True)
class Facts:
    """What rules may ask. `tokens`: about how many the request's body has. `language`: of the last
    user turn; None where it is not clear, or no rule asks for it."""

    images: bool
    tools: bool
    json_schema: bool
    tokens: int
    language: str | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)


def facts_of(policy: Policy, chat: ChatRequest) -> Facts:
    metadata = chat.source.values.get("metadata")
    return Facts(
        images=chat.has_images,
        tools=chat.has_tools,
        json_schema=chat.wants_schema,
        tokens=len(chat.source.data) // BYTES_A_TOKEN,
        language=_language(chat) if policy.asks_for_language else None,
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def first_that_holds(policy: Policy, facts: Facts, headers: Headers) -> Rule | None:
    return next((rule for rule in policy.rules if holds(rule.when, facts, headers)), None)


def holds(when: When, facts: Facts, headers: Headers) -> bool:
    """Whether all of its conditions do; those that are None ask nothing."""
    return (
        when.images in {None, facts.images}
        and when.tools in {None, facts.tools}
        and when.json_schema in {None, facts.json_schema}
        and (when.tokens_over is None or facts.tokens > when.tokens_over)
        and (not when.languages or facts.language in when.languages)
        and all(headers.get(name) == value for name, value in when.headers.items())
        and all(facts.metadata.get(name) == value for name, value in when.metadata.items())
    )


def _language(chat: ChatRequest) -> str | None:
    excerpt = make_excerpt(chat)
    return language_of(excerpt.turn) if excerpt else None
