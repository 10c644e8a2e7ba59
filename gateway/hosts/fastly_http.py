"""Requests to providers over Fastly's backends.

Rules of the platform that shape this module:
- A request goes to a named backend. One that the service declares under the provider's authority
  (`api.openai.com`) is used as it is; else a dynamic backend is made, once a sandbox.
- A backend's timeouts are part of what it is. They are rounded up, so that the deadlines of many
  requests share a few backends; a head is waited for no longer than its request says.
- Waiting for a body with `select` hides how it ended (under Viceroy): only `read` tells a cut.
"""

import json
from dataclasses import dataclass

from componentize_py_types import Err
from wit_world.imports import async_io, http_body, http_req, types
from wit_world.imports.async_io import Pollable
from wit_world.imports.backend import Backend, DynamicBackendOptions, register_dynamic_backend
from wit_world.imports.http_resp import Response

from gateway.core.http import HeaderPairs, Headers, Outgoing
from gateway.hosts.common import content_length
from gateway.ports import (
    AttemptTimeouts,
    Clock,
    Cut,
    Log,
    Silent,
    Stalled,
    TransportError,
    Unreachable,
)

READ_SIZE = 64 * 1024
MAX_HEADER_BYTES = 1024 * 1024  # names, and the values of one name; the platform's limits are lower
KEEP_ALIVE_MS = 60_000
MAX_BETWEEN_MS = 96_000  # less than what a sandbox has left when it takes a request


@dataclass(frozen=True, slots=True)
class _Timeouts:
    """Those of a backend, in milliseconds."""

    connect: int
    first_byte: int
    between_bytes: int


class _Upstream:
    """A provider's response on Fastly. `between_ms`: its backend's timeout for the next bytes."""

    def __init__(
        self, response: Response, body: Pollable, between_ms: int, http: "FastlyHttp"
    ) -> None:
        self.status = response.get_status()
        self.headers = Headers(header_pairs(response))
        self._rest = content_length(self.headers)
        self._body = body
        self._between_ms = between_ms
        self._http = http

    async def read(self) -> bytes:
        started = self._http.now()
        left_ms = self._http.left_ms(self._between_ms)
        if left_ms < self._between_ms and not self.is_ready(left_ms):
            raise Stalled  # the backend's own timeout would come too late
        try:
            chunk = http_body.read(self._body, READ_SIZE)
        except Err:  # which need not say that it was for time
            is_stalled = _is_over(self._between_ms, self._http.now() - started)
            raise (Stalled if is_stalled else Cut) from None
        if self._rest is not None:
            self._rest -= len(chunk)
            if self._rest and not chunk:
                raise Cut
        return chunk

    def is_ready(self, within_ms: int) -> bool:
        """Waits for the next bytes or the end; whether they came."""
        return async_io.select_with_timeout([self._body], within_ms) is not None

    async def close(self) -> None:
        self._body.__exit__(None, None, None)


class FastlyHttp:
    """HttpClient over Fastly's backends. `sends` counts its requests.

    `until`: in monotonic seconds, when the platform is about to end the sandbox.
    """

    def __init__(self, clock: Clock, log: Log, until: float) -> None:
        self.sends = 0
        self._clock = clock
        self._log = log
        self._until = until
        self._backends: dict[tuple[str, str, _Timeouts], Backend] = {}

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> _Upstream:
        return self._open(request, timeouts, timeouts.connect_ms + timeouts.first_byte_ms)

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        deadline = self.now() + timeout_ms / 1000
        timeouts = AttemptTimeouts(timeout_ms, timeout_ms, timeout_ms)
        upstream = self._open(request, timeouts, timeout_ms)
        body = b""
        try:
            while True:
                if not upstream.is_ready(max(1, int((deadline - self.now()) * 1000))):
                    raise Silent
                if not (chunk := await upstream.read()):
                    return upstream.status, body
                body += chunk
                if len(body) > limit:
                    raise Cut
        finally:
            await upstream.close()

    def _open(self, request: Outgoing, timeouts: AttemptTimeouts, within_ms: int) -> _Upstream:
        rounded = _Timeouts(
            _rounded(timeouts.connect_ms),
            _rounded(timeouts.first_byte_ms),
            min(_rounded(timeouts.between_bytes_ms), MAX_BETWEEN_MS),
        )
        backend = self._backend(request.scheme, request.authority, rounded)
        started = self.now()
        self.sends += 1
        try:
            pending = http_req.send_async_uncached(*_outgoing(request), backend)
            if async_io.select_with_timeout([pending], self.left_ms(within_ms)) is None:
                pending.__exit__(None, None, None)
                raise Silent
            response, body = http_req.await_response(pending)
            with response:
                return _Upstream(response, body, rounded.between_bytes, self)
        except Err as error:
            if _is_over(rounded.first_byte, self.now() - started):
                raise Silent from None
            raise failure_of(error.value) from None

    def now(self) -> float:
        return self._clock.monotonic()

    def left_ms(self, most: int) -> int:
        """What is left of the sandbox's time, or `most`."""
        return max(1, min(most, int((self._until - self.now()) * 1000)))

    def _backend(self, scheme: str, authority: str, timeouts: _Timeouts) -> Backend:
        key = (scheme, authority, timeouts)
        if key not in self._backends:
            try:
                self._backends[key] = _find_backend(scheme, authority, timeouts)
            except Err as error:
                problem = type(error.value).__name__
                event = {"event": "no_backend", "backend": authority, "problem": problem}
                self._log.write(json.dumps(event))
                raise Unreachable from None
        return self._backends[key]


