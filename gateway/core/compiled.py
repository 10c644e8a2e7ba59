"""The compiled form of a policy, and its strict reader.

Operators write TOML; `tiergate policy publish` compiles it to canonical JSON with everything
spelled out (no defaults left to guess) and its version inside. Here that JSON is read: an unknown
member, a wrong type or a reference to nothing is a PolicyError naming the path, and the policy that
worked before stays in use.
"""

import hashlib
import json
from typing import cast

from gateway.core import jsontext
from gateway.core.dialects import DIALECTS, OPENAI_CHAT
from gateway.core.errors import PolicyError
from gateway.core.health import HealthSettings
from gateway.core.members import HEADER_SAFE, Members
from gateway.core.policy import (
    CLASSIFIER_MODES,
    LEVELS,
    ON_UNSUPPORTED,
    PERMISSIONS,
    STREAM_GUARDS,
    UNKNOWN_MODELS,
    Classifier,
    ModelFacts,
    Permissions,
    Policy,
    Price,
    Rule,
    Target,
    Tier,
    Timeouts,
    When,
)
from gateway.core.providers import LIMIT_MEMBERS, SIGNINGS, Provider

FORMAT = 1
VERSION_DIGITS = 12  # of sha256, as git abbreviates: enough to tell any operator's policies apart


