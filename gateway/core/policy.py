"""The policy as the gateway uses it; `core.compiled` reads its stored form."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from gateway.core.providers import Provider

Permission = Literal["allow", "ignore", "reject"]
ClassifierMode = Literal["model", "off"]
UnknownModel = Literal["classify", "reject"]
OnUnsupported = Literal["reject", "drop"]

PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
CLASSIFIER_MODES: tuple[ClassifierMode, ...] = get_args(ClassifierMode)
UNKNOWN_MODELS: tuple[UnknownModel, ...] = get_args(UnknownModel)
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
class Tier:
    """A named level of difficulty and who answers it."""

    name: str
    description: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model can take. Without facts it is taken to be able to."""

    images: bool = True
    tools: bool = True


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
class Timeouts:
    """Deadlines of an attempt, in milliseconds; `total_ms` is the whole request's."""

    connect_ms: int
    first_byte_ms: int
    between_bytes_ms: int
    total_ms: int


@dataclass(frozen=True, slots=True)
class Permissions:
    """What clients may decide for themselves."""

    bypass: Permission
    tier: Permission
    direct: Permission
    stream_guard: Permission


@dataclass(frozen=True, slots=True)
class Policy:
    """A whole policy. `client_keys` are NAMES of secrets; None: anyone who reaches us may call.

    `on_unsupported`: what becomes of parameters that a target's dialect cannot carry. `embeddings`
    are the targets of that endpoint, the first one's model serving those who name none. `listed`
    has every target that clients can reach for a chat, by id; `label` is `name@version`.
    """

    name: str
    version: str
    default_tier: str
    unknown_model: UnknownModel
    on_unsupported: OnUnsupported
    max_attempts: int
    client_keys: tuple[str, ...] | None
    cors_origins: tuple[str, ...]
    permissions: Permissions
    classifier: Classifier
    timeouts: Timeouts
    providers: dict[str, Provider]
    tiers: dict[str, Tier]
    embeddings: tuple[Target, ...]
    models: dict[str, ModelFacts]
    prices: dict[str, Price]
    listed: dict[str, Target]
    label: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.name}@{self.version}")

    def secret_names(self) -> tuple[str, ...]:
        """Every secret the policy names, once, in order."""
        names = list(self.client_keys or ())
        names += [row.key for row in self.providers.values() if row.key]
        return tuple(dict.fromkeys(names))
