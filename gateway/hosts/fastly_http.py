"""Requests to providers over Fastly's backends.

Rules of the platform that shape this module:
- How long connecting took is not shown, so it counts into the time for the head.
- A backend's own timeout ends a silence in a body, and says so as a failure without a name. Where
  it would come too late, the wait is cut short instead (`fastly_bodies.py` says at what price).
"""

import json

from componentize_py_types import Err
from wit_world.imports import http_body, http_req, types
from wit_world.imports.async_io import Pollable
from wit_world.imports.http_resp import Response

from gateway.core.http import HeaderPairs, Headers, Outgoing
from gateway.hosts.common import content_length
from gateway.hosts.fastly_backends import BackendTimeouts, Found, find_backend
from gateway.hosts.fastly_bodies import READ_SIZE, drop, is_ready, read_within, write_all
from gateway.hosts.fastly_errors import failure_of
from gateway.ports import AttemptTimeouts, Clock, Cut, Log, Silent, Stalled, Unreachable

MAX_HEADER_BYTES = 1024 * 1024  # that are asked for at once; the platform's limits are lower
LATE = 0.9  # of a timeout has passed: the platform's clock is not ours


class _Upstream:
    """A provider's response on Fastly. `between_ms`: the longest silence that is borne."""

    def __init__(
        self, response: Response, body: Pollable, between_ms: int, found: Found, http: "FastlyHttp"
    ) -> None:
        self.status = response.get_status()
        self.headers = Headers(header_pairs(response))
        self._rest = content_length(self.headers)
        self._is_json = (self.headers.get("content-type") or "").startswith("application/json")
        self._last_word = b""
        self._last_read = http.now()
        self._body = body
        self._between_ms = between_ms
        self._backend_ms = found.between_bytes_ms
        self._http = http

    async def read(self, within_ms: int | None = None) -> bytes:
        most = self._between_ms if within_ms is None else min(within_ms, self._between_ms)
        return self.read_within(self._http.left_ms(most))

    def read_within(self, within_ms: int) -> bytes:
        """The next bytes, or b"" at the end. Raises Stalled, Cut."""
        try:
            if self._backend_ms is not None and LATE * self._backend_ms <= within_ms:
                chunk = http_body.read(self._body, READ_SIZE)
            else:
                chunk = self._read_in_time(within_ms)
        except Err as error:
            raise self._failure(error.value) from None
        if self._rest is not None:
            self._rest -= len(chunk)
            if self._rest and not chunk:
                raise Cut
        self._last_word = chunk.rstrip()[-1:] or self._last_word
        self._last_read = self._http.now()
        return chunk

    def _read_in_time(self, within_ms: int) -> bytes:
        try:
            return read_within(self._body, within_ms)
        except Cut:
            # That an end can be told from a cut was seen under Viceroy only. For the one text that
            # shows for itself whether it is whole, an end is not taken for a cut in any case.
            if self._is_json and self._last_word == b"}":
                return b""
            raise

    def _failure(self, error: types.Error) -> Stalled | Cut:
        """The platform need not say that a body broke off for time."""
        if isinstance(error, types.Error_HttpIncomplete) or self._backend_ms is None:
            return Cut()
        waited_ms = (self._http.now() - self._last_read) * 1000
        return Stalled() if waited_ms > LATE * self._backend_ms else Cut()

    async def close(self) -> None:
        drop(self._body)


class FastlyHttp:
    """HttpClient over Fastly's backends. `sends` counts its requests.

    `until`: in monotonic seconds, when the platform is about to end the sandbox.
    """

    def __init__(self, clock: Clock, log: Log, until: float) -> None:
        self.sends = 0
        self._clock = clock
        self._log = log
        self._until = until
        self._backends: dict[tuple[str, str, BackendTimeouts], Found] = {}

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> _Upstream:
        return self._open(request, timeouts)

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        deadline = self.now() + timeout_ms / 1000
        upstream = self._open(request, AttemptTimeouts(timeout_ms, timeout_ms, timeout_ms))
        body = b""
        try:
            while chunk := upstream.read_within(self.left_ms(int((deadline - self.now()) * 1000))):
                body += chunk
                if len(body) > limit:
                    raise Cut
        except Stalled:
            raise Silent from None
        finally:
            await upstream.close()
        return upstream.status, body

    def _open(self, request: Outgoing, timeouts: AttemptTimeouts) -> _Upstream:
        found = self._backend(request.scheme, request.authority, timeouts)
        within_ms = self.left_ms(max(timeouts.connect_ms, timeouts.first_byte_ms))
        started = self.now()
        self.sends += 1
        try:
            pending = http_req.send_async_uncached(*_outgoing(request), found.backend)
            if not is_ready(pending, within_ms):
                drop(pending)
                raise Silent
            response, body = http_req.await_response(pending)
            with response:
                return _Upstream(response, body, timeouts.between_bytes_ms, found, self)
        except Err as error:
            took_ms = (self.now() - started) * 1000
            is_late = took_ms > LATE * timeouts.first_byte_ms
            raise failure_of(error.value, is_late=is_late) from None

    def now(self) -> float:
        return self._clock.monotonic()

    def left_ms(self, most: int) -> int:
        """What is left of the sandbox's time, or `most`."""
        return max(1, min(most, int((self._until - self.now()) * 1000)))

    def _backend(self, scheme: str, authority: str, asked: AttemptTimeouts) -> Found:
        timeouts = BackendTimeouts.for_attempt(asked)
        key = (scheme, authority, timeouts)
        if key not in self._backends:
            try:
                self._backends[key] = find_backend(scheme, authority, timeouts)
            except Err as error:
                problem = type(error.value).__name__
                event = {"event": "no_backend", "backend": authority, "problem": problem}
                self._log.write(json.dumps(event))
                raise Unreachable from None
        return self._backends[key]


def _outgoing(request: Outgoing) -> tuple[http_req.Request, Pollable]:
    outgoing = http_req.Request.new()
    outgoing.set_method("POST")
    outgoing.set_uri(f"{request.scheme}://{request.authority}{request.path}")
    for name, value in request.headers:
        outgoing.append_header(name, value.encode("latin-1", "replace"))
    body = http_body.new()
    write_all(body, request.body)
    return outgoing, body


def header_pairs(message: http_req.Request | Response) -> HeaderPairs:
    """The header fields of a message. Raises Err for one that the platform does not give out."""
    pairs: HeaderPairs = []
    more: int | None = 0
    while more is not None:
        names, more = message.get_header_names(MAX_HEADER_BYTES, more)
        for name in names.split("\0")[:-1]:
            pairs += [(name, value.decode("latin-1")) for value in _values(message, name)]
    return pairs


def _values(message: http_req.Request | Response, name: str) -> list[bytes]:
    values: list[bytes] = []
    more: int | None = 0
    while more is not None:
        some, more = message.get_header_values(name, MAX_HEADER_BYTES, more)
        values += some.split(b"\0")[:-1]
    return values
