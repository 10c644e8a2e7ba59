"""A policy file in TOML to the compiled policy that the gateway loads.

Rules: every problem is found in one go; everything is spelled out, so that the gateway guesses no
default; only providers in use are in it. What is returned has been
read by the gateway's own `load`.
"""

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.core import compiled as core
from gateway.core.classifier.model import MAX_FILE, WeightsError, read_weights
from gateway.core.errors import PolicyError
from gateway.core.policy import LEVELS, Policy, Price
from gateway.core.providers import PROVIDERS, Provider
from gateway.operator.fields import Names, is_loopback
from gateway.operator.model_facts import judge_of, models_of, prices_of, used
from gateway.operator.problems import PolicyInvalid, Problem, from_pydantic, from_toml, path_of
from gateway.operator.schema import PolicyFile, TierTable
from gateway.operator.schema_behaviour import ClassifierTable
from gateway.operator.schema_providers import ProviderTable

# Every instance parses it on its first request. A value in NATS is at most 1 MiB, too.
MAX_COMPILED_BYTES = 1024 * 1024


# Models of such a tier are silent for minutes before they say something.
REASONING = "reasoning"
REASONING_MS = {"first_content_ms": 300_000, "whole_ms": 600_000}


@dataclass(frozen=True, slots=True)
class Compiled:
    """The compiled bytes, what the gateway reads in them, and what the operator should know.
    `weights`: the file that the policy names for its classifier."""

    data: bytes
    policy: Policy
    warnings: list[str]
    weights: bytes | None = None


def compile_file(path: Path, today: date | None = None) -> Compiled:
    """The policy in a file. Raises PolicyInvalid, and OSError when it cannot be read."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problem = Problem(str(path), f"byte {error.start}", "not UTF-8: save the file as UTF-8")
        raise PolicyInvalid([problem]) from None
    return compile_text(text, str(path), today, path.parent)


def compile_text(
    text: str, file: str, today: date | None = None, folder: Path = Path()
) -> Compiled:
    """The policy in a TOML text; `file` names it in problems. `today` chooses among prices; files
    that it names are looked for from `folder`."""
    try:
        raw = tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise PolicyInvalid([from_toml(error, file, text)]) from None
    except RecursionError:
        problem = Problem(file, "the file", "is nested too deep")
        raise PolicyInvalid([problem]) from None
    source = _validated(raw, file)
    providers = _used_providers(source)
    prices, warnings = prices_of(source, providers, today or datetime.now(UTC).date())
    weights = _weights(source, file, folder)
    label = read_weights(weights).label if weights else None
    value = _compiled(source, providers, prices, label)
    data = core.canonical(value)
    if len(data) > MAX_COMPILED_BYTES:
        size = f"is {len(data)} bytes compiled, and {MAX_COMPILED_BYTES} is the limit"
        raise PolicyInvalid([Problem(file, "the file", f"{size}: list fewer models or prices")])
    try:
        policy = core.load(data)
    except PolicyError as error:
        # Ours to fix: what the schema lets through must load.
        problem = Problem(file, error.path or "the file", f"does not load: {error.problem}")
        raise PolicyInvalid([problem]) from None
    return Compiled(data, policy, [*_address_warnings(policy), *warnings], weights)


def _weights(source: PolicyFile, file: str, folder: Path) -> bytes | None:
    name = source.classifier.weights if source.classifier else None
    if name is None:
        return None
    try:
        with (folder / name).open("rb") as opened:
            data = opened.read(MAX_FILE + 1)
        read_weights(data)
    except OSError as error:
        problem = f"cannot read {folder / name}: {error.strerror}"
    except WeightsError as error:
        problem = f"cannot use {folder / name}: {error}"
    except ValueError as error:  # it is no path
        problem = f"cannot read {name!r}: {error}"
    else:
        return data
    raise PolicyInvalid([Problem(file, "classifier.weights", problem)])


def _validated(raw: dict[str, object], file: str) -> PolicyFile:
    problems = [
        Problem(
            file,
            path_of(("providers", name)),
            "must have a `base_url`: Tiergate does not know this provider's address",
        )
        for name, table in _table(raw, "providers").items()
        if not (name in PROVIDERS and PROVIDERS[name].base_url)
        and isinstance(table, dict)
        and "base_url" not in table
    ]
    try:
        source = PolicyFile.model_validate(raw, context=_names(raw))
    except ValidationError as error:
        details = error.errors(include_url=False)
        tiers = _tier_names(raw)
        problems += [from_pydantic(detail, file, tiers) for detail in details]
    else:
        if not problems:
            return source
    raise PolicyInvalid(problems)


def _names(raw: dict[str, object]) -> Names:
    """What the file defines, read before it is known to be valid."""
    return Names(
        providers=frozenset(PROVIDERS) | frozenset(_table(raw, "providers")),
        tiers=tuple(name for name in _tier_names(raw) if name is not None),
    )


def _tier_names(raw: dict[str, object]) -> list[str | None]:
    """The name of each tier, None where it has none that is a string."""
    tiers = raw.get("tiers")
    names = [
        tier.get("name") if isinstance(tier, dict) else None
        for tier in (tiers if isinstance(tiers, list) else [])
    ]
    return [name if isinstance(name, str) else None for name in names]


def _table(raw: dict[str, object], name: str) -> dict[str, object]:
    value = raw.get(name)
    return value if isinstance(value, dict) else {}


def _used_providers(source: PolicyFile) -> dict[str, Provider]:
    names = {id_.partition("/")[0] for id_ in used(source)}
    return {name: _provider(name, source.providers.get(name)) for name in sorted(names)}


def _provider(name: str, table: ProviderTable | None) -> Provider:
    """The known row, or a plain one, with the file's columns in place of its own."""
    given = table.model_dump(exclude_none=True) if table else {}
    known = PROVIDERS.get(name) or replace(
        _PLAIN[given.get("dialect", "openai-chat")], name=name, base_url="", key=None
    )
    if "base_url" in given or "dialect" in given:  # what it speaks besides is no longer known
        known = replace(known, other_dialects=())
    if given.get("key_header") == "authorization":
        given.setdefault("key_prefix", "Bearer ")
    columns: dict[str, Any] = {
        column: tuple(value) if isinstance(value, list) else value
        for column, value in given.items()
    }
    return replace(known, **columns)


