"""The policy file as operators write it: every field, its default, an example.

What is not declared here is refused. The descriptions are the reference: policies/README.md and
the JSON Schema are made from them. The rules of single values are in fields.py.
"""

import json
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from gateway.core.policy import OnUnsupported, Permission, UnknownModel
from gateway.core.providers import LimitMember, Signing
from gateway.operator.fields import (
    BaseUrl,
    DefaultTier,
    Description,
    FixedHeader,
    JudgeMode,
    JudgeOptions,
    KeyHeader,
    KeyPrefix,
    Milliseconds,
    ModelId,
    Origin,
    PassedHeader,
    PathPattern,
    PolicyName,
    ProviderName,
    Query,
    SecretName,
    TierName,
    Usd,
    broken,
)

DialectName = Literal["openai-chat", "openai-responses", "anthropic-messages", "gemini"]

MOST_ATTEMPTS = 10  # Each may take the whole of its timeout; more is a queue, not a failover.
HEAVIEST = 1_000_000


def _target_table(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


class Table(BaseModel):
    """What all tables have in common: nothing undeclared, nothing converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class ClientTable(Table):
    """Who may call. Without it anyone who reaches the address may, and `tiergate serve` binds
    loopback only."""

    keys: list[SecretName] = Field(
        min_length=1,
        description="NAMES of secrets. A request must carry the value of one of them as"
        " `Authorization: Bearer ...`. Several let you change a key without a pause.",
        examples=[["TIERGATE_KEY"]],
    )


class HeadersTable(Table):
    """What clients may decide for themselves: `allow` does it, `ignore` goes on as if they had
    not asked, `reject` answers 403."""

    bypass: Permission = Field(
        default="ignore",
        description="`x-tiergate-bypass: true`: no classification; the body's model if the policy"
        " lists it, else the default tier.",
        examples=["allow"],
    )
    tier: Permission = Field(
        default="ignore",
        description="`x-tiergate-tier: <tier>` and the model `tiergate/<tier>`: that tier.",
        examples=["allow"],
    )
    direct: Permission = Field(
        default="ignore",
        description="The model `provider/model`, if the policy lists it: exactly that one.",
        examples=["allow"],
    )
    stream_guard: Permission = Field(
        default="ignore",
        description="`x-tiergate-stream-guard: full|content`: hold a stream back until it is"
        " known to be whole, or until its first content.",
        examples=["reject"],
    )


class CorsTable(Table):
    """Browsers. Without it no page of another origin can read an answer."""

    origins: list[Origin] = Field(
        default_factory=list,
        description='Origins that may call: scheme://host[:port], or "*" for all. Empty: off.',
        examples=[["https://chat.example.com"]],
    )


class ClassifierTable(Table):
    """How a request's tier is judged. Without it nothing is judged: the default tier answers."""

    mode: JudgeMode = Field(
        default="model",
        description="`model`: one request to `model`, asked with the tiers' descriptions. `off`:"
        " no judging, every `auto` request goes to the default tier.",
        examples=["model"],
    )
    model: ModelId | None = Field(
        default=None,
        description="Who judges, as `provider/model`. Required for mode `model`. It must support"
        " structured output and should answer well within `timeout_ms`.",
        examples=["inception/mercury-2"],
    )
    timeout_ms: Milliseconds = Field(
        default=800,
        description="Milliseconds the judge has. It is asked once; after that the default tier"
        " answers, so this is the most that judging can add to a request.",
        examples=[800],
    )
    cooldown_ms: Milliseconds = Field(
        default=10_000,
        description="Milliseconds for which a judge that keeps failing is not asked again.",
        examples=[10_000],
    )
    options: JudgeOptions = Field(
        default_factory=dict,
        description="More members for the request to the judge, as its provider documents them."
        " Low reasoning effort keeps it fast. Not `model`, `messages`, `response_format` or"
        " `stream`, which are the gateway's.",
        examples=[{"reasoning_effort": "low"}],
    )


class TimeoutsTable(Table):
    """Deadlines of an attempt, in milliseconds. `total_ms` is the whole request's."""

    connect_ms: Milliseconds = Field(
        default=5000,
        description="Milliseconds to reach the provider, TLS included.",
        examples=[3000],
    )
    first_byte_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds until the head of a streamed answer. Whole answers have what"
        " remains of `total_ms`: they are silent while the model thinks.",
        examples=[30_000],
    )
    between_bytes_ms: Milliseconds = Field(
        default=60_000,
        description="The longest silence inside a stream, in milliseconds.",
        examples=[20_000],
    )
    total_ms: Milliseconds = Field(
        default=600_000,
        description="Milliseconds for the whole request, all attempts together. A client may ask"
        " for less with `x-tiergate-timeout-ms`.",
        examples=[300_000],
    )


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


