"""Where client and provider both speak this dialect: the bytes pass, read just far enough.

A request keeps every byte but its model, and but what an earlier turn of another dialect's provider
left in it: reasoning, citations, ids that this one would refuse.
"""

from gateway.core import jsontext
from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed, ProviderRequest
from gateway.core.dialects import shapes
from gateway.core.dialects.anthropic_messages import ids, proofs
from gateway.core.dialects.anthropic_messages.errors import error_event, failure
from gateway.core.dialects.anthropic_messages.usage import Counts, read_usage
from gateway.core.dialects.anthropic_messages.words import COUNT_PATH, PATH
from gateway.core.errors import TiergateError
from gateway.core.jsontext import JsonError
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent

_TEXTS = {"text": "text", "thinking": "thinking"}  # blocks that begin empty, and where they grow


def pass_request(chat: ChatRequest, model: str, ask_usage: bool) -> ProviderRequest:  # noqa: ARG001, FBT001
    """The client's own request. `ask_usage` changes nothing: usage is always said."""
    return ProviderRequest(PATH, _replaced(chat, model))


def pass_count(chat: ChatRequest, model: str) -> ProviderRequest:
    """The same for a request that only counts its tokens."""
    return ProviderRequest(COUNT_PATH, _replaced(chat, model))


def _replaced(chat: ChatRequest, model: str) -> bytes:
    members: dict[str, object] = {"model": model}
    messages = given = chat.source.values.get("messages")
    if chat.source.mentions(proofs.MARK):
        messages = proofs.without_foreign(messages)
    if ids.MARK.search(chat.source.data):
        messages = ids.with_valid_ids(messages)
    if messages != given:
        members["messages"] = messages
    return chat.source.replaced(members)


def peek_answer(body: bytes) -> tuple[Outcome, Usage | None]:
    """What a provider's whole answer under status 200 is, and its usage if it has it.

    Some servers send an error object under status 200: that is no answer.
    """
    try:
        answer = jsontext.parse(body)
    except JsonError:
        return Outcome.MALFORMED, None
    if not isinstance(answer, dict):
        return Outcome.MALFORMED, None
    if answer.get("type") == "error" or answer.get("error"):
        return Outcome.SERVER_ERROR, None
    if not isinstance(answer.get("content"), list):
        return Outcome.MALFORMED, None
    says = any(block != {"type": "text", "text": ""} for block in answer["content"])
    is_empty = not says and answer.get("stop_reason") in ENDS_ON_ITS_OWN
    return Outcome.EMPTY if is_empty else Outcome.ANSWERED, read_usage(answer.get("usage"))


ENDS_ON_ITS_OWN = (None, "end_turn")  # any other reason explains an answer without words


def peek_count(body: bytes) -> Outcome:
    """What a provider's count under status 200 is."""
    try:
        answer = jsontext.parse(body)
    except JsonError:
        return Outcome.MALFORMED
    match answer:
        case {"input_tokens": int()}:
            return Outcome.ANSWERED
        case {"error": error} if error:
            return Outcome.SERVER_ERROR
    return Outcome.MALFORMED


class MessagesWatcher:
    """Follows one stream. A `message_stop` before any reason to stop is none."""

    def __init__(self, chat: ChatRequest) -> None:  # noqa: ARG002 - as Dialect says
        self._counts = Counts()
        self._has_finished = self._is_done = False

    def watch(self, event: SseEvent) -> StreamEvent | None:
        if not event.data:
            return StreamEvent(event.raw)
        try:
            return self._seen(shapes.an_object(event.data), event.raw)
        except Malformed:
            return None

    def end(self) -> bytes | None:
        return b"" if self._is_done else None

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error)

    def _seen(self, value: Json, raw: bytes) -> StreamEvent:
        kind = shapes.string(value, "type")
        if kind == "error" or (kind is None and value.get("error")):
            return StreamEvent(raw, error=failure(value.get("error")).message)
        match kind:
            case None:
                raise Malformed("an event without a type")
            case "message_start":
                message = shapes.members(value, "message") or {}
                return StreamEvent(raw, choices=(0,), usage=self._counts.add(message.get("usage")))
            case "content_block_start":
                block = shapes.members(value, "content_block") or {}
                grows = _TEXTS.get(shapes.text(block, "type"))
                return StreamEvent(raw, grows is None or bool(block.get(grows)), choices=(0,))
            case "content_block_delta":
                return StreamEvent(raw, has_content=True, choices=(0,))
            case "message_delta":
                delta = shapes.members(value, "delta") or {}
                reason = shapes.string(delta, "stop_reason")
                finished = (0,) if reason is not None else ()
                self._has_finished = self._has_finished or bool(finished)
                usage = self._counts.add(value.get("usage"))
                return StreamEvent(
                    raw,
                    choices=(0,),
                    finished=finished,
                    says_why=reason not in ENDS_ON_ITS_OWN,
                    usage=usage,
                )
            case "message_stop":
                if not self._has_finished:
                    return StreamEvent(b"", is_done=True)  # a cut: `end` says so; none must see it
                self._is_done = True
                return StreamEvent(raw, is_done=True)
            case _:
                return StreamEvent(raw)
