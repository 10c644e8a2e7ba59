"""The WASI component with a door for the tests: `POST /test/check/<name>` runs a check of the
ports' contract inside the guest. All other requests go to the gateway as it is shipped."""

from wit_world.imports import wasi_http_types as wasi

from gateway.core.http import Response
from gateway.hosts.wasi import Handler as _Handler
from gateway.hosts.wasi import _Held, _ports, _read_request, _to_wasi
from gateway.hosts.wasi_http import SpareTrailers
from tests.guests.checks import On, run_check

PREFIX = "/test/check/"


class Handler(_Handler):
    async def handle(self, request: wasi.Request) -> wasi.Response:
        path = request.get_path_with_query() or ""
        if not path.startswith(PREFIX):
            return await super().handle(request)
        asked = await _read_request(request, SpareTrailers(), _Held())
        ports = _ports(SpareTrailers())
        said = await run_check(path.removeprefix(PREFIX), On(ports, ports.kv, asked.body.decode()))
        return _to_wasi(Response(200, [], said.encode()), SpareTrailers())
