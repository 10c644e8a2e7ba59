"""The reasoning of an assistant's message: where each provider puts it, and wants it back.

OpenAI has no place for it; those that show it put it into `reasoning_content` (DeepSeek, Moonshot,
xAI, older vLLM), `reasoning` (Groq, Cerebras, Ollama, newer vLLM), content parts of type `thinking`
(Mistral) or `reasoning_details` beside `reasoning` (OpenRouter: text, summary or encrypted data,
each with its signature and format). Each refuses the others' places, and some refuse a turn that
lacks its own: DeepSeek one with tool calls (https://api-docs.deepseek.com/guides/thinking_mode),
while Groq, Cerebras and Mistral answer 400 or 422 to `reasoning_content`
(https://github.com/NousResearch/hermes-agent/issues/34716). So reasoning goes back exactly where it
was: its neutral signature is the name of its place, or for a detail `kind|format|signature`.
Reasoning of other dialects' providers is never sent; a client gets it in `reasoning_content`, and
where it can be proved also in `reasoning_details`, sealed.

Facts: https://openrouter.ai/docs/use-cases/reasoning-tokens.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.conversation import Json, Reasoning
from gateway.core.dialects.fields import each, string
from gateway.core.dialects.openai_chat.words import NAME
from gateway.core.dialects.signatures import seal, unseal

PLACES = ("reasoning_content", "reasoning")
THINKING = "thinking"
DETAILS = "reasoning_details"
MARK = '"tiergate.'  # how a sealed proof begins in JSON

_TEXT, _SUMMARY, _ENCRYPTED = "reasoning.text", "reasoning.summary", "reasoning.encrypted"


def read_reasoning(message: Json, path: str) -> list[Reasoning]:
    """What `message` has outside its content. Raises BadRequest."""
    details = read_details(message, path)
    plain = read_plain(message, path)
    if plain is None or any(part.text for part in details):
        return details
    for number, part in enumerate(details):  # a client that kept the text in its plain place only
        if part.redacted is None:
            details[number] = replace(part, text=plain.text)
            return details
    return [plain, *details]


def read_plain(message: Json, path: str) -> Reasoning | None:
    for place in PLACES:
        if text := string(message.get(place), f"{path}.{place}"):
            return Reasoning(text, signature=place, origin=NAME)
    return None


def read_details(message: Json, path: str) -> list[Reasoning]:
    found = each(message.get(DETAILS), f"{path}.{DETAILS}", read_detail)
    return [part for part in found if part is not None]


def read_detail(entry: Json, path: str) -> Reasoning | None:
    """One entry; None if it says nothing, or something newer."""
    kind = entry.get("type")
    if kind not in (_TEXT, _SUMMARY, _ENCRYPTED):
        return None
    text = string(entry.get("summary"), f"{path}.summary") or ""
    text += string(entry.get("text"), f"{path}.text") or ""
    signature = string(entry.get("signature"), f"{path}.signature") or ""
    data = string(entry.get("data"), f"{path}.data")
    if not (text or signature or data):
        return None
    id_ = string(entry.get("id"), f"{path}.id")
    form = string(entry.get("format"), f"{path}.format") or ""
    proof, origin = unseal(data or signature, NAME)
    if origin != NAME:
        if data:
            return Reasoning(text, None, proof, id_, origin)
        return Reasoning(text, proof, None, id_, origin)
    if data:
        return Reasoning(text, None, f"{form}|{data}", id_, NAME)
    word = "summary" if kind == _SUMMARY else "text"
    return Reasoning(text, f"{word}|{form}|{signature}", None, id_, NAME)


def is_proof(signature: str | None) -> bool:
    """Whether a signature is more than the name of a place."""
    return signature not in {None, "", *PLACES, THINKING} and not str(signature).endswith("|")


def for_provider(parts: Sequence[Reasoning]) -> Json:
    """The members of a message in which its own provider wants these back."""
    return _members(*_placed(parts))


def _placed(parts: Sequence[Reasoning]) -> tuple[dict[str, str], list[Json]]:
    """This dialect's own: the texts by their places, and the details."""
    texts: dict[str, str] = {}
    details: list[Json] = []
    for part in parts:
        if part.origin != NAME or part.signature == THINKING:
            continue  # another's; or a part of the content
        if part.redacted or "|" in (part.signature or ""):
            details.append(_own_detail(part, len(details)))
        elif part.text:
            place = part.signature if part.signature in PLACES else PLACES[0]
            texts[place] = texts.get(place, "") + part.text
    return texts, details


