"""The attempts of a plan, one after the other, until one answers.

Rules: a whole answer is read to its verified end before anything is sent; a stream is held until
its first content (`relay.py`). What has been sent is never contradicted.
"""

from dataclasses import dataclass

from gateway.core.errors import BadRequest, Rejected, UpstreamError
from gateway.core.http import BodyStream, HeaderPairs, Headers, Outgoing
from gateway.core.outcomes import Attempt, Outcome, all_failed, of_status
from gateway.core.plan import Plan, no_target
from gateway.core.policy import Target
from gateway.exchange import AttemptFailed, Exchange
from gateway.outgoing import to_provider
from gateway.ports import AttemptTimeouts, TransportError, Upstream
from gateway.relay import Relay

MAX_ERROR = 64 * 1024  # a provider's error is read for its message only
# Characters of a provider's error that the client is shown: a page of HTML is no message.
MAX_MESSAGE = 4_000
MAX_WORD = 200
# Bytes. What a provider's headers may take of our head: nginx's defaults for one and for all.
MAX_HEADER = 8 * 1024
MAX_HEADERS = 32 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What the client gets from the target that answered."""

    headers: HeaderPairs
    body: bytes | BodyStream


async def forward(exchange: Exchange, plan: Plan) -> Answer:
    """The first answer of the plan. Raises BadRequest, NotReady, Rejected, UpstreamError."""
    if not plan.attempts:
        raise no_target(plan)
    record, clock = exchange.record, exchange.ports.clock
    unsayable: BadRequest | None = None
    for target in plan.attempts:
        if exchange.remaining_ms() <= 0:
            break
        provider = exchange.provider_of(target)
        try:
            written = exchange.asked.written(provider, target.model)
        except BadRequest as error:  # a value that this dialect has no way to say
            unsayable = unsayable or error
            continue
        request = to_provider(
            provider, target.model, written, exchange.headers, exchange.ports.secrets
        )
        started = clock.monotonic()
        outcome, status, retry_after = Outcome.UNREACHABLE, None, None
        upstream: Upstream | None = None
        answer: Answer | None = None
        try:
            upstream = await _open(exchange, request)
            status = upstream.status
            retry_after = upstream.headers.get("retry-after")
            outcome = of_status(status)
            if outcome is Outcome.REJECTED:
                record.answered_by = target
                raise await _rejection(exchange, target, upstream)
            if outcome is Outcome.ANSWERED:
                answer = await _read(exchange, target, upstream, started)
                record.dropped = plan.dropped.get(target.id, ())
                return answer
        except (AttemptFailed, TransportError) as failure:
            outcome = failure.outcome
        finally:
            ms = (clock.monotonic() - started) * 1000
            record.attempts.append(Attempt(target.id, outcome, ms, status, retry_after))
            if upstream is not None and (answer is None or isinstance(answer.body, bytes)):
                await upstream.close()
    if exchange.remaining_ms() <= 0:
        raise _deadline(exchange)
    if unsayable and not record.attempts:
        raise unsayable
    raise all_failed(record.attempts)


async def _open(exchange: Exchange, request: Outgoing) -> Upstream:
    is_stream, timeouts = exchange.asked.is_stream, exchange.policy.timeouts
    remaining = max(1, exchange.remaining_ms())
    if remaining > 10_000:  # in whole seconds, so that a host can reuse what it made of them
        remaining -= remaining % 1000
    # A whole answer is silent while the model thinks: only the total bounds it.
    return await exchange.ports.http.open(
        request,
        AttemptTimeouts(
            connect_ms=min(timeouts.connect_ms, remaining),
            first_byte_ms=min(timeouts.first_byte_ms, remaining) if is_stream else remaining,
            between_bytes_ms=(
                min(timeouts.between_bytes_ms, remaining) if is_stream else remaining
            ),
        ),
    )


async def _read(exchange: Exchange, target: Target, upstream: Upstream, started: float) -> Answer:
    headers = _answer_headers(upstream.headers)
    asked, record, provider = exchange.asked, exchange.record, exchange.provider_of(target)
    if asked.dialect_of(provider) is not exchange.dialect:
        headers = [pair for pair in headers if pair[0] != _TYPE]
        headers.append((_TYPE, _EVENTS if asked.is_stream else _JSON))
    if not asked.is_stream:
        body = await _read_whole(exchange, upstream, exchange.ports.limits.answer)
        outcome, usage, body = asked.read_whole(body, provider, exchange.about(target))
        if outcome is not Outcome.ANSWERED:
            raise AttemptFailed(outcome)
        record.answered_by, record.usage = target, usage
        return Answer(headers, body)
    relay = Relay(exchange, target, upstream, started)
    await relay.hold()
    record.answered_by = target
    if relay.has_content:
        record.first_content_ms = exchange.elapsed_ms()
    return Answer(headers, relay)


async def _read_whole(exchange: Exchange, upstream: Upstream, limit: int) -> bytes:
    parts: list[bytes] = []
    size = 0
    while chunk := await upstream.read():
        size += len(chunk)
        if size > limit:
            raise AttemptFailed(Outcome.TOO_LARGE)
        if exchange.remaining_ms() <= 0:
            raise AttemptFailed(Outcome.DEADLINE)
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


async def _rejection(exchange: Exchange, target: Target, upstream: Upstream) -> Rejected:
    """The provider's refusal, as it is given back: of its body what came whole, or nothing."""
    try:
        body = await _read_whole(exchange, upstream, MAX_ERROR)
    except (AttemptFailed, TransportError):
        body = b""
    provider = exchange.provider_of(target)
    secret = exchange.ports.secrets.get(provider.key) if provider.key else None

    def shown(text: str | None, most: int) -> str | None:
        return text and (text.replace(secret, "[redacted]") if secret else text)[:most]

    found = exchange.asked.dialect_of(provider).read_error(upstream.status, body)
    error = Rejected(
        upstream.status,
        shown(found.message, MAX_MESSAGE) or "",
        type=shown(found.type, MAX_WORD) or _INVALID,
        code=shown(found.code, MAX_WORD),
        param=shown(found.param, MAX_WORD),
    )
    error.headers = [pair for pair in _answer_headers(upstream.headers) if pair[0] != _TYPE]
    return error


_INVALID = "invalid_request_error"
_TYPE = "content-type"
_JSON, _EVENTS = "application/json", "text/event-stream"
_KEPT = frozenset({_TYPE, "retry-after"})
_REQUEST_IDS = frozenset({"x-request-id", "request-id", "cf-ray", "x-groq-id"})
_RATE_LIMITS = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-")


def _answer_headers(headers: Headers) -> HeaderPairs:
    """What of a provider's headers the client may see: an allow-list, within bounds."""
    pairs: HeaderPairs = []
    size = 0
    for name, value in headers.pairs:
        if name in _KEPT:
            shown = name
        elif name in _REQUEST_IDS or name.startswith(_RATE_LIMITS):
            shown = f"x-tiergate-upstream-{name}"
        else:
            continue
        size += len(shown) + len(value)
        if len(value) <= MAX_HEADER and size <= MAX_HEADERS:
            pairs.append((shown, value))
    return pairs


def _deadline(exchange: Exchange) -> UpstreamError:
    tried = ", ".join(f"{item.target} ({item.outcome})" for item in exchange.record.attempts)
    return UpstreamError(
        504,
        f"The request's time was up{f'; tried {tried}' if tried else ''}.",
        code="deadline_exceeded",
    )
