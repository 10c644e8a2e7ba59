"""A gateway on the memory host, and what its providers say.

Every answer that is asked for here is held to what holds for all of them: the contract's headers,
the shape of errors, valid decision records, no secret and no prompt text where none belongs.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import jsonschema

from gateway.core.http import BodyStream, Headers, Outgoing, Request, Response
from gateway.core.sse import SseDecoder
from gateway.flow import respond
from gateway.hosts.memory import (
    Canned,
    MemoryClock,
    MemoryHttp,
    MemoryKv,
    MemoryLog,
    MemoryUpstream,
    Script,
    memory_ports,
    run,
)
from gateway.ports import AttemptTimeouts, Ports, Stalled, TransportError
from tests.core.samples import compiled

PROMPT = "PROMPT-MARKER what is 2 + 2?"
KEYS = {
    "ALPHA_KEY": "sk-alpha-SECRET",
    "BETA_KEY": "sk-beta-SECRET",
    "JUDGE_KEY": "sk-judge-SECRET",
    "CLIENT_KEY": "tg-client-SECRET",
    "OTHER_KEY": "tg-other-SECRET",
}
CHAT = "/v1/chat/completions"
COUNTS = {"prompt_tokens": 1_000, "completion_tokens": 500}

_SCHEMA = Path(__file__).parents[2] / "docs" / "decision-record.schema.json"
_VALIDATOR = jsonschema.Draft202012Validator(json.loads(_SCHEMA.read_text()))

# --- what clients and providers send -----------------------------------------


def body(**members: object) -> bytes:
    """A client's request whose prompt can be recognised."""
    values: dict[str, object] = {"model": "auto", "messages": [{"role": "user", "content": PROMPT}]}
    return json.dumps({**values, **members}).encode()


def answer(content: str = "4", usage: object = COUNTS, **members: object) -> bytes:
    message = {"role": "assistant", "content": content}
    choices = [{"index": 0, "message": message, "finish_reason": "stop"}]
    values = {"id": "x", "object": "chat.completion", "choices": choices, **members}
    return json.dumps(values if usage is None else {**values, "usage": usage}).encode()


def whole(content: str = "4", usage: object = COUNTS, **headers: str) -> Canned:
    """A provider's whole answer, in two chunks."""
    data = answer(content, usage)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Canned(200, {"content-type": "application/json", **named}, [data[:20], data[20:]])


def refusal(status: int, message: str = "No.", headers: Mapping[str, str] | None = None) -> Canned:
    """A provider's error."""
    error = {"message": message, "type": "their_type", "code": "their_code", "param": "temperature"}
    return Canned(
        status,
        {"content-type": "application/json", **(headers or {})},
        [json.dumps({"error": error}).encode()],
    )


def event(value: object) -> bytes:
    return b"data: " + json.dumps(value).encode() + b"\n\n"


def chunk(delta: object, finish: str | None = None, **members: object) -> bytes:
    return event({"choices": [{"index": 0, "delta": delta, "finish_reason": finish}], **members})


ROLE = chunk({"role": "assistant", "content": ""})
FINISH = chunk({}, "stop")
USAGE = event({"choices": [], "usage": COUNTS})
ERROR = event({"error": {"message": "overloaded", "type": "server_error"}})
DONE = b"data: [DONE]\n\n"


def text(content: str) -> bytes:
    return chunk({"content": content})


def streamed(*chunks: bytes, failure: TransportError | None = None, **headers: str) -> Canned:
    """A provider's stream, as it is cut into chunks."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Canned(200, {"content-type": "text/event-stream", **named}, chunks, failure)


def judged(tier: str) -> Canned:
    """The classifier's answer."""
    return Canned(200, {}, [answer(json.dumps({"tier": tier}))])


# --- the gateway -------------------------------------------------------------


@dataclass(frozen=True)
class Got:
    """An answer, read to its end."""

    status: int
    headers: dict[str, str]
    chunks: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.chunks)

    @property
    def json(self) -> Any:  # noqa: ANN401 - any JSON
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        """What an OpenAI client reads of an error."""
        error: dict[str, Any] = self.json["error"]
        assert set(self.json) == {"error"}
        assert set(error) == {"message", "type", "param", "code"}
        return error

    @property
    def events(self) -> list[bytes]:
        """The data of each event of a stream."""
        decoder = SseDecoder()
        found = decoder.feed(self.body)
        assert decoder.finish() == []
        return [event.data for event in found if event.data]


