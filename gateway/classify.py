"""The tier that a judge gives: the embedded model, the classifier model, or the one where the other
is not sure. No failure of its own.

The classifier model has one request and a hard deadline. Whatever goes wrong with it ends in what
the embedded model says, or in the default tier, with a reason in the record. An outage is paid by
the request that finds it; the breaker keeps the others from paying it too.

A turn that is under way, as its tools' results come back, keeps its tier: the embedded model judges
the turn that asked, and so says the same; what the classifier model said is remembered for as long
as the instance lives.
"""

from dataclasses import replace

from gateway import breaker
from gateway.core.chat import ChatRequest
from gateway.core.classifier.excerpt import Excerpt, make_excerpt
from gateway.core.classifier.harness import user_words
from gateway.core.classifier.model import judge
from gateway.core.classifier.prompt import read_reply, write_question
from gateway.core.decide import Decision, default
from gateway.core.dialects import DIALECTS
from gateway.core.outcomes import Outcome, of_status
from gateway.core.policy import Policy
from gateway.core.record import ClassifierCall, Record
from gateway.outgoing import to_provider
from gateway.ports import Ports, TransportError
from gateway.weights import read_stored

BREAKER = "classifier"
_REFUSES_THE_WORDS = frozenset({400, 413, 422})  # a content filter, too long
MAX_REMEMBERED = 1_000  # turns with tools whose tier an instance remembers
MAX_REPLY_BYTES = 256 * 1024  # a tier's name in JSON, with room for a model that explains itself


async def classify(
    policy: Policy, chat: ChatRequest, record: Record, ports: Ports, remaining_ms: int
) -> Decision:
    """The judged tier, or the default one with the reason why it could not be judged."""
    settings = policy.classifier
    if settings.mode == "off":
        return default(policy, "classifier_off")
    excerpt = make_excerpt(chat)
    if excerpt is None:
        return default(policy, "no_user_text")
    embedded = None
    if settings.mode != "model":
        embedded = await _embedded(policy, excerpt, record, ports)
        is_sure = embedded is not None and settings.trusts(embedded.confidence or 0.0)
        if embedded and (settings.mode == "local" or is_sure):
            return embedded
        if settings.mode == "local":
            return default(policy, "no_evidence")
    asked = await _ask(policy, chat, excerpt, record, ports, remaining_ms)
    return replace(embedded, reason=asked.reason) if embedded and asked.by == "default" else asked


async def _embedded(
    policy: Policy, excerpt: Excerpt, record: Record, ports: Ports
) -> Decision | None:
    """What the embedded model says; None if it has no evidence."""
    label = policy.classifier.weights
    weights = ports.weights if label is None else await read_stored(label, ports)
    found = judge(weights, excerpt, policy.classifier.lean)
    if found is None:
        return None
    record.judged = found.probabilities
    tier = policy.by_level[found.level]
    return Decision(tier, "local", confidence=policy.share_of(tier, found.probabilities))


async def _ask(
    policy: Policy,
    chat: ChatRequest,
    excerpt: Excerpt,
    record: Record,
    ports: Ports,
    remaining_ms: int,
) -> Decision:
    """What the classifier model says."""
    settings = policy.classifier
    if settings.target is None:
        return default(policy, "classifier_off")
    turn = hash((policy.version, excerpt))
    known = ports.remembered.tiers
    if is_tool_loop(chat) and known.get(turn) in policy.tiers:
        return Decision(known[turn], "session")
    provider = policy.providers[settings.target.provider]
    if provider.key and ports.secrets.get(provider.key) is None:
        return default(policy, "classifier_key_missing")
    timeout_ms = min(settings.timeout_ms, remaining_ms)
    target = settings.target
    state = await breaker.enter(
        ports, BREAKER, target.id, settings.cooldown_ms, settings.timeout_ms
    )
    if state == "open":
        return default(policy, "classifier_cooling_down")

    dialect = DIALECTS[provider.dialect]
    question = write_question(
        dialect,
        provider.manner,
        target.model,
        policy.tiers.values(),
        excerpt,
        settings.options,
    )
    request = to_provider(provider, target.model, question, None, ports.secrets)
    started = ports.clock.monotonic()
    status, body = None, b""
    try:
        status, body = await ports.http.fetch(request, timeout_ms, MAX_REPLY_BYTES)
        outcome = of_status(status)
    except TransportError as error:
        outcome = error.outcome
    ms = (ports.clock.monotonic() - started) * 1000
    usage = dialect.peek_answer(body)[1] if outcome is Outcome.ANSWERED else None
    record.classifier = ClassifierCall(target.id, outcome, ms, status, usage)

    if outcome is not Outcome.ANSWERED:
        # A deadline that a client shortened says nothing about the classifier, nor does its
        # refusal of one client's words.
        if timeout_ms == settings.timeout_ms and status not in _REFUSES_THE_WORDS:
            await breaker.open_for(ports, BREAKER, target.id, settings.cooldown_ms)
        return default(policy, f"classifier_{outcome}")
    if state == "probe":
        await breaker.close(ports, BREAKER)
    tier = read_reply(dialect, body, policy.tiers)
    if tier is None:
        return default(policy, "classifier_unreadable")
    if chat.has_tools:
        if len(known) >= MAX_REMEMBERED:
            del known[next(iter(known))]
        known[turn] = tier
    return Decision(tier, "model")


def is_tool_loop(chat: ChatRequest) -> bool:
    """Whether the results of tools come back, what a harness adds to them aside: the turn that
    asked for them goes on, and is not judged anew, since a judge may change its mind and another
    model the way."""
    for message in reversed(chat.messages):
        if message.role != "user" or user_words(message.text):
            return message.role == "tool"
    return False
