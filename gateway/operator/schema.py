"""The policy file as operators write it: every field, its default, an example.

What is not declared here is refused. The descriptions are the reference: policies/README.md and
the JSON Schema are made from them. The rules of single values are in fields.py.
"""

import json
from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from gateway.core.policy import Level, OnUnsupported, StreamGuard, UnknownModel
from gateway.operator.fields import (
    DefaultTier,
    Description,
    ModelId,
    PolicyName,
    ProviderName,
    TierName,
    broken,
)
from gateway.operator.schema_behaviour import (
    ClassifierTable,
    ClientTable,
    CorsTable,
    HeadersTable,
    HealthTable,
    RuleTable,
    Table,
    TierTimeoutsTable,
    TimeoutsTable,
)
from gateway.operator.schema_providers import (
    EmbeddingsTable,
    ModelTable,
    PriceTable,
    ProviderTable,
)

MOST_ATTEMPTS = 10  # Each may take the whole of its timeout; more is a queue, not a failover.
HEAVIEST = 1_000_000


def _target_table(value: object) -> object:
    return {"model": value} if isinstance(value, str) else value


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
    level: Level | None = Field(
        default=None,
        description="Which level of difficulty it is for, as the embedded model tells them apart:"
        " `fast`, `balanced`, `quality` or `reasoning`. Needed only if the tier's name is none of"
        " them. A level that no tier has is served by the next higher one's tier.",
        examples=["balanced"],
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

    timeouts: TierTimeoutsTable | None = Field(
        default=None,
        description="Deadlines of this tier alone.",
        examples=[{"first_content_ms": 300_000}],
    )
    stream_guard: StreamGuard | None = Field(
        default=None,
        description="As at the top of the file, for this tier alone.",
        examples=["full"],
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
        default=4,
        ge=1,
        le=MOST_ATTEMPTS,
        description="How many attempts are made for a request in all, at every target together.",
        examples=[2],
    )
    retries: int = Field(
        default=1,
        ge=0,
        le=MOST_ATTEMPTS - 1,
        description="How often a target that was busy or out of reach is asked again, once the"
        " others of its tier have been. Waits as it says in `retry-after`, if that is short.",
        examples=[2],
    )
    escalate: bool = Field(
        default=True,
        description="Whether a higher tier answers where no target of the decided one does; never a"
        " lower one.",
        examples=[False],
    )
    stream_guard: StreamGuard = Field(
        default="content",
        description="How long a stream is held back: until its first `content`, so that a failure"
        " before it is served by another target; or until all of it is there (`full`), so that one"
        " in the middle is too. Clients wait for the whole answer then.",
        examples=["full"],
    )
    client: ClientTable | None = Field(default=None, description="Who may call.")
    headers: HeadersTable = Field(
        default=HeadersTable(), description="What clients may decide for themselves."
    )
    classifier: ClassifierTable | None = Field(default=None, description="How a tier is judged.")
    rules: list[RuleTable] = Field(
        default_factory=list,
        max_length=100,
        description="What routes before anything is judged; the first that holds decides.",
    )
    timeouts: TimeoutsTable = Field(
        default=TimeoutsTable(), description="Deadlines, in milliseconds."
    )
    health: HealthTable = Field(
        default=HealthTable(), description="When a target is not asked for a while."
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

    @field_validator("rules")
    @classmethod
    def _are_told_apart(cls, rules: list[RuleTable]) -> list[RuleTable]:
        names = [rule.name for rule in rules]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise broken(f"must each have a name of its own: {twice} is there twice")
        return rules

    @field_validator("classifier")
    @classmethod
    def _has_a_judge(cls, classifier: ClassifierTable | None) -> ClassifierTable | None:
        mode = classifier.mode if classifier else "off"
        if classifier and mode in {"model", "hybrid"} and classifier.model is None:
            raise broken(f"must have a `model` for mode {mode!r}, like inception/mercury-2")
        return classifier


def json_schema() -> str:
    """The JSON Schema of policy files, as text that ends in a newline."""
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **PolicyFile.model_json_schema(),
    }
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
