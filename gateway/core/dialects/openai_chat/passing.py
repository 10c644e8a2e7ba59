"""Where client and provider both speak this dialect: the bytes pass, read just far enough.

Facts: a stream is SSE whose data is a JSON `chat.completion.chunk` or an error object, ended by
`[DONE]`; with `stream_options.include_usage` one more chunk with empty `choices` carries the usage
before it. Unknown members are kept: whoever reads them is the provider.
"""

from gateway.core import jsontext
from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.dialect import ProviderRequest
from gateway.core.dialects.openai_chat.errors import error_event, error_message
from gateway.core.dialects.openai_chat.reasoning import MARK, without_sealed
from gateway.core.dialects.openai_chat.usage import read_usage
from gateway.core.dialects.openai_chat.words import PATH
from gateway.core.errors import TiergateError
from gateway.core.jsontext import JsonError
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent

DONE = b"data: [DONE]\n\n"


def encode_request(chat: ChatRequest, model: str, *, ask_usage: bool) -> bytes:
    """The body for a provider of this same dialect: the client's own text, the model replaced.

    `ask_usage` adds `stream_options.include_usage` to a stream whose client did not ask for it.
    Proofs that the gateway sealed for a provider of another dialect are left out.
    """
    members: dict[str, object] = {"model": model}
    if ask_usage:
        options = chat.source.values.get("stream_options")
        members["stream_options"] = {
            **(options if isinstance(options, dict) else {}),
            "include_usage": True,
        }
    if chat.source.mentions(MARK):
        messages = without_sealed(chat.source.values.get("messages"))
        if messages is not None:
            members["messages"] = messages
    return chat.source.replaced(members)


def pass_request(chat: ChatRequest, model: str, ask_usage: bool) -> ProviderRequest:  # noqa: FBT001 - as Dialect
    return ProviderRequest(PATH, encode_request(chat, model, ask_usage=ask_usage))


def peek_answer(body: bytes) -> tuple[Outcome, Usage | None]:
    """What a provider's whole answer under status 200 is, and its usage if it has it.

    Some providers send an error object under status 200: that is no answer.
    """
    try:
        answer = jsontext.parse(body)
    except JsonError:
        return Outcome.MALFORMED, None
    if isinstance(answer, dict) and answer.get("error"):
        return Outcome.SERVER_ERROR, None
    match answer:
        case {"choices": [dict(), *_] as choices, **rest}:
            is_empty = all(_is_empty(choice) for choice in choices)
            outcome = Outcome.EMPTY if is_empty else Outcome.ANSWERED
            return outcome, read_usage(rest.get("usage"))
    return Outcome.MALFORMED, None


def _is_empty(choice: object) -> bool:
    """Whether it ended on its own and says nothing."""
    match choice:
        case {"message": dict() as message, **rest}:
            says = any(value for name, value in message.items() if name != "role")
            return not says and rest.get("finish_reason") in ENDS_ON_ITS_OWN
    return False


ENDS_ON_ITS_OWN = (None, "stop")  # any other reason explains an answer without words


def read_event(event: SseEvent) -> StreamEvent | None:
    """What one event of a provider's stream says; None if its data is not of this dialect."""
    data = event.data
    if not data:
        return StreamEvent(event.raw)
    if data == b"[DONE]":
        return StreamEvent(event.raw, is_done=True)
    try:
        chunk = jsontext.parse(data)
    except JsonError:
        return None
    if not isinstance(chunk, dict):
        return None
    if error := chunk.get("error"):
        return StreamEvent(event.raw, error=error_message(error))
    choices = chunk.get("choices")
    if not isinstance(choices, list):
        return None
    has_content = False
    seen: list[int] = []
    finished: list[int] = []
    says_why = False
    for choice in choices:
        index = choice.get("index", 0) if isinstance(choice, dict) else None
        if not isinstance(index, int):
            return None
        seen.append(index)
        if (reason := choice.get("finish_reason")) is not None:
            finished.append(index)
            says_why = says_why or reason not in ENDS_ON_ITS_OWN
        delta = choice.get("delta")
        if isinstance(delta, dict):
            has_content = has_content or any(
                value for name, value in delta.items() if name != "role"
            )
        has_content = has_content or bool(choice.get("text"))
    usage = read_usage(chunk.get("usage"))
    return StreamEvent(
        event.raw,
        has_content=has_content,
        choices=tuple(seen),
        finished=tuple(finished),
        is_usage_only=usage is not None and not choices,
        says_why=says_why,
        usage=usage,
    )


class Follower:
    """The dialect's `Watcher`. A `[DONE]` before every answer has its finish reason is none."""

    def __init__(self, chat: ChatRequest) -> None:
        self._answers = chat.answers
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._is_done = False

    def watch(self, event: SseEvent) -> StreamEvent | None:
        found = read_event(event)
        if found is None:
            return None
        if found.is_done:
            if not self._is_finished():
                return StreamEvent(b"", is_done=True)  # a cut: `end` says so, and none must see it
            self._is_done = True
        self._begun.update(found.choices)
        self._finished.update(found.finished)
        return found

    def end(self) -> bytes | None:
        """Some providers leave out the last word, when all is said."""
        if self._is_done:
            return b""
        is_whole = self._is_finished() and len(self._finished) >= self._answers
        return DONE if is_whole else None

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error)

    def _is_finished(self) -> bool:
        return bool(self._finished) and self._begun <= self._finished
