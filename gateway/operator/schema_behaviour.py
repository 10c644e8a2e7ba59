"""Tables of the policy file that say how the gateway behaves: who may call, who judges, how long
anything may take. The file itself is in schema.py."""

from pydantic import BaseModel, ConfigDict, Field, model_validator

from gateway.core.policy import ClassifierMode, Permission
from gateway.operator.fields import (
    HeaderValue,
    JudgeOptions,
    LanguageCode,
    Milliseconds,
    ModelId,
    Origin,
    RuleHeader,
    RuleName,
    SecretName,
    TierOrModel,
    broken,
)


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

    mode: ClassifierMode = Field(
        default="model",
        description="`local`: the embedded model, in well under a millisecond, without a call."
        " `model`: one request to `model`, asked with the tiers' descriptions. `hybrid`: that"
        " request only where the embedded model is not sure. `off`: no judging, every `auto`"
        " request goes to the default tier.",
        examples=["hybrid"],
    )
    model: ModelId | None = Field(
        default=None,
        description="Who judges, as `provider/model`. Required for `model` and `hybrid`. It must"
        " support structured output and should answer well within `timeout_ms`.",
        examples=["inception/mercury-2"],
    )
    min_confidence: float = Field(
        default=0.6,
        ge=0,
        le=1,
        description="For `hybrid`: where the embedded model is less sure, `model` is asked. From 0"
        " to 1, the share of such judgements that is right.",
        examples=[0.7],
    )
    lean: float = Field(
        default=0.0,
        ge=-1,
        le=1,
        description="For `local` and `hybrid`: -1 sends whatever is in doubt to a cheaper tier, 1"
        " to a better one. docs/tiers.md has a table of what that trades.",
        examples=[0.3],
    )
    weights: str | None = Field(
        default=None,
        description="A weights file of your own, made by `tiergate train`; its path from this"
        " file's folder. Without it the embedded model judges as it came.",
        examples=["ours.weights"],
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


class WhenTable(Table):
    """Conditions of a rule: all that are written must hold."""

    images: bool | None = Field(
        default=None, description="The request shows images, or none.", examples=[True]
    )
    tools: bool | None = Field(
        default=None, description="The request offers tools, or none.", examples=[True]
    )
    json_schema: bool | None = Field(
        default=None,
        description="The request asks for an answer by a JSON Schema, or does not.",
        examples=[False],
    )
    tokens_over: int | None = Field(
        default=None,
        ge=0,
        le=100_000_000,
        description="The request has more tokens, about: a quarter of its bytes, those of inline"
        " images too.",
        examples=[50_000],
    )
    languages: list[LanguageCode] = Field(
        default_factory=list,
        description="The last user turn is in one of these languages, by ISO 639-1. It holds only"
        " where the language is clear.",
        examples=[["ja", "ko"]],
    )
    headers: dict[RuleHeader, HeaderValue] = Field(
        default_factory=dict,
        description="Request headers that have exactly these values. A client can send what it"
        " likes: nothing that must be kept from it may hang on them.",
        examples=[{"x-team": "support"}],
    )
    metadata: dict[str, str] = Field(
        default_factory=dict,
        description="Members of the request's `metadata` that have exactly these values.",
        examples=[{"feature": "autocomplete"}],
    )

    @model_validator(mode="after")
    def _says_something(self) -> "WhenTable":
        if all(value in (None, [], {}) for value in self.model_dump().values()):
            raise broken("must have a condition: an empty one would hold for every request")
        return self


class RuleTable(Table):
    """Where requests go that need no judging. The first rule that holds decides."""

    name: RuleName = Field(
        description="What the decision record calls it: letters, digits, `-` and `_`.",
        examples=["long-input"],
    )
    when: WhenTable = Field(
        description="Its conditions, a table.", examples=[{"tokens_over": 50_000}]
    )
    to: TierOrModel = Field(
        description="A tier's name; or `provider/model`, the one model that serves them: it must be"
        " in a tier, or under `[models]`.",
        examples=["fast"],
    )


class TimeoutsTable(Table):
    """Deadlines of an attempt, in milliseconds. `total_ms` is the whole request's."""

    connect_ms: Milliseconds = Field(
        default=5000,
        description="Milliseconds to reach the provider, TLS included.",
        examples=[3000],
    )
    first_content_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds until a stream says something. Default for a tier named"
        " `reasoning`: 300000. It is not about whole answers.",
        examples=[30_000],
    )
    between_bytes_ms: Milliseconds = Field(
        default=20_000,
        description="The longest silence of a stream that has said something, in milliseconds.",
        examples=[10_000],
    )
    whole_ms: Milliseconds = Field(
        default=300_000,
        description="Milliseconds for an answer that is not streamed, of one attempt: it is silent"
        " while the model thinks. Default for a tier named `reasoning`: 600000. Less than"
        " `total_ms` leaves time for another target. A stream that goes on with nothing but pings"
        " has so long, too.",
        examples=[60_000],
    )
    total_ms: Milliseconds = Field(
        default=600_000,
        description="Milliseconds for the whole request, all attempts together. A client may ask"
        " for less with `x-tiergate-timeout-ms`.",
        examples=[300_000],
    )
    min_tokens_per_second: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="A stream that says less, over ten seconds, is too slow and fails. 0: never.",
        examples=[2.0],
    )


class TierTimeoutsTable(Table):
    """Deadlines of one tier, in milliseconds; what is not named is that of `[timeouts]`."""

    connect_ms: Milliseconds | None = Field(
        default=None, description="As in `[timeouts]`.", examples=[3000]
    )
    first_content_ms: Milliseconds | None = Field(
        default=None,
        description="As in `[timeouts]`. For a tier named `reasoning` 300000, if neither says it.",
        examples=[300_000],
    )
    between_bytes_ms: Milliseconds | None = Field(
        default=None, description="As in `[timeouts]`.", examples=[60_000]
    )
    whole_ms: Milliseconds | None = Field(
        default=None,
        description="As in `[timeouts]`. For a tier named `reasoning` 600000, if neither says it.",
        examples=[600_000],
    )
    total_ms: Milliseconds | None = Field(
        default=None, description="As in `[timeouts]`.", examples=[900_000]
    )
    min_tokens_per_second: float | None = Field(
        default=None, ge=0, le=1000, description="As in `[timeouts]`.", examples=[0.0]
    )


class HealthTable(Table):
    """When a target is not asked for a while: each model at each provider by itself."""

    min_requests: int = Field(
        default=5,
        ge=1,
        le=100,
        description="Attempts that must have been seen before a share of them says anything.",
        examples=[10],
    )
    failure_share: float = Field(
        default=0.5,
        gt=0,
        le=1,
        description="The share of failed attempts, from 0 to 1, at which a target is closed. A"
        " refused key closes it at once.",
        examples=[0.8],
    )
    window_ms: Milliseconds = Field(
        default=60_000,
        description="Milliseconds for which an attempt counts.",
        examples=[30_000],
    )
    cooldown_ms: Milliseconds = Field(
        default=30_000,
        description="Milliseconds until one request tries it again.",
        examples=[10_000],
    )
