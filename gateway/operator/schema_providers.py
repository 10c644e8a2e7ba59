"""Tables of the policy file about providers and their models. The file itself is in schema.py."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from gateway.core.providers import LimitMember, Signing
from gateway.operator.fields import (
    BaseUrl,
    FixedHeader,
    KeyHeader,
    KeyPrefix,
    ModelId,
    PassedHeader,
    PathPattern,
    Query,
    SecretName,
    Usd,
    broken,
)
from gateway.operator.schema_behaviour import Table

DialectName = Literal["openai-chat", "openai-responses", "anthropic-messages", "gemini"]


class ProviderTable(Table):
    """One provider, as `[providers.NAME]`. For the names that Tiergate knows, every field is
    optional and the known row is the default; any other name needs `base_url`."""

    dialect: DialectName | None = Field(
        default=None,
        description="The wire format it speaks. It also decides the defaults of a provider of your"
        " own: where its key goes, and which version it is told. Default: `openai-chat`.",
        examples=["anthropic-messages"],
    )
    other_dialects: list[DialectName] | None = Field(
        default=None,
        description="What it speaks besides: a client of one of these is passed through instead of"
        " translated.",
        examples=[["openai-responses"]],
    )
    base_url: BaseUrl | None = Field(
        default=None,
        description="Where it is: the part before `/chat/completions` (`/responses`, `/messages`,"
        " `/models/...`), without query, fragment or password. `http://` to another machine is"
        " allowed, with a warning.",
        examples=["https://llm.example.com/v1"],
    )
    path: PathPattern | None = Field(
        default=None,
        description="What stands between `base_url` and the dialect's own path; `{model}` in it is"
        " the model's name, as Azure's deployments want it.",
        examples=["/deployments/{model}"],
    )
    query: Query | None = Field(
        default=None,
        description="What is added to the address behind `?`.",
        examples=["api-version=2024-10-21"],
    )
    key: SecretName | None = Field(
        default=None,
        description="The NAME of the secret that holds its key: an environment variable locally."
        " A provider of your own without it is called without a key.",
        examples=["HOUSE_KEY"],
    )
    key_header: KeyHeader | None = Field(
        default=None,
        description="The request header that carries the key. Default: `authorization`;"
        " `x-api-key` for Anthropic's dialect, `x-goog-api-key` for Gemini's.",
        examples=["api-key"],
    )
    key_prefix: KeyPrefix | None = Field(
        default=None,
        description="What stands before the key in that header. Default: `Bearer ` (with its"
        " space) in `authorization` and for OpenAI's dialects, else nothing.",
        examples=[""],
    )
    signing: Signing | None = Field(
        default=None,
        description="How a request proves whose it is: `key` sends the key in its header.",
        examples=["key"],
    )
    headers: list[FixedHeader] | None = Field(
        default=None,
        description="Headers that it is always sent, as `name: value` with the name in lower case."
        " They are no place for keys. Default for Anthropic's dialect: its version.",
        examples=[["anthropic-version: 2023-06-01"]],
    )
    sends_usage_on_request: bool | None = Field(
        default=None,
        description="Whether it understands `stream_options.include_usage`, which the gateway then"
        " adds to streamed requests to learn their cost. Default: true.",
        examples=[False],
    )
    passes: list[PassedHeader] | None = Field(
        default=None,
        description="Request headers of the client that reach it, in lower case.",
        examples=[["http-referer", "x-title"]],
    )
    refuses: list[Annotated[str, Field(min_length=1)]] | None = Field(
        default=None,
        description="Members of the request body by which a client could choose another model"
        " than the policy's: a request that has one is not sent to this provider.",
        examples=[["models", "route"]],
    )
    limit_member: LimitMember | None = Field(
        default=None,
        description="Its member for the token limit, where a client of another dialect is"
        " translated to `openai-chat`. Default: `max_completion_tokens`.",
        examples=["max_tokens"],
    )
    has_developer: bool | None = Field(
        default=None,
        description="Whether it knows the role `developer`, where a client is translated to"
        " `openai-chat`; else `system` is written. Default: true.",
        examples=[False],
    )


class EmbeddingsTable(Table):
    """Who serves `POST /v1/embeddings`. Without it nobody does."""

    targets: list[ModelId] = Field(
        min_length=1,
        description="Providers of dialect `openai-chat`. A client names one, or its model; `auto`"
        " and no name mean the first. Vectors of two models cannot be compared: only targets with"
        " the same model stand in for each other.",
        examples=[["openai/text-embedding-3-small"]],
    )

    @field_validator("targets")
    @classmethod
    def _once(cls, targets: list[str]) -> list[str]:
        if twice := next((each for each in targets if targets.count(each) > 1), None):
            raise broken(f"must list a model once, and lists {twice} twice")
        return targets


class ModelTable(Table):
    """A model that clients may name although no tier uses it, or what a target cannot take."""

    images: bool = Field(
        default=True,
        description="Whether it takes images. Requests with images skip it if not.",
        examples=[False],
    )
    tools: bool = Field(
        default=True,
        description="Whether it takes tools. Requests with tools skip it if not.",
        examples=[False],
    )
    context: int | None = Field(
        default=None,
        ge=1,
        le=100_000_000,
        description="How many tokens it takes. After a refusal for length only a model with more is"
        " asked. Publishing fills it from the `genai-prices` package, where that knows the model.",
        examples=[128_000],
    )


class PriceTable(Table):
    """What a model costs. Publishing fills what is missing here from the `genai-prices` package,
    where that knows the model at that provider; a cost that nobody knows is left out, never 0."""

    input: Usd = Field(description="USD per million input tokens.", examples=[0.15])
    output: Usd = Field(
        description="USD per million output tokens, reasoning included.", examples=[0.60]
    )
    cached_input: Usd | None = Field(
        default=None,
        description="USD per million input tokens that the provider had cached. Without it they"
        " cost what others do.",
        examples=[0.075],
    )
    cache_write: Usd | None = Field(
        default=None,
        description="USD per million input tokens that the provider put into its cache. Without it"
        " they cost what others do.",
        examples=[3.75],
    )
