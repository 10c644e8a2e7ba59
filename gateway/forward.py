"""The attempts of a plan, one after the other, until one answers.

Rules: a whole answer is read to its verified end before anything is sent; a stream is held until
its first content (or, with the full guard, until its verified end), so that until then the next
target can still serve the client. What has been sent is never contradicted: after that a failure is
one error event and no clean end.
"""

from collections.abc import AsyncGenerator
from dataclasses import dataclass

from gateway.core.chat import ChatRequest
from gateway.core.decide import StreamGuard
from gateway.core.dialects import openai_chat
from gateway.core.errors import Rejected, UpstreamError
from gateway.core.http import HeaderPairs, Headers
from gateway.core.outcomes import Attempt, Outcome, all_failed, of_status
from gateway.core.plan import Plan, no_target
from gateway.core.policy import Policy, Target
from gateway.core.record import Record
from gateway.core.sse import SseDecoder, SseError, SseEvent
from gateway.outgoing import to_provider
from gateway.ports import AttemptTimeouts, Ports, TransportError, Upstream

# Bytes. A provider's answer, whole or held back: as large as the largest request (hosts: 32 MiB).
MAX_ANSWER = 32 * 1024 * 1024
MAX_ERROR = 64 * 1024  # a provider's error is read for its message only


class _Failed(Exception):
    """This attempt is over; the outcome says whether the next target is tried."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome)
        self.outcome = outcome


@dataclass(frozen=True, slots=True)
class Exchange:
    """One request on its way: what all its attempts share. `deadline` is monotonic seconds."""

    policy: Policy
    chat: ChatRequest
    headers: Headers
    guard: StreamGuard
    deadline: float
    record: Record
    ports: Ports

    def remaining_ms(self) -> int:
        return int((self.deadline - self.ports.clock.monotonic()) * 1000)

    def elapsed_ms(self) -> float:
        return (self.ports.clock.monotonic() - self.record.started) * 1000


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets from the target that answered."""

    headers: HeaderPairs
    body: bytes | AsyncGenerator[bytes]


async def forward(exchange: Exchange, plan: Plan) -> Answer:
    """The first answer of the plan. Raises BadRequest, NotReady, Rejected, UpstreamError."""
    if not plan.attempts:
        raise no_target(plan)
    record, clock = exchange.record, exchange.ports.clock
    for target in plan.attempts:
        if exchange.remaining_ms() <= 0:
            break
        started = clock.monotonic()
        outcome, status, retry_after = Outcome.UNREACHABLE, None, None
        upstream: Upstream | None = None
        answer: Answer | None = None
        try:
            upstream = await _open(exchange, target)
            status = upstream.status
            retry_after = upstream.headers.get("retry-after")
            outcome = of_status(status)
            if outcome is Outcome.REJECTED:
                record.answered_by = target
                raise await _rejection(exchange, target, upstream)
            if outcome is Outcome.ANSWERED:
                answer = await _read(exchange, target, upstream)
                return answer
        except (_Failed, TransportError) as failure:
            outcome = failure.outcome
        finally:
            ms = (clock.monotonic() - started) * 1000
            record.attempts.append(Attempt(target.id, outcome, ms, status, retry_after))
            if upstream is not None and (answer is None or isinstance(answer.body, bytes)):
                await upstream.close()
    if exchange.remaining_ms() <= 0:
        raise _deadline(exchange)
    raise all_failed(record.attempts)


async def _open(exchange: Exchange, target: Target) -> Upstream:
    provider = exchange.policy.providers[target.provider]
    chat, timeouts = exchange.chat, exchange.policy.timeouts
    body = openai_chat.encode_request(chat, target.model, ask_usage=_asks_usage(exchange, target))
    request = to_provider(provider, body, exchange.headers, exchange.ports.secrets)
    remaining = max(1, exchange.remaining_ms())
    if remaining > 10_000:  # in whole seconds, so that a host can reuse what it made of them
        remaining += -remaining % 1000
    # A whole answer is silent while the model thinks: only the total bounds it.
    return await exchange.ports.http.open(
        request,
        AttemptTimeouts(
            connect_ms=min(timeouts.connect_ms, remaining),
            first_byte_ms=min(timeouts.first_byte_ms, remaining) if chat.is_stream else remaining,
            between_bytes_ms=(
                min(timeouts.between_bytes_ms, remaining) if chat.is_stream else remaining
            ),
        ),
    )


def _asks_usage(exchange: Exchange, target: Target) -> bool:
    """Whether we ask for usage in the stream on our own, and so hide the chunk that brings it."""
    chat = exchange.chat
    provider = exchange.policy.providers[target.provider]
    return chat.is_stream and not chat.wants_usage and provider.sends_usage_on_request


async def _read(exchange: Exchange, target: Target, upstream: Upstream) -> Answer:
    headers = _answer_headers(upstream.headers)
    record = exchange.record
    if not exchange.chat.is_stream:
        body = await _read_whole(exchange, upstream, MAX_ANSWER)
        outcome, usage = openai_chat.read_answer(body)
        if outcome is not Outcome.ANSWERED:
            raise _Failed(outcome)
        record.answered_by, record.usage = target, usage
        return Answer(headers, body)
    relay = Relay(exchange, target, upstream)
    await relay.hold()
    record.answered_by = target
    record.first_content_ms = exchange.elapsed_ms()
    return Answer(headers, relay.body())


