"""A provider's stream on its way to the client, event by event.

Rules: nothing is shown before the first content (with the full guard: before the verified end), so
that until then the next target can still serve the client; what came before a failure is shown
before it; a failure after that is one error event and no clean end; the record is written once,
whichever way it ends.
"""

from gateway.core.chat import Usage
from gateway.core.errors import UpstreamError
from gateway.core.outcomes import Attempt, Outcome
from gateway.core.policy import Target
from gateway.core.sse import SseCut, SseDecoder, SseError, SseEvent
from gateway.exchange import AttemptFailed, Exchange, write_record
from gateway.ports import TransportError, Upstream


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
        await self._upstream.close()
        write_record(record, exchange.ports, 200)

    async def _next(self) -> bytes:
        """The next bytes to show, possibly none. Sets `_is_done` at the verified end.

        What came before a failure in the same chunk is shown first: the failure is raised by the
        next call.
        """
        if self._failure:
            raise AttemptFailed(self._failure)
        if self._exchange.remaining_ms() <= 0:
            raise AttemptFailed(Outcome.DEADLINE)
        chunk = await self._upstream.read()
        try:
            events = self._decoder.feed(chunk) if chunk else self._decoder.finish()
        except SseCut as cut:
            events = [cut.event]  # some providers end with no end of line
        except SseError:
            raise AttemptFailed(Outcome.TOO_LARGE) from None
        shown: list[bytes] = []
        for event in events:
            self._take(event, shown)
            if self._failure is Outcome.MALFORMED and not chunk:
                self._failure = Outcome.CUT  # half of an event, since nothing follows it
            if self._failure or self._is_done:
                return b"".join(shown)
        if not chunk:
            self._end(shown)
        return b"".join(shown)

    def _take(self, raw_event: SseEvent, shown: list[bytes]) -> None:
        event = self._watcher.watch(raw_event)
        if event is None:
            self._failure = Outcome.MALFORMED
        elif event.error is not None:
            self._failure = Outcome.ERROR_IN_STREAM
        else:
            self.has_content = self.has_content or event.has_content
            if event.usage is not None:
                self._usage = event.usage
            if not (event.is_usage_only and self._hides_usage):
                shown.append(event.raw)
            if event.is_done:
                self._end(shown)

    def _end(self, shown: list[bytes]) -> None:
        """The provider says no more: whether that was all of it, its dialect knows."""
        missing = self._watcher.end()
        if missing is None:
            self._failure = Outcome.CUT
        else:
            self._is_done = True
            shown.append(missing)
