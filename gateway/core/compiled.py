"""The compiled form of a policy, and its strict reader.

Operators write TOML; `tiergate policy publish` compiles it to canonical JSON with everything
spelled out (no defaults left to guess) and its version inside. Here that JSON is read: an unknown
member, a wrong type or a reference to nothing is a PolicyError naming the path, and the policy that
worked before stays in use.
"""

import hashlib
import json
import re
from collections.abc import Callable
from typing import cast

from gateway.core import jsontext
from gateway.core.errors import PolicyError
from gateway.core.policy import (
    CLASSIFIER_MODES,
    DIALECTS,
    PERMISSIONS,
    UNKNOWN_MODELS,
    Classifier,
    ModelFacts,
    Permissions,
    Policy,
    Price,
    Target,
    Tier,
    Timeouts,
)
from gateway.core.providers import Provider

FORMAT = 1
VERSION_DIGITS = 12  # of sha256, as git abbreviates: enough to tell any operator's policies apart

# What ends in response headers: printable ASCII without spaces.
_HEADER_SAFE = re.compile(r"[!-~]+")
_MOST = 2**53  # the largest whole number that every JSON reader holds exactly


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
    root = _Members(value, "")
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
        max_attempts=root.integer("max_attempts", least=1),
        client_keys=root.optional_texts("client_keys"),
        cors_origins=root.optional_texts("cors_origins") or (),
        permissions=root.member("permissions", _permissions),
        classifier=root.member("classifier", _classifier),
        timeouts=root.member("timeouts", _timeouts),
        providers=providers,
        tiers=tiers,
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
    if not (provider and slash and model and _HEADER_SAFE.fullmatch(text)):
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
    used = [(f"models/tiers: {name}", target) for name, target in policy.listed.items()]
    if policy.classifier.mode == "model":
        if policy.classifier.target is None:
            raise PolicyError("classifier.model", "is missing for mode 'model'")
        used.append(("classifier.model", policy.classifier.target))
    for path, target in used:
        if target.provider not in policy.providers:
            raise PolicyError(path, f"provider {target.provider!r} is not in [providers]")


class _Members:
    """One JSON object, read member by member; `end` refuses what nobody read."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise PolicyError(path, "must be an object")
        self._rest: dict[str, object] = dict(value)
        self._path = path

    def at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str) -> object:
        if name not in self._rest:
            raise PolicyError(self.at(name), "is missing")
        return self._rest.pop(name)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not value:
            raise PolicyError(self.at(name), "must be a string with something in it")
        return value

    def word(self, name: str) -> str:
        value = self.text(name)
        if not _HEADER_SAFE.fullmatch(value):
            raise PolicyError(self.at(name), "must be printable ASCII without spaces")
        return value

    def optional_text(self, name: str) -> str | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.text(name)

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise PolicyError(self.at(name), "must be a list of strings, or null")
        return tuple(value)

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if not isinstance(value, bool):
            raise PolicyError(self.at(name), "must be true or false")
        return value

    def integer(self, name: str, least: int = 0) -> int:
        value = self.take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
            raise PolicyError(self.at(name), f"must be a whole number from {least} to 2**53")
        return value

    def number(self, name: str) -> float:
        value = self.take(name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not 0 <= cast(float, value) <= _MOST:
            raise PolicyError(self.at(name), "must be a number from 0 to 2**53")
        return float(cast(float, value))

    def optional_number(self, name: str) -> float | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.number(name)

    def choice[T: str](self, name: str, choices: tuple[T, ...]) -> T:
        value = self.take(name)
        for known in choices:
            if known == value:
                return known
        raise PolicyError(self.at(name), f"must be one of {', '.join(choices)}")

    def anything(self, name: str) -> dict[str, object]:
        value = self.take(name)
        if not isinstance(value, dict):
            raise PolicyError(self.at(name), "must be an object")
        return value

    def member[T](self, name: str, read: Callable[["_Members"], T]) -> T:
        return _read(self.take(name), self.at(name), read)

    def table[T](self, name: str, read: Callable[["_Members"], T]) -> dict[str, T]:
        value = self.anything(name)
        return {key: _read(item, f"{self.at(name)}.{key}", read) for key, item in value.items()}

    def array[T](self, name: str, read: Callable[["_Members"], T]) -> tuple[T, ...]:
        value = self.take(name)
        if not isinstance(value, list):
            raise PolicyError(self.at(name), "must be an array")
        return tuple(
            [_read(item, f"{self.at(name)}[{index}]", read) for index, item in enumerate(value)]
        )

    def end(self) -> None:
        for name in self._rest:
            raise PolicyError(self.at(name), "is not a member this gateway knows")


def _read[T](value: object, path: str, read: Callable[[_Members], T]) -> T:
    members = _Members(value, path)
    result = read(members)
    members.end()
    return result


def _provider(members: _Members) -> Provider:
    provider = Provider(
        name=members.text("name"),
        base_url=members.text("base_url"),
        key=members.optional_text("key"),
        dialect=members.choice("dialect", DIALECTS),
        key_header=members.text("key_header"),
        key_prefix=members.optional_text("key_prefix") or "",
        sends_usage_on_request=members.flag("sends_usage_on_request"),
        passes=members.optional_texts("passes") or (),
        refuses=members.optional_texts("refuses") or (),
    )
    if not provider.base_url.startswith(("http://", "https://")):
        raise PolicyError(members.at("base_url"), "must begin with http:// or https://")
    return provider


def _tier(members: _Members) -> Tier:
    tier = Tier(
        members.word("name"), members.text("description"), members.array("targets", _target)
    )
    if not tier.targets:
        raise PolicyError(members.at("targets"), "is empty")
    return tier


def _target(members: _Members) -> Target:
    return Target(members.word("provider"), members.word("model"), members.integer("weight"))


def _model(members: _Members) -> ModelFacts:
    return ModelFacts(images=members.flag("images"), tools=members.flag("tools"))


def _price(members: _Members) -> Price:
    return Price(
        members.number("input"), members.number("output"), members.optional_number("cached_input")
    )


def _classifier(members: _Members) -> Classifier:
    mode = members.choice("mode", CLASSIFIER_MODES)
    model = members.optional_text("model")
    return Classifier(
        mode=mode,
        target=target_from_id(model, members.at("model")) if model else None,
        timeout_ms=members.integer("timeout_ms", least=1),
        cooldown_ms=members.integer("cooldown_ms", least=1),
        options=members.anything("options"),
    )


def _timeouts(members: _Members) -> Timeouts:
    return Timeouts(
        connect_ms=members.integer("connect_ms", least=1),
        first_byte_ms=members.integer("first_byte_ms", least=1),
        between_bytes_ms=members.integer("between_bytes_ms", least=1),
        total_ms=members.integer("total_ms", least=1),
    )


def _permissions(members: _Members) -> Permissions:
    return Permissions(
        bypass=members.choice("bypass", PERMISSIONS),
        tier=members.choice("tier", PERMISSIONS),
        direct=members.choice("direct", PERMISSIONS),
        stream_guard=members.choice("stream_guard", PERMISSIONS),
    )
