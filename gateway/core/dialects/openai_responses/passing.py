"""From a client to a provider of this same dialect, and back: what must change, and be known.

The body is the client's text with the model replaced. When the turns before came from providers of
other dialects, the items that the gateway made for them are in `input`: their reasoning is left
out and their ids are taken off, since this provider has never seen them.
"""

from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed, ProviderRequest
from gateway.core.dialects import shapes
from gateway.core.dialects.openai_responses import errors
from gateway.core.dialects.openai_responses.marks import MADE, PATH, is_foreign, is_made
from gateway.core.dialects.openai_responses.usage import read_usage
from gateway.core.errors import TiergateError
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent

# Items that say something once they are there; the others begin empty.
_EMPTY_AT_FIRST = frozenset({"message", "reasoning"})


def pass_request(
    chat: ChatRequest,
    model: str,
    ask_usage: bool,  # noqa: ARG001, FBT001 - every dialect is called alike; usage always comes
) -> ProviderRequest:
    """The client's own text, but for the model and for items that the gateway made."""
    members: dict[str, object] = {"model": model}
    given = chat.source.values.get("input")
    if chat.source.mentions(MADE) and isinstance(given, list):
        kept = [_own(item) for item in given if not _is_foreign_reasoning(item)]
        if kept != given:
            members["input"] = kept
    return ProviderRequest(PATH, chat.source.replaced(members))


def peek_answer(body: bytes) -> tuple[Outcome, Usage | None]:
    """What a provider's whole answer under status 200 is, and its usage if it has it."""
    try:
        value = shapes.an_object(body)
    except Malformed:
        return Outcome.MALFORMED, None
    if value.get("error") or value.get("status") == "failed":
        return Outcome.SERVER_ERROR, None
    if not isinstance(value.get("output"), list):
        return Outcome.MALFORMED, None
    outcome = Outcome.EMPTY if _is_empty(value) else Outcome.ANSWERED
    return outcome, read_usage(value.get("usage"))


def _is_empty(response: Json) -> bool:
    """Whether it completed and says nothing: reasoning alone is no answer."""
    output = response.get("output")
    items = output if isinstance(output, list) else []
    return response.get("status") == "completed" and not any(_says(item) for item in items)


def _says(item: object) -> bool:
    match item:
        case {"type": "reasoning"}:
            return False
        case {"type": "message", "content": list() as content}:
            return any(
                part.get("text") or part.get("refusal")
                for part in content
                if isinstance(part, dict)
            )
    return True


class ResponsesWatcher:
    """Follows a stream whose bytes pass."""

    def __init__(self, chat: ChatRequest) -> None:  # noqa: ARG002 - every dialect is called alike
        self._is_done = False
        self._sequence = 0  # of the next event

    def watch(self, event: SseEvent) -> StreamEvent | None:
        if not event.data or event.data == b"[DONE]":
            return StreamEvent(event.raw)
        try:
            value = shapes.an_object(event.data)
            watched = self._watched(event.raw, value)
        except Malformed:
            return None
        if watched.error is None:  # one that reports an error is not shown: ours has its number
            self._sequence = (shapes.count(value.get("sequence_number")) or self._sequence) + 1
        return watched

    def end(self) -> bytes | None:
        return b"" if self._is_done else None

    def fail(self, error: TiergateError) -> bytes:
        return errors.error_event(error, self._sequence)

    def _watched(self, raw: bytes, value: Json) -> StreamEvent:
        match shapes.string(value, "type"):
            case "response.completed" | "response.incomplete":
                response = shapes.members(value, "response") or {}
                self._is_done = True
                return StreamEvent(
                    raw,
                    has_content=bool(response.get("output")),
                    choices=(0,),
                    finished=(0,),
                    is_done=True,
                    says_why=value.get("type") == "response.incomplete",
                    usage=read_usage(response.get("usage")),
                )
            case "response.failed":
                response = shapes.members(value, "response") or {}
                return StreamEvent(raw, error=errors.failure(response.get("error")).message)
            case "error":
                return StreamEvent(raw, error=errors.failure(value.get("error") or value).message)
            case "response.output_item.added":
                kind = (shapes.members(value, "item") or {}).get("type")
                return StreamEvent(raw, choices=(0,), has_content=kind not in _EMPTY_AT_FIRST)
            case None if value.get("error"):
                return StreamEvent(raw, error=errors.failure(value["error"]).message)
            case None:
                raise Malformed("an event without a type")
            case _:
                return StreamEvent(raw, has_content=bool(value.get("delta")))


def _is_foreign_reasoning(item: object) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning" and is_foreign(item)


def _own(item: object) -> object:
    """An item without the id that the gateway gave it."""
    if isinstance(item, dict) and item.get("type") != "item_reference" and is_made(item.get("id")):
        return {name: value for name, value in item.items() if name != "id"}
    return item
