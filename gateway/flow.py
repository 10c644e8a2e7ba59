"""The story of a request, read straight down `respond`.

A host reads the request and calls `respond`; whatever happens, the answer is a Response: an error
in the client's dialect is one too. The steps are those of docs/architecture.md.
"""

import json
import re
from collections.abc import Iterable
from functools import partial

from gateway import health, views
from gateway.access import check_client, check_origin, cors_headers, is_client
from gateway.classify import classify
from gateway.core import counting, embeddings
from gateway.core.asked import Asked, Chat, Count, Embeddings
from gateway.core.chat import ChatRequest
from gateway.core.decide import Controls, Decision, by_rule, check_kept, decide, read_controls
from gateway.core.dialect import Dialect
from gateway.core.errors import (
    BadRequest,
    HeadersTooLarge,
    Internal,
    NotReady,
    TiergateError,
    TooLarge,
)
from gateway.core.http import Request, Response
from gateway.core.plan import make_plans, steps_of
from gateway.core.policy import Policy, Step, Tier, Timeouts
from gateway.core.record import Record
from gateway.core.rules import facts_of
from gateway.endpoints import dialect_of, find_endpoint
from gateway.exchange import Exchange, write_record
from gateway.forward import forward
from gateway.policies import current_policy
from gateway.ports import Ports

_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # a code that is one; a provider may write anything
MAX_REQUEST_HEADERS = 32 * 1024  # bytes; what nginx takes by default, and more than any SDK sends

_JSON = ("content-type", "application/json")


async def respond(request: Request, ports: Ports) -> Response:
    """One request, from its bytes to its answer. Never raises."""
    clock = ports.clock
    record = Record(ports.chance.token(), clock.now(), clock.monotonic(), clock.vcpu_ms())
    dialect = dialect_of(request.path, request.headers)
    try:
        _check_headers(request)
        endpoint = find_endpoint(request.method, request.path, request.query, request.headers)
        record.endpoint = endpoint.name
        if endpoint.name == "healthz" and request.method != "OPTIONS":
            return _answer(request, record, ports, b'{"status": "ok"}')

        policy = await current_policy(ports)
        record.policy = policy
        _mark(record, ports, "policy", record.started)
        if request.method == "OPTIONS":
            check_origin(policy, request.headers)
            return _answer(request, record, ports, b"", status=204)
        if endpoint.name == "readyz":
            caller = is_client(policy, request.headers, ports.secrets)
            resting = await health.open_targets(ports, policy) if caller else {}
            shown = views.readiness(policy, ports, resting, is_client=caller)
            return _answer(request, record, ports, shown)
        check_origin(policy, request.headers)
        check_client(policy, request.headers, ports.secrets)
        if endpoint.name == "models":
            shown = views.models(policy, dialect, endpoint.model)
            return _answer(request, record, ports, shown)

        _check_body(request)
        controls = read_controls(request.headers, policy)
        asked: Asked
        steps: Iterable[Step]
        if endpoint.name == "embeddings":
            wanted = embeddings.parse_request(request.body)
            decision, steps = embeddings.decide(policy, wanted)
            asked = Embeddings(wanted)
        else:
            chat = dialect.parse_request(request.body, endpoint.model, endpoint.is_stream)
            if endpoint.name == "count_tokens":
                decision, steps = counting.decide(policy, chat, controls)
                asked = Count(chat)
            else:
                record.is_stream = chat.is_stream
                decided = decide(policy, chat, controls)
                if decided is None:
                    record.facts = facts_of(policy, chat)
                    decided = by_rule(policy, record.facts, request.headers)
                check_kept(decided, dialect.find_kept(chat))
                decision = decided or await _judge(policy, chat, controls, record, ports)
                steps = steps_of(policy, decision)
                asked = Chat(chat, dialect)
        record.decision = decision

        plans = make_plans(policy, steps, asked, ports.has_secret, ports.chance.draw)
        if endpoint.name == "route":
            resting = await health.open_targets(ports, policy)
            shown = views.route(policy, decision, list(plans), resting, record)
            return _answer(request, record, ports, shown)
        tier = _tier(policy, decision)
        timeouts = tier.timeouts if tier else policy.timeouts
        sent = clock.monotonic()
        try:
            answer = await forward(
                Exchange(
                    policy,
                    timeouts,
                    asked,
                    dialect,
                    request.headers,
                    controls.stream_guard or (tier.stream_guard if tier else policy.stream_guard),
                    _deadline(record, ports, timeouts, controls),
                    record,
                    ports,
                ),
                plans,
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
        return _refuse(request, record, ports, dialect, error)
    except MemoryError:  # a sandbox may have less than its limits promise
        too_large = TooLarge("The request takes too much memory.")
        return _refuse(request, record, ports, dialect, too_large)
    except Exception as error:  # noqa: BLE001 - it would end every request of this instance
        # A defect of ours. The text of the exception may hold the client's words: only its kind
        # and place are logged.
        ports.log.write(json.dumps({"event": "defect", "where": _where(error)}))
        failure = Internal("The gateway failed; this is a defect of its own.")
        return _refuse(request, record, ports, dialect, failure)


def _tier(policy: Policy, decision: Decision) -> Tier | None:
    """The tier whose deadlines hold: the decided one, or the one that has the model asked for."""
    if decision.tier:
        return policy.tiers[decision.tier]
    return policy.tier_of(decision.target) if decision.target else None


def _deadline(record: Record, ports: Ports, timeouts: Timeouts, controls: Controls) -> float:
    """When the request's time is up, in monotonic seconds: the least of what its tier, the client
    and the host allow."""
    bounds = (timeouts.total_ms, controls.timeout_ms, ports.limits.total_ms)
    return record.started + min([bound for bound in bounds if bound is not None]) / 1000


async def _judge(
    policy: Policy, chat: ChatRequest, controls: Controls, record: Record, ports: Ports
) -> Decision:
    since = ports.clock.monotonic()
    deadline = _deadline(record, ports, policy.timeouts, controls)
    remaining_ms = max(1, int((deadline - since) * 1000))
    decision = await classify(policy, chat, record, ports, remaining_ms)
    _mark(record, ports, "classify", since)
    return decision


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


def _refuse(
    request: Request, record: Record, ports: Ports, dialect: Dialect, error: TiergateError
) -> Response:
    """The error in the client's dialect."""
    record.error = error.code if error.code and _WORD.fullmatch(error.code) else "rejected"
    headers = [
        _JSON,
        *error.headers,
        *record.headers(_elapsed(record, ports)),
        *cors_headers(record.policy, request),
    ]
    write_record(record, ports, error.status)
    body = b"" if request.method == "HEAD" else dialect.error_body(error)
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
