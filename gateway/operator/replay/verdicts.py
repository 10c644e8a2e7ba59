"""What a policy makes of a request, by its decision record alone: pure, and by the gateway's own
functions wherever one decides.

In the gateway's order: what the client asked for, the first rule that holds, the judge. A record
has no text, no headers and no metadata. So some things are known only from what was decided: of the
rules of the policy that served, which held and which did not. What cannot be known is Unknown; two
policies that put the same question have the same answer, whatever it is.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from gateway.core.chat import ChatRequest
from gateway.core.classifier.model import choose
from gateway.core.decide import DecidedBy, Decision, decide, default, read_controls
from gateway.core.dialects.openai_chat.parsing import parse_request
from gateway.core.errors import TiergateError
from gateway.core.http import Headers
from gateway.core.policy import LEVELS, Policy, Rule, Target, When
from gateway.core.rules import holds
from gateway.operator.replay.records import Seen

ASKED_FOR = frozenset({"forced", "direct", "bypass"})  # by the client
_NO_HEADERS = Headers()
_REMEMBERED = 1_024  # tiers and models that clients ask for

WhyUnknown = Literal["not_judged", "not_asked", "no_such_tier", "no_target"]


@dataclass(frozen=True, slots=True)
class Denied:
    """The request would be refused."""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The record does not tell. `question`: all that the answer would follow from."""

    why: WhyUnknown
    question: object


Verdict = Decision | Denied | Unknown


@dataclass(frozen=True, slots=True)
class _Conditions:
    """A rule's, as far as facts answer them; `spoken` is with the language. `is_told`: there are no
    others."""

    rule: Rule
    spoken: When
    silent: When
    is_told: bool
    asks_facts: bool


