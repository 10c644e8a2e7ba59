"""The policy as the gateway uses it; `core.compiled` reads its stored form."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, get_args

from gateway.core.health import HealthSettings
from gateway.core.providers import Provider

Permission = Literal["allow", "ignore", "reject"]
StreamGuard = Literal["content", "full"]
ClassifierMode = Literal["model", "local", "hybrid", "off"]
UnknownModel = Literal["classify", "reject"]
OnUnsupported = Literal["reject", "drop"]
Level = Literal["fast", "balanced", "quality", "reasoning"]

PERMISSIONS: tuple[Permission, ...] = get_args(Permission)
CLASSIFIER_MODES: tuple[ClassifierMode, ...] = get_args(ClassifierMode)
UNKNOWN_MODELS: tuple[UnknownModel, ...] = get_args(UnknownModel)
STREAM_GUARDS: tuple[StreamGuard, ...] = get_args(StreamGuard)
ON_UNSUPPORTED: tuple[OnUnsupported, ...] = get_args(OnUnsupported)
LEVELS: tuple[Level, ...] = get_args(Level)  # of difficulty, easiest first: docs/tiers.md


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
    """A named level of difficulty, who answers it, and how long they may take.

    `level`: which of the levels that the embedded model tells apart it is for, if any.
    """

    name: str
    description: str
    level: Level | None
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
    """How a tier is judged.

    mode: by the embedded model ("local"), by `target` ("model"), by `target` where the embedded
        model's confidence is under `min_confidence` ("hybrid"), not at all ("off").
    options: members added to the request to the model.
    lean: from -1 (cheap) to 1 (safe), for the embedded model.
    weights: the label of a weights file in the store; None: the one that is built in.
    """

    mode: ClassifierMode
    target: Target | None
    timeout_ms: int
    cooldown_ms: int
    options: dict[str, object]
    min_confidence: float
    lean: float
    weights: str | None

    def trusts(self, confidence: float) -> bool:
        """Whether the embedded model is sure enough to decide alone, in mode "hybrid"."""
        return confidence >= self.min_confidence


@dataclass(frozen=True, slots=True)
class When:
    """Conditions of a rule; those that are None or empty ask nothing. `tokens_over`: about how many
    tokens the request must have more than. `headers`, `metadata`: what must equal, by name."""

    images: bool | None
    tools: bool | None
    json_schema: bool | None
    tokens_over: int | None
    languages: tuple[str, ...]
    headers: dict[str, str]
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Rule:
    """Where requests go of which `when` holds: to a tier, or to one target."""

    name: str
    when: When
    tier: str | None
    target: Target | None


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
    rules: what routes before anything is judged, in order.
    embeddings: the targets of that endpoint; the first one's model serves those who name none.
    listed: every target that clients can reach for a chat, by id.
    by_level: the tier that serves a level: its own, else that of the next higher one, else of the
        highest there is. Empty if no tier has a level.
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
    rules: tuple[Rule, ...]
    timeouts: Timeouts
    health: HealthSettings
    providers: dict[str, Provider]
    tiers: dict[str, Tier]
    embeddings: tuple[Target, ...]
    models: dict[str, ModelFacts]
    prices: dict[str, Price]
    listed: dict[str, Target]
    label: str = field(init=False)
    by_level: dict[Level, str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "label", f"{self.name}@{self.version}")
        object.__setattr__(self, "by_level", _by_level(self.tiers.values()))

    @property
    def asks_for_language(self) -> bool:
        return any(rule.when.languages for rule in self.rules)

    def share_of(self, tier: str, probabilities: Sequence[float]) -> float:
        """How likely it is that this tier is right, given the probability of each level: of all the
        levels that it serves."""
        serves, pairs = self.by_level, zip(LEVELS, probabilities, strict=True)
        return sum([share for level, share in pairs if serves.get(level) == tier])

    def tier_of(self, target: Target) -> Tier | None:
        """The highest tier that has this target."""
        found = [tier for tier in self.tiers.values() if target.id in tier.ids]
        return found[-1] if found else None

    def secret_names(self) -> tuple[str, ...]:
        """Every secret the policy names, once, in order."""
        names = list(self.client_keys or ())
        names += [row.key for row in self.providers.values() if row.key]
        return tuple(dict.fromkeys(names))


def _by_level(tiers: Iterable[Tier]) -> dict[Level, str]:
    own: dict[Level, str] = {}
    for tier in tiers:
        if tier.level:
            own.setdefault(tier.level, tier.name)
    found: dict[Level, str] = {}
    for place, level in enumerate(LEVELS):
        fit = [own[each] for each in (*LEVELS[place:], *LEVELS[:place][::-1]) if each in own]
        if fit:
            found[level] = fit[0]
    return found