# A provider of one's own is spoken to as the one that made its dialect.
_PLAIN = {
    "openai-chat": Provider("", base_url="", key=None),
    "openai-responses": Provider("", base_url="", key=None, dialect="openai-responses"),
    "anthropic-messages": PROVIDERS["anthropic"],
    "gemini": PROVIDERS["google"],
}


def _address_warnings(policy: Policy) -> Iterator[str]:
    for name, provider in policy.providers.items():
        if provider.base_url.startswith("http://") and not is_loopback(provider.base_url):
            yield (
                f"providers.{name}.base_url: {provider.base_url} is not encrypted: prompts and"
                " the key can be read on the way; use https:// unless the network is yours"
            )


def _compiled(
    source: PolicyFile,
    providers: dict[str, Provider],
    prices: dict[str, Price],
    weights: str | None,
) -> dict[str, object]:
    classifier = source.classifier or ClassifierTable(mode="off")
    value: dict[str, object] = {
        "format": core.FORMAT,
        "name": source.name,
        "default_tier": source.default_tier,
        "unknown_model": source.unknown_model,
        "on_unsupported": source.on_unsupported,
        "retries": source.retries,
        "max_attempts": source.max_attempts,
        "escalate": source.escalate,
        "stream_guard": source.stream_guard,
        "client_keys": list(dict.fromkeys(source.client.keys)) if source.client else None,
        "cors_origins": (source.cors and source.cors.origins) or None,
        "permissions": source.headers.model_dump(),
        "classifier": {
            "mode": classifier.mode,
            "model": judge_of(source),
            "timeout_ms": classifier.timeout_ms,
            "cooldown_ms": classifier.cooldown_ms,
            "options": classifier.options,
            "min_confidence": classifier.min_confidence,
            "lean": classifier.lean,
            "weights": weights,
        },
        "rules": [
            {
                "name": rule.name,
                "when": rule.when.model_dump(),
                "tier": None if "/" in rule.to else rule.to,
                "model": rule.to if "/" in rule.to else None,
            }
            for rule in source.rules
        ],
        "timeouts": source.timeouts.model_dump(),
        "health": source.health.model_dump(),
        "providers": {
            name: {
                **asdict(row),
                "key_prefix": row.key_prefix or None,
                "path": row.path or None,
                "query": row.query or None,
            }
            for name, row in providers.items()
        },
        "tiers": [
            {
                "name": tier.name,
                "description": tier.description.strip(),
                "level": tier.level or next((one for one in LEVELS if one == tier.name), None),
                "timeouts": _tier_timeouts(source, tier),
                "stream_guard": tier.stream_guard or source.stream_guard,
                "targets": [
                    {**_split(target.model), "weight": target.weight} for target in tier.targets
                ],
            }
            for tier in source.tiers
        ],
        "embeddings": [
            {**_split(id_), "weight": 1 if number == 0 else 0}
            for number, id_ in enumerate(source.embeddings.targets if source.embeddings else [])
        ],
        "models": models_of(source, providers),
        "prices": {id_: asdict(price) for id_, price in prices.items()},
    }
    return {**value, "version": core.version_of(value)}


def _tier_timeouts(source: PolicyFile, tier: TierTable) -> dict[str, object]:
    """A tier's own, else the file's; a tier of that name may think for long before it speaks."""
    timeouts = source.timeouts.model_dump()
    if tier.name == REASONING:
        said = source.timeouts.model_fields_set
        timeouts |= {name: ms for name, ms in REASONING_MS.items() if name not in said}
    return timeouts | (tier.timeouts.model_dump(exclude_none=True) if tier.timeouts else {})


def _split(id_: str) -> dict[str, object]:
    provider, _, model = id_.partition("/")
    return {"provider": provider, "model": model}
