"""The attempts of a request, one after the other, until one answers.

Rules: a whole answer is read to its verified end before anything is sent; a stream is held until
its first content (`relay.py`). What has been sent is never contradicted. The targets of a tier are
tried once each, then those that may be tried again (`core/outcomes.py`), then a higher tier's.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from gateway import health
from gateway.core.chat import Usage
from gateway.core.errors import BadRequest, Rejected, UpstreamError
from gateway.core.outcomes import RULES, Attempt, Outcome, all_failed, of_status
from gateway.core.plan import Plan, no_target
from gateway.core.policy import Target
from gateway.core.refusals import outcome_of
from gateway.core.waiting import MAX_WAIT_MS, backoff_ms, retry_after_ms
from gateway.exchange import Answer, AttemptFailed, Exchange
from gateway.ports import TransportError, Upstream
from gateway.upstream import open_upstream, read_answer, read_rejection, shown_headers


@dataclass(slots=True)
class _Left:
    """What is left to say when nobody answers: an answer that says nothing, the client's own fault
    as a provider or we have found it, a provider's word that it has no such model, and targets that
    were not asked since they are not well."""

    spare: tuple[Plan, Target, Answer, Usage | None] | None = None
    refusal: BadRequest | Rejected | None = None
    missing: tuple[Target, Rejected] | None = None
    too_small: int | None = None
    open: list[tuple[Plan, Target]] = field(default_factory=list)


async def forward(exchange: Exchange, plans: Iterator[Plan]) -> Answer:
    """The first answer. Raises BadRequest, NotReady, Rejected, UpstreamError."""
    record, policy = exchange.record, exchange.policy
    left = _Left()
    seen: list[Plan] = []
    for plan in plans:
        seen.append(plan)
        queue = list(plan.attempts)
        for retry in range(policy.retries + 1):
            again: list[Target] = []
            for target in queue:
                if not exchange.may_try():
                    break
                if (answer := await _try(exchange, plan, target, left, again)) is not None:
                    return answer
            queue = again
            if not queue or retry == policy.retries or not exchange.may_try():
                break
            wait = _wait_ms(exchange, queue, retry)
            if wait >= exchange.remaining_ms():
                break  # it would end with the request: a higher tier may still answer
            await exchange.ports.clock.sleep(wait)
        if not exchange.may_try():
            break
    if not any(plan.attempts for plan in seen):
        raise no_target(seen)
    for plan, target in left.open:  # what is not well is better than nobody
        if not exchange.may_try():
            break
        if (answer := await _ask(exchange, plan, target, left, [])) is not None:
            return answer
    if left.spare is not None:
        plan, target, answer, record.usage = left.spare
        record.answered(plan.tier, target, plan.dropped.get(target.id, ()))
        return answer
    if left.refusal is not None and (isinstance(left.refusal, Rejected) or not record.has_asked):
        raise left.refusal
    if left.missing and all(each.outcome is Outcome.NOT_FOUND for each in record.attempts):
        record.answered_by, error = left.missing
        raise error
    if exchange.remaining_ms() <= 0:
        raise _deadline(exchange)
    raise all_failed(record.attempts)


async def _try(
    exchange: Exchange, plan: Plan, target: Target, left: _Left, again: list[Target]
) -> Answer | None:
    """The target's answer, if it is well and has one."""
    facts = exchange.policy.models.get(target.id)
    if (
        left.too_small is not None
        and facts
        and (facts.context or left.too_small + 1) <= left.too_small
    ):
        return None
    if await health.enter(exchange.ports, exchange.policy, target) == "open":
        left.open.append((plan, target))
        return None
    return await _ask(exchange, plan, target, left, again)


async def _ask(
    exchange: Exchange, plan: Plan, target: Target, left: _Left, again: list[Target]
) -> Answer | None:
    """One attempt; its outcome is recorded, and what follows from it noted in `left`, `again`."""
    record, ports = exchange.record, exchange.ports
    provider = exchange.provider_of(target)
    started = ports.clock.monotonic()
    outcome, status, wait_ms = Outcome.UNREACHABLE, None, None
    upstream: Upstream | None = None
    answer: Answer | None = None
    try:
        upstream = await open_upstream(exchange, target)
        status = upstream.status
        outcome = of_status(status)
        if outcome is Outcome.ANSWERED:
            answer = await read_answer(exchange, target, upstream, started)
            record.answered(plan.tier, target, plan.dropped.get(target.id, ()))
        elif outcome is Outcome.REJECTED:
            error = await read_rejection(exchange, target, upstream)
            outcome = outcome_of(error)
            if outcome is Outcome.REJECTED:
                record.answered_by = target
                raise error
            if outcome is Outcome.NOT_FOUND:
                left.missing = (target, error)
            if outcome is Outcome.CONTEXT_EXCEEDED:
                facts = exchange.policy.models.get(target.id)
                left.refusal, left.too_small = error, (facts and facts.context) or left.too_small
        else:
            wait_ms = retry_after_ms(upstream.headers, ports.clock.now())
    except BadRequest as error:
        outcome = Outcome.REFUSED
        left.refusal = left.refusal or error
    except AttemptFailed as failure:
        outcome = failure.outcome
        if failure.spare is not None and left.spare is None and upstream is not None:
            spare = Answer(shown_headers(exchange, target, upstream), failure.spare)
            left.spare = (plan, target, spare, failure.usage)
    except TransportError as failure:
        outcome = failure.outcome
    except MemoryError:  # a sandbox may have less than its limits promise
        outcome = Outcome.TOO_LARGE
    finally:
        ms = (ports.clock.monotonic() - started) * 1000
        key = provider.key if outcome is Outcome.UNAUTHORIZED else None
        record.attempts.append(Attempt(target.id, outcome, ms, status, wait_ms, key))
        if upstream is not None and (answer is None or isinstance(answer.body, bytes)):
            await upstream.close()
        await health.report(ports, exchange.policy, target, outcome, wait_ms)
    if answer is None and RULES[outcome].then == "retry" and (wait_ms or 0) <= MAX_WAIT_MS:
        again.append(target)
    return answer


def _wait_ms(exchange: Exchange, queue: list[Target], retry: int) -> int:
    """Before targets are asked again: as long as the first of them wants, or a while."""
    asked = {target.id for target in queue}
    attempts = [attempt for attempt in exchange.record.attempts if attempt.target in asked]
    waits = [attempt.wait_ms for attempt in attempts if attempt.wait_ms is not None]
    return min(waits) if waits else backoff_ms(retry, exchange.ports.chance.draw())


def _deadline(exchange: Exchange) -> UpstreamError:
    tried = ", ".join(f"{item.target} ({item.outcome})" for item in exchange.record.attempts)
    return UpstreamError(
        504,
        f"The request's time was up{f'; tried {tried}' if tried else ''}.",
        code="deadline_exceeded",
    )
