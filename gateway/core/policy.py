"""The policy as the gateway uses it; `core.compiled` reads its stored form."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from gateway.core.health import HealthSettings
from gateway.core.providers import Provider

Permission = Literal["allow", "ignore", "reject"]
StreamGuard = Literal["content", "full"]
ClassifierMode = Literal["model", "off"]
UnknownModel = Literal["classify", "reject"]
OnUnsupported = Literal["reject", "drop"]

PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
CLASSIFIER_MODES: tuple[ClassifierMode, ...] = get_args(ClassifierMode)
UNKNOWN_MODELS: tuple[UnknownModel, ...] = get_args(UnknownModel)
STREAM_GUARDS: tuple[StreamGuard, ...] = get_args(StreamGuard)
ON_UNSUPPORTED: tuple[OnUnsupported, ...] = get_args(OnUnsupported)


@dataclass(frozen=True, slots=True)
class Target:
    """A model at a provider; `id` is `provider/model`. Weight 0: after all others of its tier."""

    provider: str
    model: str
    weight: int = 1
    id: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", f"{self.provider}/{self.model}")


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Deadlines in milliseconds.

    connect_ms, first_content_ms, between_bytes_ms: of an attempt; the second is from its beginning
        to the first content of a stream, the third the longest silence after it.
    whole_ms: of an attempt at an answer that is not streamed.
    total_ms: the whole request's.
    min_tokens_per_second: a stream that says less is too slow; 0: as slow as it likes.
    """

    connect_ms: int
    first_content_ms: int
    between_bytes_ms: int
    whole_ms: int
    total_ms: int
    min_tokens_per_second: float


@dataclass(frozen=True, slots=True)
class Tier:
    """A named level of difficulty, who answers it, and how long they may take."""

    name: str
    description: str
    targets: tuple[Target, ...]
    timeouts: Timeouts
    stream_guard: StreamGuard
    ids: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ids", frozenset([target.id for target in self.targets]))


type Step = tuple[str | None, tuple[Target, ...]]
"""A tier, None where no tier was decided, and those of its targets that come into question."""


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model can take. Without facts it is taken to be able to. `context` in tokens."""

    images: bool = True
    tools: bool = True
    context: int | None = None


@dataclass(frozen=True, slots=True)
class Price:
    """USD per million tokens. Without a price of their own, cached tokens and those written to a
    cache cost what others do."""

    input: float
    output: float
    cached_input: float | None = None
    cache_write: float | None = None


@dataclass(frozen=True, slots=True)
class Classifier:
    """How a tier is judged. `options` are members added to the request to the model."""

    mode: ClassifierMode
    target: Target | None
    timeout_ms: int
    cooldown_ms: int
    options: dict[str, object]


@dataclass(frozen=True, slots=True)
class Permissions:
    """What clients may decide for themselves."""

    bypass: Permission
    tier: Permission
    direct: Permission
    stream_guard: Permission


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy.

    retries: of one target; max_attempts: in all.
    escalate: whether a higher tier answers where the decided one cannot.
    on_unsupported: what becomes of parameters that a target's dialect cannot carry.
    client_keys: NAMES of secrets; None: anyone who reaches us may call.
    timeouts, stream_guard: where no tier was decided; each tier has its own.
    embeddings: the targets of that endpoint; the first one's model serves those who name none.
    listed: every target that clients can reach for a chat, by id.
    label: `name@version`.
    """

    name: str
    version: str
    default_tier: str
    unknown_model: UnknownModel
    on_unsupported: OnUnsupported
    retries: int
    max_attempts: int
    escalate: bool
    stream_guard: StreamGuard
    client_keys: tuple[str, ...] | None
    cors_origins: tuple[str, ...]
    permissions: Permissions
    classifier: Classifier
    timeouts: Timeouts
    health: HealthSettings
    providers: dict[str, Provider]
    tiers: dict[str, Tier]
    embeddings: tuple[Target, ...]
    models: dict[str, ModelFacts]
    prices: dict[str, Price]
    listed: dict[str, Target]
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.name}@{self.version}")

    def tier_of(self, target: Target) -> Tier | None:
        """The highest tier that has this target."""
        found = [tier for tier in self.tiers.values() if target.id in tier.ids]
        return found[-1] if found else None

    def secret_names(self) -> tuple[str, ...]:
        """Every secret the policy names, once, in order."""
        names = list(self.client_keys or ())
        names += [row.key for row in self.providers.values() if row.key]
        return tuple(dict.fromkeys(names))