class Side:
    """One of the two policies. `tilt` is of the weights that it judges with; `known`: the policies
    whose records tell more, this one and the other."""

    def __init__(self, policy: Policy, tilt: float, known: Iterable[Policy]) -> None:
        self.policy = policy
        self._tilt = tilt
        self._known = {each.label: each for each in known}
        self._rules = [_conditions(rule) for rule in policy.rules]
        # For each policy whose records are known: where each of our rules stands among its own.
        self._places = {
            label: [_place(rule, each) for rule in policy.rules]
            for label, each in self._known.items()
        }
        settings = policy.classifier
        self._to_model = (
            settings.target.id if settings.target else None,
            json.dumps(settings.options, sort_keys=True),
            tuple([(tier.name, tier.description) for tier in policy.tiers.values()]),
        )
        self._to_embedded = (
            settings.mode,
            settings.weights,
            self._tilt,
            settings.lean,
            tuple(policy.by_level.items()),
            policy.default_tier,
            (settings.min_confidence, self._to_model) if settings.mode == "hybrid" else None,
        )
        self._asked_for = lru_cache(_REMEMBERED)(self._as_asked)

    def decide(self, seen: Seen) -> tuple[Verdict, tuple[Rule, ...]]:
        """The verdict, and the rules before it that could have held: they are taken not to."""
        if seen.by in ASKED_FOR and (asked := self._asked_for(seen.by, seen.tier, seen.target)):
            return asked, ()
        maybe: tuple[Rule, ...] = ()
        for number, item in enumerate(self._rules):
            is_held = self._holds(number, item, seen)
            if is_held:
                rule = item.rule
                return Decision(rule.tier, "rule", rule.target, reason=rule.name), maybe
            if is_held is None:
                maybe += (item.rule,)
        verdict = self._judge(seen)
        if maybe and isinstance(verdict, Unknown):
            verdict = Unknown(verdict.why, (maybe, verdict.question))
        return verdict, maybe

    def settled(self, verdict: Verdict, seen: Seen) -> Verdict:
        """What was decided in fact, where it is not known otherwise and this policy served."""
        if isinstance(verdict, Unknown) and seen.policy == self.policy.label:
            return recorded(seen) or verdict
        return verdict

    def _as_asked(self, by: DecidedBy, tier: str | None, target: str | None) -> Verdict | None:
        """What the client asked for, as far as this policy lets it; None: it is judged."""
        policy = self.policy
        if tier is None and target is None:
            names = frozenset(policy.listed)
            return Unknown("no_target", (policy.permissions, policy.unknown_model, names))
        asked = [("x-tiergate-tier", tier)] if by == "forced" and tier else []
        asked += [("x-tiergate-bypass", "true")] if by == "bypass" else []
        try:
            return decide(policy, _chat(target), read_controls(Headers(asked), policy))
        except TiergateError:
            return Denied()

    def _holds(self, number: int, item: _Conditions, seen: Seen) -> bool | None:
        """Whether a rule does; None: it may."""
        origin = self._known.get(seen.policy) if seen.policy else None
        if origin and seen.by not in ASKED_FOR:
            place = self._places[origin.label][number]
            reached = _reached(origin, seen)
            if place is not None and place <= reached:
                return place == reached and place < len(origin.rules)
        facts = seen.facts
        if facts is None:
            return None if item.asks_facts or not item.is_told else True
        is_clear = facts.language is not None or (origin is not None and origin.asks_for_language)
        if not holds(item.spoken if is_clear else item.silent, facts, _NO_HEADERS):
            return False
        is_told = item.is_told and (is_clear or not item.rule.when.languages)
        return True if is_told else None

    def _judge(self, seen: Seen) -> Verdict:
        """As `gateway.classify` does."""
        policy, settings = self.policy, self.policy.classifier
        if settings.mode == "off":
            return default(policy, "classifier_off")
        if seen.reason == "no_user_text" and seen.by == "default":
            return default(policy, "no_user_text")
        embedded = None
        if settings.mode != "model":
            if seen.judged:
                place = choose(seen.judged, self._tilt, settings.lean)
                tier = policy.by_level[LEVELS[place]]
                confidence = policy.share_of(tier, seen.judged)
                embedded = Decision(tier, "local", confidence=confidence)
                if settings.mode == "local" or settings.trusts(confidence):
                    return embedded
            elif not self._has_no_evidence(seen):
                return Unknown("not_judged", self._to_embedded)
            elif settings.mode == "local":
                return default(policy, "no_evidence")
        if seen.by in {"model", "session"} and seen.tier:
            if seen.tier in policy.tiers:
                return Decision(seen.tier, seen.by)
            return Unknown("no_such_tier", self._to_model)
        otherwise = embedded.tier if embedded else policy.default_tier
        return Unknown("not_asked", (self._to_model, otherwise))

    def _has_no_evidence(self, seen: Seen) -> bool:
        """Whether the embedded model was asked, and could read nothing."""
        if seen.by == "default" and seen.reason == "no_evidence":
            return True
        origin = self._known.get(seen.policy) if seen.policy else None
        was_judged = seen.by not in ASKED_FOR and seen.by != "rule"
        return origin is not None and was_judged and origin.classifier.mode in {"local", "hybrid"}


def is_same(one: Verdict, other: Verdict) -> bool:
    """Whether two policies do the same with a request."""
    match one, other:
        case Decision(), Decision():
            return one.tier == other.tier and _id(one.target) == _id(other.target)
        case Denied(), Denied():
            return True
    return one == other


def recorded(seen: Seen) -> Decision | None:
    """What a record says was decided."""
    provider, _, model = (seen.target or "").partition("/")
    if seen.tier is None and not model:
        return None
    target = None if seen.tier else Target(provider, model)
    return Decision(seen.tier, seen.by, target, seen.reason)


def _id(target: Target | None) -> str | None:
    return target.id if target else None


def _chat(model: str | None) -> ChatRequest:
    """A request that names this model: no more than that is looked at."""
    asked = {"model": model or "auto", "messages": [{"role": "user", "content": "-"}]}
    return parse_request(json.dumps(asked).encode())


def _conditions(rule: Rule) -> _Conditions:
    spoken = replace(rule.when, headers={}, metadata={})
    silent = replace(spoken, languages=())
    nothing = When(None, None, None, None, (), {}, {})
    return _Conditions(rule, spoken, silent, spoken == rule.when, spoken != nothing)


def _place(rule: Rule, other: Policy) -> int | None:
    """Which rule of a policy holds exactly when this one does."""
    return next((n for n, each in enumerate(other.rules) if each.when == rule.when), None)


def _reached(origin: Policy, seen: Seen) -> int:
    """Which of its policy's rules held; their number if none did, -1 if the record names none."""
    if seen.by != "rule":
        return len(origin.rules)
    return next((n for n, rule in enumerate(origin.rules) if rule.name == seen.reason), -1)