def _is_over(ms: int, took: float) -> bool:
    """Whether a failure after so many seconds is this timeout: the platform need not say so."""
    return took * 1000 > 0.9 * ms


def _rounded(ms: int) -> int:
    """Up to 1, 2, 4, 8 ... seconds."""
    seconds = 1
    while seconds * 1000 < ms:
        seconds *= 2
    return seconds * 1000


def _find_backend(scheme: str, authority: str, timeouts: _Timeouts) -> Backend:
    """The service's backend of that name, else a new dynamic one. Raises Err."""
    try:
        return Backend.open(authority)
    except Err:
        own = f"{timeouts.connect}-{timeouts.first_byte}-{timeouts.between_bytes}"
        options = _options(scheme, authority, timeouts)
        return register_dynamic_backend(f"{scheme}-{authority}-{own}", authority, options)


def _options(scheme: str, authority: str, timeouts: _Timeouts) -> DynamicBackendOptions:
    host = authority.rpartition(":")[0] or authority
    options = DynamicBackendOptions()
    options.override_host(authority)
    options.connect_timeout(timeouts.connect)
    options.first_byte_timeout(timeouts.first_byte)
    options.between_bytes_timeout(timeouts.between_bytes)
    options.http_keepalive_time_ms(KEEP_ALIVE_MS)
    options.pooling(True)  # noqa: FBT003 - the SDK's shape
    options.use_tls(scheme == "https")
    if scheme == "https":
        options.sni_hostname(host)
        options.cert_hostname(host)
    return options


def _outgoing(request: Outgoing) -> tuple[http_req.Request, Pollable]:
    outgoing = http_req.Request.new()
    outgoing.set_method("POST")
    outgoing.set_uri(f"{request.scheme}://{request.authority}{request.path}")
    for name, value in request.headers:
        outgoing.append_header(name, value.encode("latin-1", "replace"))
    body = http_body.new()
    write_all(body, request.body)
    return outgoing, body


def write_all(body: Pollable, data: bytes) -> None:
    """Writes all of it; the platform may take less at once. Raises Err."""
    while data:
        data = data[http_body.write(body, data) :]


def header_pairs(message: http_req.Request | Response) -> HeaderPairs:
    """The header fields of a message. Raises Err."""
    pairs: HeaderPairs = []
    names, more = message.get_header_names(MAX_HEADER_BYTES, 0)
    if more is not None:
        raise ValueError("a header section larger than the platform's own limit")
    for name in names.split("\0")[:-1]:
        values, _ = message.get_header_values(name, MAX_HEADER_BYTES, 0)
        pairs += [(name, value.decode("latin-1")) for value in values.split(b"\0")[:-1]]
    return pairs


def failure_of(error: http_req.ErrorWithDetail | types.Error) -> TransportError:
    """What an error of a sent request is to the flow: its detail says more where there is one."""
    if isinstance(error, http_req.ErrorWithDetail):
        kind = type(error.detail if error.detail is not None else error.error)
    else:
        kind = type(error)
    return FAILURES.get(kind, Unreachable)()


# Every error that a sent request can end in, before its head is there.
FAILURES: dict[type, type[TransportError]] = {
    http_req.SendErrorDetail_DnsTimeout: Unreachable,
    http_req.SendErrorDetail_DnsError: Unreachable,
    http_req.SendErrorDetail_DestinationNotFound: Unreachable,
    http_req.SendErrorDetail_DestinationUnavailable: Unreachable,
    http_req.SendErrorDetail_DestinationIpUnroutable: Unreachable,
    http_req.SendErrorDetail_ConnectionRefused: Unreachable,
    http_req.SendErrorDetail_ConnectionTerminated: Unreachable,
    http_req.SendErrorDetail_ConnectionTimeout: Unreachable,
    http_req.SendErrorDetail_ConnectionLimitReached: Unreachable,
    http_req.SendErrorDetail_TlsCertificateError: Unreachable,
    http_req.SendErrorDetail_TlsConfigurationError: Unreachable,
    http_req.SendErrorDetail_HttpIncompleteResponse: Unreachable,
    http_req.SendErrorDetail_HttpResponseHeaderSectionTooLarge: Unreachable,
    http_req.SendErrorDetail_HttpResponseBodyTooLarge: Unreachable,
    http_req.SendErrorDetail_HttpResponseTimeout: Silent,
    http_req.SendErrorDetail_HttpResponseStatusInvalid: Unreachable,
    http_req.SendErrorDetail_HttpUpgradeFailed: Unreachable,
    http_req.SendErrorDetail_HttpProtocolError: Unreachable,
    http_req.SendErrorDetail_HttpRequestCacheKeyInvalid: Unreachable,
    http_req.SendErrorDetail_HttpRequestUriInvalid: Unreachable,
    http_req.SendErrorDetail_InternalError: Unreachable,
    http_req.SendErrorDetail_TlsAlertReceived: Unreachable,
    http_req.SendErrorDetail_TlsProtocolError: Unreachable,
    http_req.SendErrorDetail_H2Error: Unreachable,
    http_req.SendErrorDetail_Extra: Unreachable,
    types.Error_GenericError: Unreachable,
    types.Error_InvalidArgument: Unreachable,
    types.Error_AuxiliaryError: Unreachable,
    types.Error_BufferLen: Unreachable,
    types.Error_Unsupported: Unreachable,
    types.Error_HttpInvalid: Unreachable,
    types.Error_HttpUser: Unreachable,
    types.Error_HttpIncomplete: Unreachable,
    types.Error_CannotRead: Unreachable,
    types.Error_HttpHeadTooLarge: Unreachable,
    types.Error_HttpInvalidStatus: Unreachable,
    types.Error_LimitExceeded: Unreachable,
}
