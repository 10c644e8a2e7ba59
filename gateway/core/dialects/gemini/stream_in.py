"""A provider's stream, read.

Facts: https://ai.google.dev/api/generate-content#GenerateContentResponse. Each event is an answer
of the shape of a whole one, with what is new in it. There is no last event: a stream is whole if
its bytes end cleanly and every candidate said why it ended. Models before Gemini 2 say so in every
event, so nothing ends before the bytes do. A blocked prompt is an answer without candidates. An
error may come as bare JSON, in no event, and after an event with a reason to end
(https://github.com/vercel/ai/issues/5217).
"""

from gateway.core import jsontext
from gateway.core.answers import ChatEvent, Done, Failed, Finished, Logprobs, Started, Used
from gateway.core.conversation import Json
from gateway.core.dialect import Malformed
from gateway.core.dialects.gemini.choices import Choice
from gateway.core.dialects.gemini.endings import BROKEN, read_finish
from gateway.core.dialects.gemini.errors import read_failure
from gateway.core.dialects.gemini.logprobs import read_logprobs
from gateway.core.dialects.gemini.shapes import count_of, items, object_of, text_of
from gateway.core.dialects.gemini.usage import read_usage
from gateway.core.sse import SseEvent

KNOWN = ("candidates", "promptFeedback", "usageMetadata", "responseId", "modelVersion")


def data_of(event: SseEvent) -> bytes:
    """Its data, or the bare JSON in its place; nothing for a keep-alive."""
    if event.data:
        return event.data
    raw = event.raw.strip()
    return raw if raw.startswith((b"{", b"[")) else b""


def parse(data: bytes) -> Json:
    """The object, or the only one of a list. Raises Malformed."""
    try:
        found = jsontext.parse(data)
    except jsontext.JsonError as error:
        raise Malformed(str(error)) from None
    if isinstance(found, list) and len(found) == 1:
        found = found[0]
    if not isinstance(found, dict):
        raise Malformed("not an object")
    return found


class Reader:
    """Reads events, or one whole answer."""

    def __init__(self) -> None:
        self._choices: dict[int, Choice] = {}
        self._has_started = False
        self._is_blocked = False
        self._is_failed = False

    def read(self, event: SseEvent) -> list[ChatEvent]:
        data = data_of(event)
        return self.take(parse(data)) if data else []

    def take(self, value: Json) -> list[ChatEvent]:
        """What an event or a whole answer says. Raises Malformed."""
        if value.get("error") is not None:
            self._is_failed = True
            return [read_failure(value["error"])]
        if not any(name in value for name in KNOWN):
            raise Malformed("not an answer")
        answer_id = text_of(value.get("responseId"))
        events: list[ChatEvent] = []
        if not self._has_started:
            self._has_started = True
            events.append(Started(answer_id, text_of(value.get("modelVersion"))))
        if object_of(value.get("promptFeedback")).get("blockReason") is not None:
            self._is_blocked = True
        if (usage := read_usage(value.get("usageMetadata"))) is not None:
            events.append(Used(usage))  # first: some clients are told the prompt's count at once
        for position, item in enumerate(items(value.get("candidates"))):
            events += self._candidate(object_of(item), position, answer_id)
        return events

    def end(self) -> list[ChatEvent]:
        """The ends of all candidates, if each said why."""
        finishes = [
            (index, read_finish(choice.finish, has_calls=choice.has_calls))
            for index, choice in self._choices.items()
            if choice.finish is not None
        ]
        if self._is_blocked and not self._choices:
            return [Finished(0, "content_filter"), Done()]
        if self._is_failed or not finishes or len(finishes) < len(self._choices):
            return []
        events: list[ChatEvent] = []
        for index, finish in finishes:
            events += [*self._choices[index].close(), Finished(index, finish)]
        return [*events, Done()]

    def _candidate(self, candidate: Json, position: int, answer_id: str | None) -> list[ChatEvent]:
        index = count_of(candidate.get("index"))
        index = position if index is None else index
        choice = self._choices.get(index)
        if choice is None:
            choice = self._choices[index] = Choice(index, answer_id)
        events = choice.read(candidate)
        if logprobs := read_logprobs(candidate.get("logprobsResult")):
            events.append(Logprobs(index, logprobs))
        choice.finish = text_of(candidate.get("finishReason")) or choice.finish
        if choice.finish in BROKEN:
            self._is_failed = True
            message = text_of(candidate.get("finishMessage"))
            events.append(
                Failed(
                    message or f"The model's answer is not whole: {choice.finish}.",
                    "server_error",
                    choice.finish.lower(),
                )
            )
        return events
