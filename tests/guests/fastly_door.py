"""The Fastly component with a door for the tests: its store from outside, and its ports' contract.

Viceroy's store cannot be changed from outside, so `PUT /test/kv/<key>` and the like change it from
within. All other requests go to the gateway as it is shipped. Two keys of the store tell a sandbox
what it is: `test/generation` (when it changes, what it remembers is forgotten) and `test/settings`
(constants of `gateway.hosts.fastly`, or of another module under a name like `fastly_http.MAX`, in
JSON; as shipped where absent).
"""

import json
from collections.abc import Callable

from componentize_py_types import Err
from wit_world.imports import http_body, http_resp, kv_store
from wit_world.imports.async_io import Pollable
from wit_world.imports.compute_runtime import get_sandbox_id
from wit_world.imports.http_req import Request as WitRequest

from gateway.hosts import fastly, fastly_bodies, fastly_http
from gateway.hosts.common import run
from gateway.hosts.fastly_bodies import write_all
from gateway.hosts.fastly_stores import FastlyKv
from gateway.ports import Ports
from tests.guests.checks import CHECKS, On, run_check

_MODULES = {"fastly": fastly, "fastly_bodies": fastly_bodies, "fastly_http": fastly_http}
_shipped = {
    f"{module}.{name}": value
    for module, found in _MODULES.items()
    for name, value in vars(found).items()
    if name.isupper()
}


class Sandbox(fastly.Sandbox):
    """One that forgets on demand."""

    def __init__(self) -> None:
        self._generation = _value("test/generation")
        given = json.loads(_value("test/settings") or b"{}")
        named = {name if "." in name else f"fastly.{name}": value for name, value in given.items()}
        for path, value in (_shipped | named).items():
            module, _, name = path.partition(".")
            setattr(_MODULES[module], name, value)
        super().__init__()

    def serve(self, request: WitRequest, body: Pollable) -> None:
        path, _ = fastly._address(request)
        if _value("test/generation") != self._generation:
            Sandbox.__init__(self)
        if not path.startswith("/test/"):
            super().serve(request, body)
            return
        with request, body:
            answer = self._test(request.get_method(16), path, lambda: _read(body))
        _send(*answer)

    def _test(self, method: str, path: str, body: Callable[[], bytes]) -> tuple[int, bytes]:
        if path == "/test/sandbox":
            return 200, get_sandbox_id().encode()
        if path == "/test/sends":
            return 200, str(self._http.sends).encode()
        return _test(self._ports, method, path, body)


def _test(ports: Ports, method: str, path: str, body: Callable[[], bytes]) -> tuple[int, bytes]:
    kind, _, rest = path.removeprefix("/test/").partition("/")
    store = kv_store.Store.open(fastly.NAME)
    if kind == "kv" and method == "GET":
        value = _value(rest)
        return (404, b"") if value is None else (200, value)
    if kind == "kv" and method == "PUT":
        run(FastlyKv(fastly.NAME).put(rest, body()))
        return 200, b""
    if kind == "kv" and method == "DELETE":
        store.delete(rest)
        return 200, b""
    if kind == "keys":
        options = kv_store.ListOptions(kv_store.ListMode.STRONG, None, 1000, rest or None, None)
        return 200, _read(store.list(options))
    if kind == "check":
        raw = FastlyKv(fastly.NAME) if path.endswith("/raw") else ports.kv
        name = rest.removesuffix("/raw")
        return 200, run(run_check(name, On(ports, raw, body().decode()))).encode()
    return 404, json.dumps(sorted(CHECKS)).encode()


def _value(key: str) -> bytes | None:
    try:
        found = kv_store.Store.open(fastly.NAME).lookup(key)
    except Err:
        return None
    if found is None:
        return None
    with found:
        body = found.take_body()
    return _read(body) if body else b""


def _read(body: Pollable) -> bytes:
    parts = []
    while chunk := http_body.read(body, 65536):
        parts.append(chunk)
    return b"".join(parts)


def _send(status: int, data: bytes) -> None:
    answer = http_resp.Response.new()
    answer.set_status(status)
    body = http_body.new()
    write_all(body, data)
    http_resp.send_downstream(answer, body)


fastly.Sandbox = Sandbox  # type: ignore[misc]
HttpIncoming = fastly.HttpIncoming
