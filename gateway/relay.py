"""A provider's stream on its way to the client, event by event.

Rules: nothing is shown before the first content (with the full guard: before the verified end), so
that until then the next target can still serve the client; what came before a failure is shown
before it; a failure after that is one error event and no clean end; the record is written once,
whichever way it ends.
"""

from gateway import health
from gateway.core.chat import Usage
from gateway.core.errors import UpstreamError
from gateway.core.outcomes import Attempt, Outcome
from gateway.core.pace import Pace
from gateway.core.policy import Target
from gateway.core.sse import SseCut, SseDecoder, SseError, SseEvent
from gateway.exchange import AttemptFailed, Exchange, write_record
from gateway.ports import Stalled, TransportError, Upstream


class Relay:
    """The body of a streamed answer. `started`: when its attempt began, in monotonic seconds."""

    def __init__(
        self, exchange: Exchange, target: Target, upstream: Upstream, started: float
    ) -> None:
        self._exchange = exchange
        self._upstream = upstream
        self._started = started
        provider = exchange.provider_of(target)
        self._watcher = exchange.asked.watcher(provider, exchange.about(target))
        self._hides_usage = exchange.asked.hides_usage(provider)
        self._decoder = SseDecoder()
        self._held = b""
        self._usage: Usage | None = None
        self._is_done = False
        self._is_closed = False
        self._failure: Outcome | None = None
        self._target = target
        self._said_at = started  # content, in monotonic seconds
        self._pace = Pace(exchange.timeouts.min_tokens_per_second)
        self._says_why = False  # an end that explains itself: a limit, a filter
        self.has_content = False

    async def hold(self) -> None:
        """Reads until the answer may be sent. Raises AttemptFailed, TransportError."""
        parts: list[bytes] = []
        size = 0
        is_full = self._exchange.guard == "full"
        while not self._is_done and (is_full or not self.has_content):
            part = await self._next()
            if self._failure:
                raise AttemptFailed(self._failure)
            size += len(part)
            if size > self._exchange.ports.limits.answer:
                raise AttemptFailed(Outcome.TOO_LARGE)
            parts.append(part)
        self._held = b"".join(parts)
        if self._is_done and not self.has_content and not self._says_why:
            raise AttemptFailed(Outcome.EMPTY, self._held, self._usage)

    def __aiter__(self) -> "Relay":
        return self

    async def __anext__(self) -> bytes:
        if self._held:
            held, self._held = self._held, b""
            return held
        try:
            while not self._is_done and not self._is_closed:
                if part := await self._next():
                    return part
        except (AttemptFailed, TransportError) as failure:
            return await self._broken(failure.outcome)
        except MemoryError:
            return await self._broken(Outcome.TOO_LARGE)
        except Exception:  # noqa: BLE001 - a defect of ours must not look like the answer's end
            return await self._broken(Outcome.MALFORMED)
        await self._close(Outcome.ANSWERED)
        raise StopAsyncIteration

    async def _broken(self, outcome: Outcome) -> bytes:
        """The last event of a stream that did not reach its end."""
        error = UpstreamError(
            502,
            f"The provider's stream broke off ({outcome}): this answer is incomplete.",
            code="upstream_stream_broken",
        )
        self._exchange.record.error = error.code
        await self._close(outcome)
        return self._watcher.fail(error)

    async def aclose(self) -> None:
        """Ends it where it is: the client has gone, if anything was left for it."""
        is_whole = self._is_done and not self._held
        await self._close(Outcome.ANSWERED if is_whole else Outcome.CLIENT_GONE)

    async def _close(self, outcome: Outcome) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        exchange, record = self._exchange, self._exchange.record
        record.usage = self._usage
        if outcome is not Outcome.ANSWERED:
            # It looked answered when its head was sent; now more is known.
            last = record.attempts[-1]
            ms = (exchange.ports.clock.monotonic() - self._started) * 1000
            record.attempts[-1] = Attempt(last.target, outcome, ms, last.status)
            await health.report(
                exchange.ports, exchange.policy, self._target, outcome, has_begun=True
            )
        await self._upstream.close()
        write_record(record, exchange.ports, 200)

    async def _next(self) -> bytes:
        """The next bytes to show, possibly none. Sets `_is_done` at the verified end.

        What came before a failure in the same chunk is shown first: the failure is raised by the
        next call.
        """
        if self._failure:
            raise AttemptFailed(self._failure)
        shown: list[bytes] = []
        try:
            chunk = await self._read()
        except (AttemptFailed, Stalled):  # it is silent, or our time is up: nothing was cut
            if not self._has_said_all(shown):
                raise
            return b"".join(shown)
        try:
            events = self._decoder.feed(chunk) if chunk else self._decoder.finish()
        except SseCut as cut:
            events = [cut.event]  # some providers end with no end of line
        except SseError:
            raise AttemptFailed(Outcome.TOO_LARGE) from None
        for event in events:
            self._take(event, shown)
            if self._failure is Outcome.MALFORMED and not chunk:
                self._failure = Outcome.CUT  # half of an event, since nothing follows it
            if self._failure or self._is_done:
                return b"".join(shown)
        if not chunk:
            self._end(shown)
        return b"".join(shown)

    async def _read(self) -> bytes:
        """The provider's next bytes, in time: until the first content, then between any two. Pings
        are bytes, but what has nothing more to say is not waited for without end."""
        exchange = self._exchange
        remaining, timeouts = exchange.remaining_ms(), exchange.timeouts
        if remaining <= 0:
            raise AttemptFailed(Outcome.DEADLINE)
        since = int((exchange.ports.clock.monotonic() - self._said_at) * 1000)
        if self.has_content:
            most = max(timeouts.whole_ms, timeouts.between_bytes_ms)
            within = min(timeouts.between_bytes_ms, most - since)
        else:
            within = timeouts.first_content_ms - since
        if within <= 0:
            raise AttemptFailed(Outcome.STALLED if self.has_content else Outcome.SILENT)
        try:
            return await self._upstream.read(min(within, remaining))
        except Stalled:
            if exchange.remaining_ms() <= 0:
                raise AttemptFailed(Outcome.DEADLINE) from None
            if self.has_content:
                raise
            raise AttemptFailed(Outcome.SILENT) from None

    def _take(self, raw_event: SseEvent, shown: list[bytes]) -> None:
        event = self._watcher.watch(raw_event)
        if event is None:
            self._failure = Outcome.MALFORMED
        elif event.error is not None:
            self._failure = Outcome.ERROR_IN_STREAM
        else:
            self.has_content = self.has_content or event.has_content
            self._says_why = self._says_why or event.says_why
            if event.has_content:
                self._said_at = now = self._exchange.ports.clock.monotonic()
                if self._pace.is_too_slow(now, raw_event.data):
                    self._failure = Outcome.TOO_SLOW
            if event.usage is not None:
                self._usage = event.usage
            if not (event.is_usage_only and self._hides_usage):
                shown.append(event.raw)
            if event.is_done:
                self._end(shown)

    def _end(self, shown: list[bytes]) -> None:
        """The provider says no more."""
        if not self._has_said_all(shown):
            self._failure = Outcome.CUT

    def _has_said_all(self, shown: list[bytes]) -> bool:
        """Whether that was all of it, its dialect knows: then a last word that is still missing is
        said for it."""
        missing = self._watcher.end()
        if missing is None:
            return False
        self._is_done = True
        shown.append(missing)
        return True
