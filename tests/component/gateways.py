"""A running gateway as a test uses it, and the policies that tests write.

A policy is a Python value here, rendered to TOML and compiled as an operator's file would be.
"""

import json
import socket
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import httpx
import openai

from gateway.core.policy import Policy
from gateway.operator.compile import compile_text
from gateway.operator.stores import publish
from tests.component.hosts import Host

TODAY = date(2026, 1, 1)

SECRETS = {
    "E2E_CLIENT_KEY": "tg-client-0d3adb33f0",
    "E2E_OTHER_CLIENT_KEY": "tg-client-other-77c1",
    "E2E_PROVIDER_KEY": "sk-provider-4f1e9c02aa",
    "E2E_SECOND_KEY": "sk-second-b00b1e5522",
}
ABSENT_SECRET = "E2E_ABSENT_KEY"

HELLO = [{"role": "user", "content": "Tell me about größe and 漢字."}]

type Json = dict[str, Any]


def toml(value: object) -> str:
    """An inline TOML value; its strings, numbers and arrays are JSON's."""
    if isinstance(value, Mapping):
        members = (f"{json.dumps(name)} = {toml(item)}" for name, item in value.items())
        return "{" + ", ".join(members) + "}"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return f"[{', '.join(toml(item) for item in value)}]"
    return json.dumps(value)


def tier(name: str, *targets: object, description: str = "") -> Json:
    """One of a policy's tiers. A target: its id, or a table with a weight."""
    return {
        "name": name,
        "description": description or f"What {name} is for",
        "targets": list(targets),
    }


def in_order(*ids: str) -> list[object]:
    """Targets that are tried exactly in this order."""
    first, *others = ids
    return [first, *({"model": id_, "weight": 0} for id_ in others)]


ALLOW_ALL = {"bypass": "allow", "tier": "allow", "direct": "allow", "stream_guard": "allow"}


# Tests share gateways and names of targets: what one breaks, the next must find unbroken.
PATIENT = {"min_requests": 100, "failure_share": 1.0, "cooldown_ms": 1}


def make_policy(providers: Mapping[str, str | Json], *targets: object, **fields: object) -> Json:
    """A policy whose one tier `only` has these targets, unless `tiers` says otherwise. No target is
    asked twice, or left alone.

    A provider is its base URL or its table. Clients may decide everything for themselves.
    """
    policy: Json = {
        "name": "e2e",
        "headers": ALLOW_ALL,
        "retries": 0,
        "health": PATIENT,
        "providers": {
            name: {"base_url": row} if isinstance(row, str) else row
            for name, row in providers.items()
        },
    }
    if targets:
        policy["tiers"] = [tier("only", *targets)]
    policy |= fields
    policy.setdefault("default_tier", policy["tiers"][0]["name"])
    return policy


def compiled(policy: Json) -> bytes:
    """The compiled bytes of such a policy."""
    text = "\n".join(f"{name} = {toml(value)}" for name, value in policy.items())
    return compile_text(text, "e2e.toml", TODAY).data


def naming(secrets: Iterable[str]) -> Policy:
    """A policy whose only use is to name the secrets that a gateway is started with."""
    policy = make_policy({"ollama": "http://127.0.0.1:9/v1"}, "ollama/none")
    policy["client"] = {"keys": list(secrets)}
    text = "\n".join(f"{name} = {toml(value)}" for name, value in policy.items())
    return compile_text(text, "e2e.toml", TODAY).policy