def _members(texts: dict[str, str], details: list[Json]) -> Json:
    return {**texts, DETAILS: details} if details else {**texts}


def for_client(parts: Sequence[Reasoning]) -> Json:
    """The members of a message in which a client finds these, and returns them."""
    own = [part for part in parts if part.origin == NAME]
    foreign = [part for part in parts if part.origin != NAME]
    texts, details = _placed(own)
    if text := "".join([part.text for part in foreign]):
        texts[PLACES[0]] = texts.get(PLACES[0], "") + text
    if any(part.signature or part.redacted for part in foreign):
        details += [sealed_detail(part, at) for at, part in enumerate(foreign, len(details))]
    return _members(texts, details)


def sealed_detail(part: Reasoning, index: int, origin: str | None = None) -> Json:
    """An entry for another provider's reasoning, or for what is known of it so far."""
    origin = part.origin or origin
    entry: Json = {"type": _TEXT, "index": index}
    if part.id is not None:
        entry["id"] = part.id
    if part.text:
        entry["text"] = part.text
    if part.signature:
        entry["signature"] = seal(part.signature, origin, NAME)
    if part.redacted:
        entry |= {"type": _ENCRYPTED, "data": seal(part.redacted, origin, NAME)}
    return entry


def _own_detail(part: Reasoning, index: int) -> Json:
    entry: Json = {"type": _TEXT}
    if part.redacted:
        form, _, data = part.redacted.partition("|")
        entry = {"type": _ENCRYPTED, "data": data}
        if part.text:
            entry["text"] = part.text
    else:
        kind, _, rest = (part.signature or "").partition("|")
        form, _, signature = rest.partition("|")
        if kind == "summary":
            entry = {"type": _SUMMARY, "summary": part.text}
        else:
            entry["text"] = part.text
        if signature:
            entry["signature"] = signature
    if form:
        entry["format"] = form
    if part.id is not None:
        entry["id"] = part.id
    return {**entry, "index": index}


# --- Where messages pass -----------------------------------------------------


def without_sealed(messages: object) -> object:
    """A client's messages without what only a provider of another dialect can read; None if there
    is nothing such in them."""
    if not isinstance(messages, list):
        return None
    cleaned = [_cleaned(message) if isinstance(message, dict) else message for message in messages]
    return cleaned if cleaned != messages else None


def _cleaned(message: Json) -> Json:
    details = message.get(DETAILS)
    if isinstance(details, list) and any(_is_sealed(entry) for entry in details):
        message = {name: value for name, value in message.items() if name not in {*PLACES, DETAILS}}
    calls = message.get("tool_calls")
    if isinstance(calls, list) and any(is_sealed_call(call) for call in calls):
        calls = [_bare(call) if is_sealed_call(call) else call for call in calls]
        message = {**message, "tool_calls": calls}
    return message


def _bare(call: Json) -> Json:
    return {name: value for name, value in call.items() if name != "extra_content"}


def _is_sealed(entry: object) -> bool:
    return isinstance(entry, dict) and any(
        _is_foreign(entry.get(name)) for name in ("signature", "data")
    )


def is_sealed_call(call: object) -> bool:
    match call:
        case {"extra_content": {"google": {"thought_signature": signature}}}:
            return _is_foreign(signature)
    return False


def _is_foreign(proof: object) -> bool:
    return isinstance(proof, str) and unseal(proof, NAME)[1] != NAME