@dataclass(frozen=True)
class World:
    """A memory host with its parts at hand."""

    ports: Ports
    kv: MemoryKv
    http: MemoryHttp
    clock: MemoryClock
    log: MemoryLog

    def ask(
        self,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        path: str = CHAT,
        method: str = "POST",
        **request: Any,  # noqa: ANN401 - members of Request
    ) -> Got:
        """The answer to a request; a chat request unless told otherwise."""
        return run(self._ask(data, headers, path, method, request))

    def get(self, path: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> Got:
        return self.ask(b"", headers, path, method)

    async def begin(
        self, data: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Response:
        """The answer with its body unread."""
        fields = Headers((headers or {}).items())
        return await respond(Request("POST", CHAT, fields, data or body()), self.ports)

    async def _ask(
        self,
        data: bytes | None,
        headers: Mapping[str, str] | None,
        path: str,
        method: str,
        members: dict[str, Any],
    ) -> Got:
        fields = Headers((headers or {}).items())
        sent = body() if data is None else data
        response = await respond(Request(method, path, fields, sent, **members), self.ports)
        got = await read(response)
        check(got, self)
        if method != "HEAD" and got.status >= 400:
            assert got.json["error"]["message"], "where every dialect has it"
        return got

    @property
    def records(self) -> list[dict[str, Any]]:
        """The decision records so far, each valid under the schema."""
        return [line for line in self.news if line["event"] == "request"]

    @property
    def record(self) -> dict[str, Any]:
        return self.records[-1]

    @property
    def news(self) -> list[dict[str, Any]]:
        """All log lines so far."""
        lines: list[dict[str, Any]] = [json.loads(line) for line in self.log.lines]
        for line in lines:
            if line["event"] == "request":
                _VALIDATOR.validate(line)
        return lines

    @property
    def asked(self) -> list[str]:
        """Who was sent a request, by host."""
        return [request.authority for request in self.http.requests]

    def sent(self, number: int = -1) -> Any:  # noqa: ANN401 - any JSON
        """The body of a request to a provider."""
        return json.loads(self.http.requests[number].body)

    def after(self, seconds: float, script: Canned | TransportError) -> Script:
        """That answer, after so much time."""

        def late(_: Outgoing) -> Canned:
            self.clock.time += seconds
            if isinstance(script, TransportError):
                raise script
            return script

        return late


def world(
    *upstreams: Script,
    secrets: Mapping[str, str] | None = None,
    draws: Iterable[float] = (),
    kv: MemoryKv | None = None,
    http: MemoryHttp | None = None,
    **changes: Any,  # noqa: ANN401 - members of the policy
) -> World:
    """A gateway with the sample policy, changed as `tests.core.samples.sample` says."""
    ports = memory_ports(
        compiled(**changes), upstreams, KEYS if secrets is None else secrets, draws
    )
    if kv is not None:
        ports = replace(ports, kv=kv)
    if http is not None:
        http.upstreams += upstreams
        ports = replace(ports, http=http)
    assert isinstance(ports.kv, MemoryKv)
    assert isinstance(ports.http, MemoryHttp)
    assert isinstance(ports.clock, MemoryClock)
    assert isinstance(ports.log, MemoryLog)
    return World(ports, ports.kv, ports.http, ports.clock, ports.log)


async def read(response: Response) -> Got:
    """An answer to its end, as a host reads it."""
    if isinstance(response.body, bytes):
        chunks = [response.body]
        if response.after:
            response.after()
    else:
        chunks = [part async for part in response.body]
        assert all(chunks), "an empty chunk ends a body on some hosts"
    headers = dict(response.headers)
    assert len(headers) == len(response.headers), "no header is sent twice"
    return Got(response.status, headers, chunks)


def check(got: Got, world: World) -> None:
    """What holds for every answer."""
    assert got.headers["x-tiergate-schema"] == "1"
    assert got.headers["x-tiergate-request-id"] == "0" * 32
    assert "total;dur=" in got.headers["server-timing"]
    assert all(name == name.lower() for name in got.headers)
    if got.status >= 400 or not got.headers["content-type"].startswith("text/event-stream"):
        assert got.headers["content-type"] == "application/json"
    check_secrecy(got, world)


def check_secrecy(got: Got | None, world: World) -> None:
    """No secret in an answer or a log line, and no word of the prompt in a log line."""
    log = "\n".join(world.log.lines)
    assert "PROMPT-MARKER" not in log
    shown = [log] if got is None else [log, repr(got.headers), got.body.decode(errors="replace")]
    for value in KEYS.values():
        assert all(value not in part for part in shown)
    assert world.news is not None


@dataclass
class SlowUpstream(MemoryUpstream):
    """A canned response whose every read takes a while."""

    clock: MemoryClock | None = None
    seconds: float = 0.0

    async def read(self, within_ms: int | None = None) -> bytes:
        assert self.clock is not None
        if within_ms is not None and self.seconds * 1000 > within_ms:
            self.clock.time += within_ms / 1000
            raise Stalled
        self.clock.time += self.seconds
        return await super().read(within_ms)


@dataclass
class SlowHttp(MemoryHttp):
    """Providers whose every chunk takes `seconds` on the gateway's clock."""

    clock: MemoryClock | None = None
    seconds: float = 0.0

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> MemoryUpstream:
        opened = await super().open(request, timeouts)
        slow = SlowUpstream(opened.canned, clock=self.clock, seconds=self.seconds)
        self.opened[-1] = slow
        return slow


def slow_world(seconds: float, *upstreams: Script, **changes: Any) -> World:  # noqa: ANN401
    """A gateway whose providers take so many seconds for each chunk."""
    http = SlowHttp(seconds=seconds)
    found = world(*upstreams, http=http, **changes)
    http.clock = found.clock
    return found


async def drain(stream: BodyStream, count: int) -> list[bytes]:
    """The first chunks of a stream, which is left open."""
    return [await anext(stream) for _ in range(count)]
