"""Embeddings, in OpenAI's shape, passed through: https://platform.openai.com/docs/api-reference/embeddings.

Rule: vectors of two models cannot be compared, so one model is never put in another's place: only
targets with the model that was named, or the first one's where none was, stand in for each other.
"""

from gateway.core import jsontext
from gateway.core.chat import Usage
from gateway.core.decide import AUTO, Decision
from gateway.core.dialect import ProviderRequest
from gateway.core.dialects import fields, shapes
from gateway.core.errors import NotFound
from gateway.core.jsontext import JsonError, JsonObject
from gateway.core.outcomes import Outcome
from gateway.core.policy import Policy, Step, Target

PATH = "/embeddings"
_TYPES: fields.Types = {
    "model": ((str,), "a string"),
    "input": ((str, list), "a string or an array"),
    "dimensions": ((int,), "a whole number"),
    "encoding_format": ((str,), "a string"),
    "user": ((str,), "a string"),
}


def parse_request(body: bytes) -> JsonObject:
    """What a client asks. Raises BadRequest naming the member at fault."""
    source = fields.body_object(body, _TYPES)
    if source.values.get("input") is None:
        raise fields.missing("input")
    return source


def decide(policy: Policy, source: JsonObject) -> tuple[Decision, list[Step]]:
    """Who could serve it. Raises NotFound where the policy has nobody."""
    model = source.values.get("model")
    is_open = model is None or model in AUTO
    decision = Decision(None, "default" if is_open else "direct")
    return decision, [(None, _targets(policy, None if is_open else model))]


def _targets(policy: Policy, model: object) -> tuple[Target, ...]:
    """The targets with that model; with the first target's where None."""
    targets = policy.embeddings
    if not targets:
        raise NotFound(
            "This gateway's policy has no embedding targets: its operator lists them under"
            " [embeddings].",
            code="no_embeddings",
        )
    if model is None:
        return tuple([target for target in targets if target.model == targets[0].model])
    if found := [target for target in targets if target.id == model]:
        return tuple(found)
    if found := [target for target in targets if target.model == model]:
        return tuple(found)
    raise NotFound(
        "The model is not one of this gateway's for embeddings: use 'auto' or one of "
        f"{', '.join([target.id for target in targets])}.",
        code="model_not_found",
        param="model",
    )


def write_request(source: JsonObject, model: str) -> ProviderRequest:
    """The client's own text, the model replaced."""
    return ProviderRequest(PATH, source.replaced({"model": model}))


def read_answer(body: bytes) -> tuple[Outcome, Usage | None]:
    """What a provider's answer under status 200 is, and its usage. It has no output tokens."""
    try:
        answer = jsontext.parse(body)
    except JsonError:
        return Outcome.MALFORMED, None
    match answer:
        case {"data": [dict(), *_], **rest}:
            usage = rest.get("usage")
            sent = shapes.count(usage.get("prompt_tokens")) if isinstance(usage, dict) else None
            return Outcome.ANSWERED, None if sent is None else Usage(sent, 0)
        case {"error": error} if error:
            return Outcome.SERVER_ERROR, None
    return Outcome.MALFORMED, None
