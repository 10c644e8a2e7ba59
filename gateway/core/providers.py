"""The providers Tiergate knows by name: one row each. A policy may override any column.

A new provider is a new row; a quirk of one belongs into a column, never into an `if` on its name.
"""

from dataclasses import dataclass
from typing import Literal, get_args

from gateway.core.dialect import Manner

LimitMember = Literal["max_completion_tokens", "max_tokens"]
Signing = Literal["key"]

LIMIT_MEMBERS: tuple[LimitMember, ...] = get_args(LimitMember)
SIGNINGS: tuple[Signing, ...] = get_args(Signing)


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is and how it is spoken to.

    dialect: what it is spoken to in. other_dialects: what it understands as well, so that a client
        of one of them is not translated.
    key: names a secret; None: it needs no key. It is sent in `key_header`, behind `key_prefix`.
    signing: how a request proves whose it is (`gateway/outgoing.py` has the steps).
    headers: sent with each request, as `name: value`, unless the client's own may pass.
    passes: request headers of the client that reach it.
    path: stands between base URL and the dialect's own path, {model} in it being the model's name.
    query: stands behind that.
    refuses: members of the body by which a client could choose another model than the policy's: a
        request that has one is not sent there.
    sends_usage_on_request: it understands `stream_options.include_usage`; Mistral answers 422 to it
        and sends usage anyway.
    limit_member, has_developer: the member for the token limit and whether there is a role
        `developer`, where a request is written in OpenAI's chat dialect.
    """

    name: str
    base_url: str
    key: str | None
    dialect: str = "openai-chat"
    other_dialects: tuple[str, ...] = ()
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    signing: Signing = "key"
    headers: tuple[str, ...] = ()
    passes: tuple[str, ...] = ()
    path: str = ""
    query: str = ""
    refuses: tuple[str, ...] = ()
    sends_usage_on_request: bool = True
    limit_member: LimitMember = "max_completion_tokens"
    has_developer: bool = True

    def dialect_for(self, client: str) -> str:
        """The dialect in which it is sent what a client of that dialect asks."""
        return client if client in self.other_dialects else self.dialect

    @property
    def manner(self) -> Manner:
        return Manner(self.limit_member, self.has_developer, self.sends_usage_on_request)


def _older(
    name: str, base_url: str, key: str | None, *, sends_usage_on_request: bool = True
) -> Provider:
    """A speaker of OpenAI's chat dialect as it was before `max_completion_tokens` and the role
    `developer`. Those who have learned the newer words since take the older as well."""
    return Provider(
        name,
        base_url,
        key,
        sends_usage_on_request=sends_usage_on_request,
        limit_member="max_tokens",
        has_developer=False,
    )


PROVIDERS: dict[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            "openai",
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            other_dialects=("openai-responses",),
            passes=("openai-organization", "openai-project"),
        ),
        # https://platform.claude.com/docs/en/api/versioning
        Provider(
            "anthropic",
            "https://api.anthropic.com/v1",
            "ANTHROPIC_API_KEY",
            dialect="anthropic-messages",
            key_header="x-api-key",
            key_prefix="",
            headers=("anthropic-version: 2023-06-01",),
            passes=("anthropic-version", "anthropic-beta"),
        ),
        # https://ai.google.dev/api
        Provider(
            "google",
            "https://generativelanguage.googleapis.com/v1beta",
            "GEMINI_API_KEY",
            dialect="gemini",
            key_header="x-goog-api-key",
            key_prefix="",
        ),
        # A policy gives its base URL, https://RESOURCE.openai.azure.com/openai; a model is called
        # by its deployment's name. The version is the last dated one that is not a preview:
        # https://learn.microsoft.com/azure/foundry/openai/api-version-lifecycle
        Provider(
            "azure-openai",
            "",
            "AZURE_OPENAI_API_KEY",
            key_header="api-key",
            key_prefix="",
            path="/deployments/{model}",
            query="api-version=2024-10-21",
        ),
        _older("inception", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY"),
        _older("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        _older(
            "mistral", "https://api.mistral.ai/v1", "MISTRAL_API_KEY", sends_usage_on_request=False
        ),
        _older("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
        _older("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
        _older("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        _older("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        Provider(
            "openrouter",
            "https://openrouter.ai/api/v1",
            "OPENROUTER_API_KEY",
            passes=("http-referer", "x-title"),
            refuses=("models", "route", "preset"),
            limit_member="max_tokens",
        ),
        # https://inference-docs.cerebras.ai/api-reference/chat-completions
        Provider("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY", has_developer=False),
        _older("ollama", "http://127.0.0.1:11434/v1", None),
        _older("vllm", "http://127.0.0.1:8000/v1", None),
    )
}