def canonical(value: dict[str, object]) -> bytes:
    """The one spelling of a compiled policy: keys sorted, no spaces, UTF-8."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()


def version_of(value: dict[str, object]) -> str:
    """The version of a compiled policy: the beginning of the sha256 of all of it but `version`."""
    content = {name: item for name, item in value.items() if name != "version"}
    return hashlib.sha256(canonical(content)).hexdigest()[:VERSION_DIGITS]


def load(data: bytes) -> Policy:
    """A compiled policy. Raises PolicyError naming the path of the first thing wrong with it."""
    try:
        value = jsontext.parse_strictly(data)
    except jsontext.JsonError as error:
        raise PolicyError("", f"not JSON: {error}") from None
    root = Members(value, "")
    if (format_ := root.integer("format")) != FORMAT:
        raise PolicyError("format", f"is {format_}, this gateway reads {FORMAT}: publish it again")
    version = root.text("version")
    try:
        is_whole = version == version_of(cast(dict[str, object], value))
    except UnicodeEncodeError:  # half a surrogate pair: no text that we ever published
        is_whole = False
    if not is_whole:
        raise PolicyError("version", "does not match the content: torn or edited; publish it again")
    providers = root.table("providers", _provider)
    tier_list = root.array("tiers", _tier)
    tiers = {tier.name: tier for tier in tier_list}
    if len(tiers) != len(tier_list):
        raise PolicyError("tiers", "has two tiers of one name")
    models = root.table("models", _model)
    policy = Policy(
        name=root.word("name"),
        version=version,
        default_tier=root.text("default_tier"),
        unknown_model=root.choice("unknown_model", UNKNOWN_MODELS),
        on_unsupported=root.choice("on_unsupported", ON_UNSUPPORTED),
        retries=root.integer("retries"),
        max_attempts=root.integer("max_attempts", least=1),
        escalate=root.flag("escalate"),
        stream_guard=root.choice("stream_guard", STREAM_GUARDS),
        client_keys=root.optional_texts("client_keys"),
        cors_origins=root.optional_texts("cors_origins") or (),
        permissions=root.member("permissions", _permissions),
        classifier=root.member("classifier", _classifier),
        rules=root.array("rules", _rule),
        timeouts=root.member("timeouts", _timeouts),
        health=root.member("health", _health),
        providers=providers,
        tiers=tiers,
        embeddings=root.array("embeddings", _target),
        models=models,
        prices=root.table("prices", _price),
        listed=_listed(tiers, models),
    )
    root.end()
    _check_references(policy)
    return policy


def target_from_id(text: str, path: str) -> Target:
    """A target from `provider/model`; the model may have slashes of its own."""
    provider, slash, model = text.partition("/")
    if not (provider and slash and model and HEADER_SAFE.fullmatch(text)):
        raise PolicyError(path, "must be written provider/model, in printable ASCII")
    return Target(provider, model)


def _listed(tiers: dict[str, Tier], models: dict[str, ModelFacts]) -> dict[str, Target]:
    listed = {target.id: target for tier in tiers.values() for target in tier.targets}
    for name in models:
        listed.setdefault(name, target_from_id(name, f"models.{name}"))
    return listed


def _check_references(policy: Policy) -> None:
    for name, provider in policy.providers.items():
        if provider.name != name:
            raise PolicyError(f"providers.{name}.name", f"must be {name!r} as well")
    if not policy.tiers:
        raise PolicyError("tiers", "is empty")
    if policy.default_tier not in policy.tiers:
        raise PolicyError("default_tier", "names no tier of the policy")
    for number, rule in enumerate(policy.rules):
        if rule.tier is not None and rule.tier not in policy.tiers:
            raise PolicyError(f"rules[{number}].tier", "names no tier of the policy")
        if rule.target is not None and rule.target.id not in policy.listed:
            raise PolicyError(f"rules[{number}].model", "is in no tier, nor in [models]")
    used = [(f"models/tiers: {name}", target) for name, target in policy.listed.items()]
    used += [(f"embeddings: {target.id}", target) for target in policy.embeddings]
    mode = policy.classifier.mode
    if mode in {"local", "hybrid"} and not policy.by_level:
        raise PolicyError(
            "tiers", f"must have a tier with a level for the classifier mode {mode!r}"
        )
    if mode in {"model", "hybrid"}:
        if policy.classifier.target is None:
            raise PolicyError("classifier.model", f"is missing for mode {mode!r}")
        used.append(("classifier.model", policy.classifier.target))
    for path, target in used:
        if target.provider not in policy.providers:
            raise PolicyError(path, f"provider {target.provider!r} is not in [providers]")
    for target in policy.embeddings:
        if policy.providers[target.provider].dialect != OPENAI_CHAT.name:
            raise PolicyError(
                f"embeddings: {target.id}", f"its provider does not speak {OPENAI_CHAT.name}"
            )


def _provider(members: Members) -> Provider:
    provider = Provider(
        name=members.text("name"),
        base_url=members.text("base_url"),
        key=members.optional_text("key"),
        dialect=members.choice("dialect", tuple(DIALECTS)),
        other_dialects=members.optional_texts("other_dialects") or (),
        key_header=members.text("key_header"),
        key_prefix=members.optional_text("key_prefix") or "",
        signing=members.choice("signing", SIGNINGS),
        headers=members.optional_texts("headers") or (),
        passes=members.optional_texts("passes") or (),
        path=members.optional_text("path") or "",
        query=members.optional_text("query") or "",
        refuses=members.optional_texts("refuses") or (),
        sends_usage_on_request=members.flag("sends_usage_on_request"),
        limit_member=members.choice("limit_member", LIMIT_MEMBERS),
        has_developer=members.flag("has_developer"),
    )
    for name in provider.other_dialects:
        if name not in DIALECTS:
            raise PolicyError(members.at("other_dialects"), f"{name!r} is not a dialect")
    if not provider.base_url.startswith(("http://", "https://")):
        raise PolicyError(members.at("base_url"), "must begin with http:// or https://")
    return provider


def _tier(members: Members) -> Tier:
    tier = Tier(
        name=members.word("name"),
        description=members.text("description"),
        level=members.optional_choice("level", LEVELS),
        targets=members.array("targets", _target),
        timeouts=members.member("timeouts", _timeouts),
        stream_guard=members.choice("stream_guard", STREAM_GUARDS),
    )
    if not tier.targets:
        raise PolicyError(members.at("targets"), "is empty")
    return tier


def _target(members: Members) -> Target:
    return Target(members.word("provider"), members.word("model"), members.integer("weight"))


def _model(members: Members) -> ModelFacts:
    return ModelFacts(
        images=members.flag("images"),
        tools=members.flag("tools"),
        context=members.optional_integer("context"),
    )


def _price(members: Members) -> Price:
    return Price(
        members.number("input"),
        members.number("output"),
        members.optional_number("cached_input"),
        members.optional_number("cache_write"),
    )


def _rule(members: Members) -> Rule:
    model = members.optional_text("model")
    rule = Rule(
        name=members.word("name"),
        when=members.member("when", _when),
        tier=members.optional_text("tier"),
        target=target_from_id(model, members.at("model")) if model else None,
    )
    if (rule.tier is None) == (rule.target is None):
        raise PolicyError(members.at("tier"), "and model: a rule has one of them")
    return rule


def _when(members: Members) -> When:
    return When(
        images=members.optional_flag("images"),
        tools=members.optional_flag("tools"),
        json_schema=members.optional_flag("json_schema"),
        tokens_over=members.optional_integer("tokens_over"),
        languages=members.optional_texts("languages") or (),
        headers=members.texts("headers"),
        metadata=members.texts("metadata"),
    )


def _classifier(members: Members) -> Classifier:
    mode = members.choice("mode", CLASSIFIER_MODES)
    model = members.optional_text("model")
    return Classifier(
        mode=mode,
        target=target_from_id(model, members.at("model")) if model else None,
        timeout_ms=members.integer("timeout_ms", least=1),
        cooldown_ms=members.integer("cooldown_ms", least=1),
        options=members.anything("options"),
        min_confidence=members.number("min_confidence", most=1),
        lean=members.number("lean", least=-1, most=1),
        weights=members.optional_text("weights"),
    )


def _timeouts(members: Members) -> Timeouts:
    return Timeouts(
        connect_ms=members.integer("connect_ms", least=1),
        first_content_ms=members.integer("first_content_ms", least=1),
        between_bytes_ms=members.integer("between_bytes_ms", least=1),
        whole_ms=members.integer("whole_ms", least=1),
        total_ms=members.integer("total_ms", least=1),
        min_tokens_per_second=members.number("min_tokens_per_second"),
    )


def _health(members: Members) -> HealthSettings:
    return HealthSettings(
        min_requests=members.integer("min_requests", least=1),
        failure_share=members.number("failure_share"),
        window_ms=members.integer("window_ms", least=1),
        cooldown_ms=members.integer("cooldown_ms", least=1),
    )


def _permissions(members: Members) -> Permissions:
    return Permissions(
        bypass=members.choice("bypass", PERMISSIONS),
        tier=members.choice("tier", PERMISSIONS),
        direct=members.choice("direct", PERMISSIONS),
        stream_guard=members.choice("stream_guard", PERMISSIONS),
    )
