"""Backends: what Fastly sends a request to.

Rules of the platform that shape this module:
- A backend that the service declares under the provider's authority (`api.openai.com`) is used as
  it is; else a dynamic backend is made, once a sandbox.
- A backend's timeouts are part of what it is, and a service has 200 dynamic ones at most. So they
  are rounded up, by a tenth at most, that many requests share a few.
"""

from dataclasses import dataclass
from typing import Self

from componentize_py_types import Err
from wit_world.imports.backend import Backend, DynamicBackendOptions, register_dynamic_backend

from gateway.ports import AttemptTimeouts

KEEP_ALIVE_MS = 60_000
# Less than a sandbox has left when it takes a request: what asks for more has that, and a tenth.
MAX_BETWEEN_MS = 97_000


@dataclass(frozen=True, slots=True)
class BackendTimeouts:
    """Those of a backend, in milliseconds."""

    connect: int
    first_byte: int
    between_bytes: int

    @classmethod
    def for_attempt(cls, asked: AttemptTimeouts) -> Self:
        return cls(
            rounded(asked.connect_ms),
            rounded(asked.first_byte_ms),
            min(rounded(asked.between_bytes_ms), MAX_BETWEEN_MS),
        )


@dataclass(frozen=True, slots=True)
class Found:
    """A backend, and how long it bears silence in a body: None if it does not say."""

    backend: Backend
    between_bytes_ms: int | None


def rounded(ms: int) -> int:
    """Up to one of some seventy steps, each a tenth more than the one before."""
    step = 100
    while step < ms:
        step += step // 10
    return step


def find_backend(scheme: str, authority: str, timeouts: BackendTimeouts) -> Found:
    """The service's backend of that name, else a new dynamic one. Raises Err."""
    try:
        declared = Backend.open(authority)
    except Err:
        own = f"{timeouts.connect}-{timeouts.first_byte}-{timeouts.between_bytes}"
        options = _options(scheme, authority, timeouts)
        made = register_dynamic_backend(f"{scheme}-{authority}-{own}", authority, options)
        return Found(made, timeouts.between_bytes)
    try:
        return Found(declared, declared.get_between_bytes_timeout_ms())
    except Err:
        return Found(declared, None)


def _options(scheme: str, authority: str, timeouts: BackendTimeouts) -> DynamicBackendOptions:
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
