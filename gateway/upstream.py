"""One exchange with a provider: opened, and its answer or refusal read.

Rules: a whole answer is read to its verified end; of a provider's headers the client sees an
allow-list; of its error, the message that its dialect says is for users, without our key in it.
"""

from gateway.core.errors import Rejected
from gateway.core.http import HeaderPairs, Headers
from gateway.core.outcomes import Outcome
from gateway.core.policy import Target
from gateway.exchange import Answer, AttemptFailed, Exchange
from gateway.outgoing import to_provider
from gateway.ports import AttemptTimeouts, TransportError, Upstream
from gateway.relay import Relay

MAX_ERROR = 64 * 1024  # a provider's error is read for its message only
# Characters of a provider's error that the client is shown: a page of HTML is no message.
MAX_MESSAGE = 4_000
MAX_WORD = 200
# An answer that took so long can afford what it costs to watch each of its chunks; one that comes
# sooner is bounded by the timeout that the request was opened with.
WATCHED_AFTER_SECONDS = 1.0
# Bytes. What a provider's headers may take of our head: nginx's defaults for one and for all.
MAX_HEADER = 8 * 1024
MAX_HEADERS = 32 * 1024


async def open_upstream(exchange: Exchange, target: Target) -> Upstream:
    """The target's response, once its head is there. Raises BadRequest where it cannot be told,
    TransportError."""
    provider = exchange.provider_of(target)
    written = exchange.asked.written(provider, target.model)
    request = to_provider(provider, target.model, written, exchange.headers, exchange.ports.secrets)
    timeouts = exchange.timeouts
    remaining = max(1, exchange.remaining_ms())
    if remaining > 10_000:  # in whole seconds, so that a host can reuse what it made of them
        remaining -= remaining % 1000
    first = between = min(timeouts.whole_ms, remaining)  # it is silent while the model thinks
    if exchange.asked.is_stream:
        first = min(timeouts.first_content_ms, remaining)
        # Before its first content a stream may be silent for longer: `relay` looks closer.
        between = min(max(timeouts.first_content_ms, timeouts.between_bytes_ms), remaining)
    return await exchange.ports.http.open(
        request,
        AttemptTimeouts(
            connect_ms=min(timeouts.connect_ms, remaining),
            first_byte_ms=first,
            between_bytes_ms=between,
        ),
    )


async def read_answer(
    exchange: Exchange, target: Target, upstream: Upstream, started: float
) -> Answer:
    """What the client gets. Raises AttemptFailed, TransportError."""
    asked, record, provider = exchange.asked, exchange.record, exchange.provider_of(target)
    headers = shown_headers(exchange, target, upstream)
    if asked.is_stream:
        relay = Relay(exchange, target, upstream, started)
        await relay.hold()
        if relay.has_content:
            now = exchange.ports.clock.monotonic()
            record.first_content_ms = (now - record.started) * 1000
        return Answer(headers, relay)
    until = started + exchange.timeouts.whole_ms / 1000
    body = await _read_whole(exchange, upstream, exchange.ports.limits.answer, until)
    outcome, usage, body = asked.read_whole(body, provider, exchange.about(target))
    if outcome is Outcome.EMPTY:
        raise AttemptFailed(outcome, body, usage)
    if outcome is not Outcome.ANSWERED:
        raise AttemptFailed(outcome)
    record.usage = usage
    return Answer(headers, body)


def shown_headers(exchange: Exchange, target: Target, upstream: Upstream) -> HeaderPairs:
    """The headers of an answer, for the client."""
    headers = answer_headers(upstream.headers)
    if exchange.asked.dialect_of(exchange.provider_of(target)) is exchange.dialect:
        return headers
    kind = _EVENTS if exchange.asked.is_stream else _JSON
    return [*[pair for pair in headers if pair[0] != _TYPE], (_TYPE, kind)]


async def read_rejection(exchange: Exchange, target: Target, upstream: Upstream) -> Rejected:
    """The provider's refusal, as it is given back: of its body what came whole, or nothing."""
    try:
        until = exchange.ports.clock.monotonic() + exchange.timeouts.between_bytes_ms / 1000
        body = await _read_whole(exchange, upstream, MAX_ERROR, until, is_watched=True)
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
    error.headers = [pair for pair in answer_headers(upstream.headers) if pair[0] != _TYPE]
    return error


async def _read_whole(
    exchange: Exchange, upstream: Upstream, limit: int, until: float, *, is_watched: bool = False
) -> bytes:
    """`until` in monotonic seconds."""
    clock = exchange.ports.clock
    watched_from = 0.0 if is_watched else exchange.record.started + WATCHED_AFTER_SECONDS
    until = min(until, exchange.deadline)
    parts: list[bytes] = []
    size = 0
    while True:
        now = clock.monotonic()  # once: it is a call of the host
        left = int((until - now) * 1000)
        if left <= 0:
            is_over = until == exchange.deadline
            raise AttemptFailed(Outcome.DEADLINE if is_over else Outcome.STALLED)
        chunk = await upstream.read(left if now >= watched_from else None)
        if not chunk:
            break
        size += len(chunk)
        if size > limit:
            raise AttemptFailed(Outcome.TOO_LARGE)
        parts.append(chunk)
    return parts[0] if len(parts) == 1 else b"".join(parts)


_INVALID = "invalid_request_error"
_TYPE = "content-type"
_JSON, _EVENTS = "application/json", "text/event-stream"
_KEPT = frozenset({_TYPE, "retry-after", "retry-after-ms"})
_REQUEST_IDS = frozenset({"x-request-id", "request-id", "cf-ray", "x-groq-id"})
_RATE_LIMITS = ("x-ratelimit-", "ratelimit-", "anthropic-ratelimit-")


def answer_headers(headers: Headers) -> HeaderPairs:
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
