"""A compiled policy to change, and conversations to decide about."""

import copy
import json
from dataclasses import asdict
from typing import Any

from gateway.core.chat import ChatRequest
from gateway.core.compiled import canonical, load, version_of
from gateway.core.dialects.openai_chat.parsing import parse_request
from gateway.core.policy import LEVELS, Policy
from gateway.core.providers import Provider

TIERS = ("fast", "balanced", "quality")


def provider(name: str, **members: object) -> dict[str, object]:
    """A provider's row as it is compiled."""
    row = Provider(name, f"https://{name}.test/v1", f"{name.upper()}_KEY")
    columns = {
        column: list(value) if isinstance(value, tuple) else (None if value == "" else value)
        for column, value in asdict(row).items()
    }
    assert not set(members) - set(columns)
    return {**columns, **members}


def target(id_: str, weight: int = 1) -> dict[str, object]:
    name, _, model = id_.partition("/")
    return {"provider": name, "model": model, "weight": weight}


TIMEOUTS = {
    "connect_ms": 5_000,
    "first_content_ms": 60_000,
    "between_bytes_ms": 50_000,
    "whole_ms": 600_000,
    "total_ms": 600_000,
    "min_tokens_per_second": 0.0,
}


_SAMPLE: dict[str, Any] = {
    "format": 1,
    "name": "test",
    "default_tier": "balanced",
    "unknown_model": "classify",
    "on_unsupported": "reject",
    "retries": 0,
    "max_attempts": 4,
    "escalate": False,
    "stream_guard": "content",
    "client_keys": None,
    "cors_origins": None,
    "permissions": {
        "bypass": "allow",
        "tier": "allow",
        "direct": "allow",
        "stream_guard": "allow",
    },
    "classifier": {
        "mode": "off",
        "model": None,
        "timeout_ms": 800,
        "cooldown_ms": 30_000,
        "options": {},
        "min_confidence": 0.6,
        "lean": 0.0,
        "weights": None,
    },
    "rules": [],
    "timeouts": TIMEOUTS,
    "health": {
        "min_requests": 100,
        "failure_share": 1.0,
        "window_ms": 60_000,
        "cooldown_ms": 30_000,
    },
    "providers": {
        "alpha": provider("alpha"),
        "beta": provider("beta"),
        "judge": provider("judge"),
    },
    "tiers": [
        {"name": "fast", "description": "Short and easy", "targets": [target("alpha/small")]},
        {
            "name": "balanced",
            "description": "Ordinary work",
            "targets": [target("alpha/medium"), target("beta/medium")],
        },
        {
            "name": "quality",
            "description": 'Hard {and} "quoted"',
            "targets": [target("beta/org/large"), target("alpha/medium")],
        },
    ],
    "embeddings": [],
    "models": {"alpha/extra": {"images": False, "tools": False}},
    "prices": {
        "alpha/medium": {"input": 1.0, "output": 10.0, "cached_input": 0.5, "cache_write": None},
        "beta/medium": {"input": 2.0, "output": 20.0, "cached_input": None, "cache_write": None},
    },
}


def sample(**changes: object) -> dict[str, Any]:
    """The sample policy before it has a version; a change is written `a__b=value` for `a.b`.

    What a tier or a model does not say itself is the policy's, or nothing.
    """
    value = copy.deepcopy(_SAMPLE)
    for path, new in changes.items():
        *parents, last = path.split("__")
        place = value
        for name in parents:
            place = place[name]
        assert last in place, path
        place[last] = new
    for tier in value["tiers"] if isinstance(value["tiers"], list) else ():
        tier.setdefault("level", tier.get("name") if tier.get("name") in LEVELS else None)
        tier.setdefault("timeouts", copy.deepcopy(value["timeouts"]))
        tier.setdefault("stream_guard", value["stream_guard"])
    for facts in value["models"].values():
        facts.setdefault("context", None)
    return value


def sealed(value: dict[str, Any]) -> bytes:
    """The bytes that publishing would store: canonical, with their version."""
    content = {name: item for name, item in value.items() if name != "version"}
    return canonical({**content, "version": version_of(content)})


def compiled(**changes: object) -> bytes:
    """The sample policy, changed, as it is stored."""
    return sealed(sample(**changes))


def policy(**changes: object) -> Policy:
    return load(compiled(**changes))


def body(**members: object) -> bytes:
    """A client's request: one question, unless told otherwise."""
    values: dict[str, object] = {"messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    return json.dumps({**values, **members}).encode()


def chat(**members: object) -> ChatRequest:
    return parse_request(body(**members))


def said(*turns: tuple[str, str], **members: object) -> ChatRequest:
    """A conversation of (role, text) turns."""
    return chat(messages=[{"role": role, "content": text} for role, text in turns], **members)
