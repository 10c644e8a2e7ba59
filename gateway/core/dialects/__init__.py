"""The dialects: a package each, by the names that policies use."""

from gateway.core.dialect import Dialect
from gateway.core.dialects.anthropic_messages import DIALECT as ANTHROPIC_MESSAGES
from gateway.core.dialects.gemini import DIALECT as GEMINI
from gateway.core.dialects.openai_chat import DIALECT as OPENAI_CHAT
from gateway.core.dialects.openai_responses import DIALECT as OPENAI_RESPONSES

__all__ = [
    "ANTHROPIC_MESSAGES",
    "DIALECTS",
    "GEMINI",
    "OPENAI_CHAT",
    "OPENAI_RESPONSES",
]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect for dialect in (OPENAI_CHAT, OPENAI_RESPONSES, ANTHROPIC_MESSAGES, GEMINI)
}
