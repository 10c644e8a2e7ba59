"""Where client and provider both speak this dialect: the bytes pass, and are read for what must be
known. Fact: a request names no model in its body, but may (https://ai.google.dev/api/batch-api).
What another provider left in its contents does not pass (`history.py`)."""

from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed, ProviderRequest
from gateway.core.dialects.gemini.errors import error_event, read_failure
from gateway.core.dialects.gemini.history import as_own, may_need_change
from gateway.core.dialects.gemini.requests_out import path_of
from gateway.core.dialects.gemini.shapes import count_of, items, object_of
from gateway.core.dialects.gemini.stream_in import KNOWN, data_of, parse
from gateway.core.dialects.gemini.usage import read_usage
from gateway.core.errors import TiergateError
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent


def pass_request(chat: ChatRequest, model: str, ask_usage: bool) -> ProviderRequest:  # noqa: FBT001
    """The client's own text. Usage need not be asked for: every stream has it."""
    del ask_usage
    path = path_of(model, is_stream=chat.is_stream)
    named: dict[str, object] = {}
    if chat.source.values.get("model") is not None:
        named["model"] = path[1:].rpartition(":")[0]
    if may_need_change(chat.source, model):
        contents = chat.source.values.get("contents")
        if (own := as_own(contents, model)) != contents:
            named["contents"] = own
    return ProviderRequest(path, chat.source.replaced(named))


def peek_answer(body: bytes) -> tuple[Outcome, Usage | None]:
    """What a provider's whole answer under status 200 is, and its usage."""
    try:
        value = parse(body)
        if value.get("error"):
            return Outcome.SERVER_ERROR, None
        candidates = [object_of(item) for item in items(value.get("candidates"))]
        if not candidates and not _is_blocked(value):
            return Outcome.MALFORMED, None
        is_empty = bool(candidates) and all(_is_empty(candidate) for candidate in candidates)
    except Malformed:
        return Outcome.MALFORMED, None
    outcome = Outcome.EMPTY if is_empty else Outcome.ANSWERED
    return outcome, read_usage(value.get("usageMetadata"))


def _is_empty(candidate: Json) -> bool:
    """Whether it ended on its own and says nothing."""
    parts = items(object_of(candidate.get("content")).get("parts"))
    says = any(_says_something(object_of(part)) for part in parts)
    return not says and candidate.get("finishReason") in ENDS_ON_ITS_OWN


ENDS_ON_ITS_OWN = (None, "STOP")  # any other reason explains an answer without words


class Watcher:
    """Follows a stream that passes: it is whole if each of its candidates said why it ended."""

    def __init__(self, chat: ChatRequest) -> None:
        self._answers = chat.answers
        self._begun: set[int] = set()
        self._finished: set[int] = set()
        self._is_blocked = False

    def watch(self, event: SseEvent) -> StreamEvent | None:
        data = data_of(event)
        if not data:
            return StreamEvent(event.raw)
        try:
            return self._read(parse(data), event.raw)
        except Malformed:
            return None

    def end(self) -> bytes | None:
        is_finished = bool(self._finished) and self._begun <= self._finished
        return b"" if is_finished or (self._is_blocked and not self._begun) else None

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error)

    def _read(self, value: Json, raw: bytes) -> StreamEvent:
        if value.get("error") is not None:
            return StreamEvent(raw, error=read_failure(value["error"]).message)
        if not any(name in value for name in KNOWN):
            raise Malformed("not an answer")
        self._is_blocked = self._is_blocked or _is_blocked(value)
        has_content = False
        says_why = self._is_blocked
        seen: list[int] = []
        finished: list[int] = []
        for position, item in enumerate(items(value.get("candidates"))):
            candidate = object_of(item)
            index = count_of(candidate.get("index"))
            index = position if index is None else index
            seen.append(index)
            if (reason := candidate.get("finishReason")) is not None:
                finished.append(index)
                says_why = says_why or reason not in ENDS_ON_ITS_OWN
            parts = items(object_of(candidate.get("content")).get("parts"))
            has_content = has_content or any(_says_something(object_of(part)) for part in parts)
        self._begun.update(seen)
        self._finished.update(finished)
        usage = read_usage(value.get("usageMetadata"))
        return StreamEvent(
            raw,
            has_content=has_content,
            choices=tuple(seen),
            finished=tuple(finished),
            is_usage_only=usage is not None and not seen and "promptFeedback" not in value,
            says_why=says_why,
            usage=usage,
        )


def _says_something(part: Json) -> bool:
    return any(value for name, value in part.items() if name not in {"thought", "thoughtSignature"})


def _is_blocked(value: Json) -> bool:
    return object_of(value.get("promptFeedback")).get("blockReason") is not None
