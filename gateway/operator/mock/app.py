"""The mock provider's endpoints, and the server they need.

`POST /v1/chat/completions` and `GET /v1/models` as OpenAI has them; any model's name is
answered, no key is asked for. `/mock/faults` breaks it while it runs, `/mock/requests` shows
what it received.
"""

import json
import time
import uuid
from contextlib import suppress

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.routing import Route

from gateway.operator.mock import answers
from gateway.operator.mock.bodies import error_body, refusal
from gateway.operator.mock.faults import BadFault, Faults, describe
from gateway.operator.mock.journal import MAX_ENTRIES, Entry, Journal
from gateway.operator.mock.wire import HangUpProtocol, Reply, streamed, whole

# What Anthropic's API takes at most.
MAX_BODY = 32 * 1024 * 1024

HOW_TO_ORDER = 'the body is {"fault": SPEC}, {"fault": SPEC, "times": N} or {"fault": [SPEC, SPEC]}'

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

# Those of policies/demo.toml.
MODELS = ("small", "small-b", "medium", "large", "reasoner", "judge")


class MockProvider:
    """Its state and its endpoints."""

    def __init__(self, fault: str | None) -> None:
        self.faults = Faults(fault)
        self.journal = Journal()

    async def chat(self, request: Request) -> Reply:
        """Answer, unless the fault for this request says otherwise."""
        body, entry = await self._received(request)
        if body is None:
            return _refused(413, f"the body is larger than {MAX_BODY} bytes")
        try:
            ask = answers.read(body)
            entry.model = ask.model.partition("!")[0]
            fault = self.faults.take(ask.model)
            said = answers.answer(ask, fault)
        except BadFault as error:
            return _refused(400, str(error), param="model", code="bad_fault")
        except answers.BadRequest as error:
            return _refused(400, str(error), param=error.param)
        headers: tuple[tuple[str, str], ...] = (("x-request-id", f"req_mock_{entry.number}"),)
        if (refused := refusal(fault)) is not None:
            status, value = refused
            if fault.redirect:
                headers = (*headers, ("location", request.url.path))
            return whole(value, status=status, headers=headers, fault=fault, entry=entry)
        ident, created = f"chatcmpl-{uuid.uuid4().hex}", int(time.time())
        if ask.streamed and not fault.unstreamed:
            return streamed(answers.chunks(ask, said, ident, created), headers, fault, entry)
        value = answers.whole(ask, said, ident, created)
        return whole(value, headers=headers, fault=fault, entry=entry)

    async def models(self, request: Request) -> Reply:
        """A few names; all others are answered as well."""
        await self._received(request)
        row = {"object": "model", "created": 0, "owned_by": "tiergate-mock"}
        return whole({"object": "list", "data": [{"id": name, **row} for name in MODELS]})

    async def elsewhere(self, request: Request) -> Reply:
        """Nothing is here, but what was sent can be seen."""
        await self._received(request)
        return _refused(404, f"there is no {request.method} {request.url.path}")

    async def list_faults(self, _: Request) -> Reply:
        """The faults in force, and those there are."""
        ordered = self.faults.ordered()
        return whole(
            {
                "models": {m: {"fault": o.shown, "times": o.times} for m, o in ordered.items()},
                "at_start": self.faults.at_start,
                "valid": describe(),
            }
        )

    async def order_fault(self, request: Request) -> Reply:
        """`{"fault": "status=503", "times": 3}`; times may be left out. A list of faults is taken
        in turn, one a request."""
        model = request.path_params["model"]
        if "!" in model:
            return _refused(400, "name the model without its !fault")
        body = await _body(request)
        try:
            value = json.loads(body or b"")
        except (ValueError, RecursionError):
            value = None
        spec: str | list[str]
        times = None
        match value:
            case {"fault": str(spec), **more} if not more.keys() - {"times"}:
                times = more.get("times")
            case {"fault": [str(), *_] as specs, **more} if not more:
                spec = [str(each) for each in specs]
            case _:
                return _refused(400, HOW_TO_ORDER)
        if times is not None and (type(times) is not int or times < 1):
            return _refused(400, "times is a whole number from 1", param="times")
        try:
            self.faults.order(model, spec, times)
        except BadFault as error:
            return _refused(400, str(error), param="fault", code="bad_fault")
        return whole({"model": model, "fault": spec, "times": times})

    async def lift_fault(self, request: Request) -> Reply:
        """Make the model whole again."""
        model = request.path_params["model"]
        if not self.faults.lift(model):
            return _refused(404, f"{model} has no fault here")
        return whole({"model": model, "fault": None, "times": None})

    async def requests(self, request: Request) -> Reply:
        """`?last=N`, 20 when left out; the newest at the end. `?model=NAME`: of that one."""
        last = request.query_params.get("last", "20")
        model = request.query_params.get("model")
        if not (last.isascii() and last.isdigit() and 1 <= int(last[:9]) <= MAX_ENTRIES):
            return _refused(400, f"last is from 1 to {MAX_ENTRIES}", param="last")
        return whole(
            {"received": self.journal.received, "requests": self.journal.last(int(last), model)}
        )

    async def _received(self, request: Request) -> tuple[bytes | None, Entry]:
        """The body, or None when it is too large, and the request's place in the journal."""
        body = await _body(request)
        headers = request.headers.items()
        return body, self.journal.add(request.method, request.url.path, headers, body or b"")


async def _body(request: Request) -> bytes | None:
    body = bytearray()
    size = 0
    # Read to its end all the same: a client still sending would not see the answer.
    async for piece in request.stream():
        size += len(piece)
        if size <= MAX_BODY:
            body += piece
    return bytes(body) if size <= MAX_BODY else None


def _refused(
    status: int, message: str, *, param: str | None = None, code: str | None = None
) -> Reply:
    return whole(error_body(status, message, param=param, code=code), status=status)


def create_app(fault: str | None = None) -> Starlette:
    """`fault` is for every chat request; raises BadFault. See create_server for cuts."""
    mock = MockProvider(fault)
    return Starlette(
        routes=[
            Route("/v1/chat/completions", mock.chat, methods=["POST"]),
            Route("/v1/models", mock.models, methods=["GET"]),
            Route("/mock/faults", mock.list_faults, methods=["GET"]),
            Route("/mock/faults/{model:path}", mock.order_fault, methods=["PUT"]),
            Route("/mock/faults/{model:path}", mock.lift_fault, methods=["DELETE"]),
            Route("/mock/requests", mock.requests, methods=["GET"]),
            Route("/{path:path}", mock.elsewhere, methods=METHODS),
        ]
    )


def create_server(host: str, port: int, fault: str | None = None) -> uvicorn.Server:
    """A quiet server that can also hang up, which the app alone cannot. Raises BadFault."""
    return uvicorn.Server(
        uvicorn.Config(
            create_app(fault),
            host=host,
            port=port,
            http=HangUpProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def run(host: str = "127.0.0.1", port: int = 9900, fault: str | None = None) -> None:
    """Serve until interrupted. Raises BadFault."""
    with suppress(KeyboardInterrupt):
        create_server(host, port, fault).run()