async def _read_whole(exchange: Exchange, upstream: Upstream, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := await upstream.read():
        size += len(chunk)
        if size > limit:
            raise _Failed(Outcome.TOO_LARGE)
        if exchange.remaining_ms() <= 0:
            raise _Failed(Outcome.DEADLINE)
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Relay:
    """A provider's stream on its way to the client, event by event."""

    def __init__(self, exchange: Exchange, target: Target, upstream: Upstream) -> None:
        self._exchange = exchange
        self._upstream = upstream
        self._decoder = SseDecoder()
        self._hides_usage = _asks_usage(exchange, target)
        self._held = b""
        self._has_content = False
        self._is_finished = False
        self._is_done = False
        self._failure: Outcome | None = None

    async def hold(self) -> None:
        """Reads until the answer may be sent. Raises _Failed, TransportError."""
        parts: list[bytes] = []
        size = 0
        is_full = self._exchange.guard == "full"
        while not self._is_done and (is_full or not self._has_content):
            part = await self._next()
            if self._failure:
                raise _Failed(self._failure)
            size += len(part)
            if size > MAX_ANSWER:
                raise _Failed(Outcome.TOO_LARGE)
            parts.append(part)
        self._held = b"".join(parts)

    async def body(self) -> AsyncGenerator[bytes]:
        """The bytes for the client. Closing it early says that the client is gone."""
        exchange, record = self._exchange, self._exchange.record
        try:
            yield self._held
            while not self._is_done:
                if part := await self._next():
                    yield part
        except (_Failed, TransportError) as failure:
            self._correct(failure.outcome)
            error = UpstreamError(
                502,
                f"The provider's stream broke off ({failure.outcome}): this answer is incomplete.",
                code="upstream_stream_broken",
            )
            record.error = error.code
            yield openai_chat.error_event(error)
        except GeneratorExit:
            self._correct(Outcome.CLIENT_GONE)
            raise
        finally:
            await self._upstream.close()
            exchange.ports.log.write(record.line(200, exchange.elapsed_ms()))

    def _correct(self, outcome: Outcome) -> None:
        """The attempt looked answered when its head was sent; now more is known of it."""
        attempts = self._exchange.record.attempts
        last = attempts[-1]
        attempts[-1] = Attempt(last.target, outcome, self._exchange.elapsed_ms(), last.status)

    async def _next(self) -> bytes:
        """The next bytes to show, possibly none. Sets `_is_done` at the verified end.

        What came before a failure in the same chunk is shown first: the failure is raised by the
        next call.
        """
        if self._failure:
            raise _Failed(self._failure)
        if self._exchange.remaining_ms() <= 0:
            raise _Failed(Outcome.DEADLINE)
        chunk = await self._upstream.read()
        try:
            events = self._decoder.feed(chunk) if chunk else self._decoder.finish()
        except SseError:
            if chunk or not self._is_finished:
                raise _Failed(Outcome.TOO_LARGE if chunk else Outcome.CUT) from None
            events = []  # what is cut after a finish reason is nothing the client needs
        shown: list[bytes] = []
        for event in events:
            self._take(event, shown)
            if self._failure or self._is_done:
                return b"".join(shown)
        if not chunk:
            if self._is_finished:
                self._is_done = True
                shown.append(openai_chat.DONE)  # only its last word was missing
            else:
                self._failure = Outcome.CUT
        return b"".join(shown)

    def _take(self, raw_event: SseEvent, shown: list[bytes]) -> None:
        event = openai_chat.read_event(raw_event)
        if event is None:
            self._failure = Outcome.MALFORMED
        elif event.error is not None:
            self._failure = Outcome.ERROR_IN_STREAM
        elif event.is_done and not self._is_finished:
            self._failure = Outcome.CUT
        else:
            self._has_content = self._has_content or event.has_content
            self._is_finished = self._is_finished or event.is_finish
            self._is_done = event.is_done
            if event.usage is not None:
                self._exchange.record.usage = event.usage
            if not (event.is_usage_only and self._hides_usage):
                shown.append(event.raw)


async def _rejection(exchange: Exchange, target: Target, upstream: Upstream) -> Rejected:
    """The provider's refusal, as it is given back. An error's body is not worth waiting for."""
    try:
        body = await _read_whole(exchange, upstream, MAX_ERROR)
    except (_Failed, TransportError):
        body = b""
    message, type_, code, param = openai_chat.read_error(upstream.status, body)
    key = exchange.policy.providers[target.provider].key
    secret = exchange.ports.secrets.get(key) if key else None
    if secret:
        message = message.replace(secret, "[redacted]")
    error = Rejected(upstream.status, message, type=type_, code=code, param=param)
    error.headers = [pair for pair in _answer_headers(upstream.headers) if pair[0] != _TYPE]
    return error


_TYPE = "content-type"
_REQUEST_IDS = frozenset({"x-request-id", "request-id", "cf-ray", "x-groq-id"})
_RATE_LIMITS = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-")


def _answer_headers(headers: Headers) -> HeaderPairs:
    """What of a provider's headers the client may see: an allow-list."""
    pairs: HeaderPairs = []
    for name, value in headers.pairs:
        if name in {_TYPE, "retry-after"}:
            pairs.append((name, value))
        elif name in _REQUEST_IDS or name.startswith(_RATE_LIMITS):
            pairs.append((f"x-tiergate-upstream-{name}", value))
    return pairs


def _deadline(exchange: Exchange) -> UpstreamError:
    tried = ", ".join(f"{item.target} ({item.outcome})" for item in exchange.record.attempts)
    return UpstreamError(
        504,
        f"The request's time was up{f'; tried {tried}' if tried else ''}.",
        code="deadline_exceeded",
    )
