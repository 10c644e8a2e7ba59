"""The story of a request, read straight down `respond`.

A host reads the request and calls `respond`; whatever happens, the answer is a Response: an error
in the client's dialect is one too. The steps are those of docs/architecture.md.
"""

import json
import re
from functools import partial
from typing import Literal

from gateway import views
from gateway.access import check_client, check_origin, cors_headers, is_client
from gateway.classify import classify
from gateway.core.decide import decide, read_controls
from gateway.core.dialects import openai_chat
from gateway.core.errors import (
    BadRequest,
    HeadersTooLarge,
    Internal,
    MethodNotAllowed,
    NotFound,
    NotReady,
    TiergateError,
    TooLarge,
)
from gateway.core.http import Request, Response
from gateway.core.plan import make_plan
from gateway.core.record import Record
from gateway.exchange import Exchange, write_record
from gateway.forward import forward
from gateway.policies import current_policy
from gateway.ports import Ports

Endpoint = Literal["chat", "route", "models", "healthz", "readyz"]

ENDPOINTS: dict[str, tuple[Endpoint, str]] = {
    "/v1/chat/completions": ("chat", "POST"),
    "/v1/route": ("route", "POST"),
    "/v1/models": ("models", "GET"),
    "/healthz": ("healthz", "GET"),
    "/readyz": ("readyz", "GET"),
}
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a code that is one; a provider may write anything
MAX_REQUEST_HEADERS = 32 * 1024  # bytes; what nginx takes by default, and more than any SDK sends

_JSON = ("content-type", "application/json")


async def respond(request: Request, ports: Ports) -> Response:
    """One request, from its bytes to its answer. Never raises."""
    clock = ports.clock
    record = Record(ports.chance.token(), clock.now(), clock.monotonic(), clock.vcpu_ms())
    try:
        _check_headers(request)
        endpoint = _endpoint(request)
        record.endpoint = endpoint
        if endpoint == "healthz" and request.method != "OPTIONS":
            return _answer(request, record, ports, b'{"status": "ok"}')

        policy = await current_policy(ports)
        record.policy = policy
        _mark(record, ports, "policy", record.started)
        if request.method == "OPTIONS":
            check_origin(policy, request.headers)
            return _answer(request, record, ports, b"", status=204)
        if endpoint == "readyz":
            caller = is_client(policy, request.headers, ports.secrets)
            return _answer(request, record, ports, views.readiness(policy, ports, is_client=caller))
        check_origin(policy, request.headers)
        check_client(policy, request.headers, ports.secrets)
        if endpoint == "models":
            return _answer(request, record, ports, views.models(policy))

        _check_body(request)
        chat = openai_chat.parse_request(request.body)
        record.is_stream = chat.is_stream
        controls = read_controls(request.headers, policy)
        bounds = (policy.timeouts.total_ms, controls.timeout_ms, ports.limits.total_ms)
        total_ms = min([bound for bound in bounds if bound is not None])
        deadline = record.started + total_ms / 1000

        decision = decide(policy, chat, controls)
        if decision is None:
            asked = ports.clock.monotonic()
            remaining_ms = max(1, int((deadline - asked) * 1000))
            decision = await classify(policy, chat, record, ports, remaining_ms)
            _mark(record, ports, "classify", asked)
        record.decision = decision

        plan = make_plan(policy, decision, chat, ports.has_secret, ports.chance.draw)
        if endpoint == "route":
            return _answer(request, record, ports, views.route(policy, decision, plan, record))
        sent = ports.clock.monotonic()
        try:
            answer = await forward(
                Exchange(
                    policy, chat, request.headers, controls.stream_guard, deadline, record, ports
                ),
                plan,
            )
        finally:
            _mark(record, ports, "upstream", sent)
        headers = [
            *answer.headers,
            *record.headers(_elapsed(record, ports)),
            *cors_headers(policy, request),
        ]
        if isinstance(answer.body, bytes):
            after = partial(write_record, record, ports, 200)
            return Response(200, headers, answer.body, after=after)
        return Response(200, headers, answer.body)
    except TiergateError as error:
        return _refuse(request, record, ports, error)
    except Exception as error:  # noqa: BLE001 - it would end every request of this instance
        # A defect of ours. The text of the exception may hold the client's words: only its kind
        # and place are logged.
        ports.log.write(json.dumps({"event": "defect", "where": _where(error)}))
        return _refuse(
            request, record, ports, Internal("The gateway failed; this is a defect of its own.")
        )


def _endpoint(request: Request) -> Endpoint:
    """Which endpoint is meant. Raises NotFound, MethodNotAllowed."""
    found = ENDPOINTS.get(request.path)
    if found is None:
        raise NotFound(
            f"There is no such endpoint. This gateway has {', '.join(ENDPOINTS)}; "
            "an OpenAI client's base URL ends in /v1."
        )
    endpoint, method = found
    is_head = request.method == "HEAD" and method == "GET"
    if request.method not in {method, "OPTIONS"} and not is_head:
        error = MethodNotAllowed(f"{request.path} takes {method}.")
        methods = "GET, HEAD" if method == "GET" else method
        error.headers.append(("allow", f"{methods}, OPTIONS"))
        raise error
    return endpoint


def _check_headers(request: Request) -> None:
    if sum([len(value) for _, value in request.headers.pairs]) > MAX_REQUEST_HEADERS:
        raise HeadersTooLarge(f"The request's headers are over {MAX_REQUEST_HEADERS} bytes.")


def _check_body(request: Request) -> None:
    if request.over_limit is not None:
        raise TooLarge(f"The request body is over this gateway's {request.over_limit} bytes.")
    if request.is_unread:
        error = NotReady("The gateway is busy with large requests: try again.", code="busy")
        error.headers.append(("retry-after", "1"))
        raise error
    if request.is_broken:
        raise BadRequest("The request body ended before its end.", code="incomplete_body")
    encoding = request.headers.get("content-encoding")
    if encoding not in {None, "identity"}:
        raise BadRequest(
            "Compressed request bodies are not accepted: send it without Content-Encoding.",
            code="unsupported_content_encoding",
            param="content-encoding",
        )


def _answer(
    request: Request, record: Record, ports: Ports, body: bytes, *, status: int = 200
) -> Response:
    """An answer of the gateway's own."""
    headers = [
        _JSON,
        *record.headers(_elapsed(record, ports)),
        *cors_headers(record.policy, request),
    ]
    if record.endpoint in {"models", "route"} and request.method != "OPTIONS":
        write_record(record, ports, status)
    return Response(status, headers, b"" if request.method == "HEAD" else body)


def _refuse(request: Request, record: Record, ports: Ports, error: TiergateError) -> Response:
    """The error in the client's dialect."""
    record.error = error.code if error.code and _WORD.fullmatch(error.code) else "rejected"
    headers = [
        _JSON,
        *error.headers,
        *record.headers(_elapsed(record, ports)),
        *cors_headers(record.policy, request),
    ]
    write_record(record, ports, error.status)
    body = b"" if request.method == "HEAD" else openai_chat.error_body(error)
    return Response(error.status, headers, body)


def _elapsed(record: Record, ports: Ports) -> float:
    return (ports.clock.monotonic() - record.started) * 1000


def _mark(record: Record, ports: Ports, step: str, since: float) -> None:
    record.timings[step] = (ports.clock.monotonic() - since) * 1000


def _where(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_qualname}:{trace.tb_lineno}" if trace else "?"
    return f"{type(error).__name__} in {place}"