class TargetTable(Table):
    """A model at a provider, and its share of the tier's requests."""

    model: ModelId = Field(
        description="`provider/model`; the model may have slashes of its own.",
        examples=["openai/gpt-4o-mini"],
    )
    weight: int = Field(
        default=1,
        ge=0,
        le=HEAVIEST,
        description="Its share: with weights 3 and 1 the first gets three requests of four. 0:"
        " only when all others have failed.",
        examples=[3],
    )


class TierTable(Table):
    """A level of difficulty and who answers it. Any names, cheapest first."""

    name: TierName = Field(
        description="What headers, clients and the classifier call it: lower-case letters, digits,"
        " `-` and `_`; not `auto`.",
        examples=["fast"],
    )
    description: Description = Field(
        description="What belongs here, in words: the classifier is asked with them.",
        examples=["Lookups, short rewrites, classification, small talk"],
    )
    targets: list[
        Annotated[
            TargetTable, BeforeValidator(_target_table, json_schema_input_type=str | TargetTable)
        ]
    ] = Field(
        min_length=1,
        description='Who answers: `"provider/model"`, or a table with `model` and `weight`. The'
        " others stand in when one fails.",
        examples=[["groq/llama-3.1-8b-instant", {"model": "openai/gpt-4o-mini", "weight": 3}]],
    )

    @field_validator("targets")
    @classmethod
    def _can_be_picked(cls, targets: list[TargetTable]) -> list[TargetTable]:
        models = [target.model for target in targets]
        if twice := next((model for model in models if models.count(model) > 1), None):
            raise broken(f"must list a model once, and lists {twice} twice: give it a weight")
        if all(target.weight == 0 for target in targets):
            raise broken("must have a target with a weight above 0")
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


class PolicyFile(Table):
    """The routing policy of a Tiergate gateway."""

    name: PolicyName = Field(
        description="Answers carry it, with the version, as `x-tiergate-policy: name@version`.",
        examples=["production"],
    )
    default_tier: DefaultTier = Field(
        description="The tier that answers when nothing else decides, and whenever judging fails.",
        examples=["fast"],
    )
    unknown_model: UnknownModel = Field(
        default="classify",
        description="A client names a model that the policy does not list: `classify` it as if it"
        " had written `auto` (an unchanged application works), or `reject` it with 404.",
        examples=["reject"],
    )
    on_unsupported: OnUnsupported = Field(
        default="reject",
        description="A request has a parameter that a target's dialect cannot carry: `reject` skips"
        " that target, and answers 400 if no other is left; `drop` leaves the parameter out and"
        " names it in `x-tiergate-dropped`. What is said, tools and output formats are never left"
        " out.",
        examples=["drop"],
    )
    max_attempts: int = Field(
        default=3,
        ge=1,
        le=MOST_ATTEMPTS,
        description="How many targets are tried for a request before it fails.",
        examples=[2],
    )
    client: ClientTable | None = Field(default=None, description="Who may call.")
    headers: HeadersTable = Field(
        default=HeadersTable(), description="What clients may decide for themselves."
    )
    classifier: ClassifierTable | None = Field(default=None, description="How a tier is judged.")
    timeouts: TimeoutsTable = Field(
        default=TimeoutsTable(), description="Deadlines, in milliseconds."
    )
    cors: CorsTable | None = Field(default=None, description="Which browser pages may call.")
    providers: dict[ProviderName, ProviderTable] = Field(
        default_factory=dict, description="Providers of your own, or changes to known ones."
    )
    tiers: list[TierTable] = Field(min_length=1, description="The tiers, cheapest first.")
    embeddings: EmbeddingsTable | None = Field(default=None, description="Who serves embeddings.")
    models: dict[ModelId, ModelTable] = Field(
        default_factory=dict, description="More models, and what models can take."
    )
    prices: dict[ModelId, PriceTable] = Field(
        default_factory=dict, description="Prices of your own."
    )

    @field_validator("classifier")
    @classmethod
    def _has_a_judge(cls, classifier: ClassifierTable | None) -> ClassifierTable | None:
        if classifier and classifier.mode == "model" and classifier.model is None:
            raise broken("must have a `model` for mode 'model', like inception/mercury-2")
        return classifier


def json_schema() -> str:
    """The JSON Schema of policy files, as text that ends in a newline."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PolicyFile.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
