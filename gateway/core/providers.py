"""The providers Tiergate knows by name: one row each. A policy may override any column.

`sends_usage_on_request`: the provider understands `stream_options.include_usage`; Mistral answers
422 to it and sends usage anyway. `passes` are request headers of the client that reach it.
`refuses` are members of the body by which a client could choose another model than the policy's:
a request that has one is not sent there.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a provider is and how it is spoken to. `key` names a secret; None: it needs no key."""

    name: str
    base_url: str
    key: str | None
    dialect: str = "openai-chat"
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    sends_usage_on_request: bool = True
    passes: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()


PROVIDERS: dict[str, Provider] = {
    row.name: row
    for row in (
        Provider(
            "openai",
            "https://api.openai.com/v1",
            "OPENAI_API_KEY",
            passes=("openai-organization", "openai-project"),
        ),
        Provider("inception", "https://api.inceptionlabs.ai/v1", "INCEPTION_API_KEY"),
        Provider("groq", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        Provider(
            "mistral",
            "https://api.mistral.ai/v1",
            "MISTRAL_API_KEY",
            sends_usage_on_request=False,
        ),
        Provider("deepseek", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
        Provider("xai", "https://api.x.ai/v1", "XAI_API_KEY"),
        Provider("together", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
        Provider("fireworks", "https://api.fireworks.ai/inference/v1", "FIREWORKS_API_KEY"),
        Provider(
            "openrouter",
            "https://openrouter.ai/api/v1",
            "OPENROUTER_API_KEY",
            passes=("http-referer", "x-title"),
            refuses=("models", "route", "preset"),
        ),
        Provider("cerebras", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
        Provider("ollama", "http://127.0.0.1:11434/v1", None),
        Provider("vllm", "http://127.0.0.1:8000/v1", None),
    )
}