class Gateway:
    """A running gateway, with its own store, and clients for it."""

    def __init__(
        self, host: Host, folder: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        """`environment`: of the host, beside the secrets."""
        self.host = host
        self.folder = folder
        self.running = host.start(folder, naming(SECRETS), {**SECRETS, **(environment or {})})
        self.store = self.running.store
        self.url = f"http://{self.running.address[0]}:{self.running.address[1]}"
        self.http = httpx.Client(base_url=self.url, timeout=30, trust_env=False)
        self._checked_lines = 0
        self._checked_complaints = 0

    def stop(self) -> None:
        self.http.close()
        self.running.stop()

    def use(self, policy: Json) -> str:
        """Publishes a policy; what `x-tiergate-policy` says of it."""
        return publish(self.store, compiled(policy)).policy.label

    def chat(
        self, *, headers: Mapping[str, str] | None = None, model: str = "auto", **more: object
    ) -> httpx.Response:
        """The answer to a chat request, read to its end."""
        body = {"model": model, "messages": HELLO, **more}
        return self.http.post("/v1/chat/completions", json=body, headers=headers)

    def post(self, body: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The answer to exactly these bytes."""
        return self.http.post(
            "/v1/chat/completions",
            content=body,
            headers={"content-type": "application/json", **(headers or {})},
        )

    @contextmanager
    def streaming(
        self, *, headers: Mapping[str, str] | None = None, model: str = "auto", **more: object
    ) -> Iterator[httpx.Response]:
        """A streamed chat whose body is still to be read."""
        body = {"model": model, "messages": HELLO, "stream": True, **more}
        with self.http.stream("POST", "/v1/chat/completions", json=body, headers=headers) as answer:
            yield answer

    def streamed(self, **more: Any) -> tuple[httpx.Response, bytes]:  # noqa: ANN401 - a JSON body
        """A streamed chat, and all the bytes of its body."""
        with self.streaming(**more) as answer:
            return answer, b"".join(answer.iter_raw())

    def sdk(self, key: str = "unused") -> openai.OpenAI:
        """The official client, pointed here."""
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=30)

    def async_sdk(self, key: str = "unused") -> openai.AsyncOpenAI:
        """The official asynchronous client, pointed here."""
        return openai.AsyncOpenAI(base_url=f"{self.url}/v1", api_key=key, max_retries=0, timeout=30)

    def connect(self, seconds: float = 20) -> socket.socket:
        """A bare connection, for bytes that no HTTP client would send."""
        return socket.create_connection(self.running.address, timeout=seconds)

    def record_of(self, answer: httpx.Response) -> Json:
        """The decision record of an answered request."""
        return self.record(answer.headers["x-tiergate-request-id"])

    def record(self, request_id: str, seconds: float = 5) -> Json:
        """The decision record with this id; it is written after the last byte."""
        deadline = time.monotonic() + seconds
        while True:
            seen = self.running.lines
            for line in reversed(seen):
                if request_id in line:
                    record: Json = json.loads(line)
                    return record
            left = deadline - time.monotonic()
            assert left > 0, f"no record of {request_id} in {seen[-5:]}"
            self.running.wait_line(len(seen), left)

    def records(self, since: int = 0) -> list[Json]:
        """Every record since a line number, oldest first."""
        found = (json.loads(line) for line in self.running.lines[since:])
        return [record for record in found if record["event"] == "request"]

    def check(self) -> None:
        """No defect, no trap and no secret in what was logged since the last check."""
        lines, complaints = self.running.lines, self.running.complaints()
        new = "".join(lines[self._checked_lines :]) + complaints[self._checked_complaints :]
        new_complaints = complaints[self._checked_complaints :]
        self._checked_lines, self._checked_complaints = len(lines), len(complaints)
        assert '"defect"' not in new, new[-2000:]
        assert not any(secret in new for secret in SECRETS.values())
        assert not any(word in new_complaints for word in ("trap", "wasm", "panick")), (
            new_complaints[-2000:]
        )


def error_of(answer: httpx.Response) -> Json:
    """The error of an answer, in exactly the members that OpenAI's have."""
    assert answer.headers["content-type"] == "application/json"
    value = answer.json()
    assert set(value) == {"error"}
    error: Json = value["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert isinstance(error["message"], str)
    assert error["message"]
    assert isinstance(error["type"], str)
    return error


def events_of(body: bytes) -> list[Any]:
    """The data of a stream's events, parsed; `[DONE]` as it is."""
    return [
        "[DONE]" if line == b"data: [DONE]" else json.loads(line.removeprefix(b"data: "))
        for line in body.splitlines()
        if line.startswith(b"data: ")
    ]


def text_of(body: bytes) -> str:
    """The content that a stream's events add up to."""
    pieces = [
        choice["delta"].get("content") or ""
        for event in events_of(body)
        if event != "[DONE]"
        for choice in event.get("choices", [])
    ]
    return "".join(pieces)


TIERS = ("fast", "balanced", "quality", "reasoning")
MODELS = {"fast": "small", "balanced": "medium", "quality": "large", "reasoning": "reasoner"}


def judged(mock_url: str, **fields: object) -> Json:
    """Four tiers of the mock provider, judged by its `judge`, with time for a busy machine."""
    return make_policy(
        {"mock": mock_url},
        **{
            "tiers": [tier(name, f"mock/{MODELS[name]}") for name in TIERS],
            "name": "judged",
            "default_tier": "balanced",
            "classifier": {"model": "mock/judge", "timeout_ms": 5000, "cooldown_ms": 60_000},
            **fields,
        },
    )
