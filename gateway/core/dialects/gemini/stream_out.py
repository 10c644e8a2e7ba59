"""A client's stream, written.

Facts: https://ai.google.dev/api/generate-content#method:-models.streamgeneratecontent, and the
Python SDK (chats.py): a session keeps a turn only if each event has a candidate with a part in it,
and the last one a reason, so an event without anything to say has an empty text, as Gemini's own
last events have. A call is whole in one event: its arguments are kept until they are. Reasons,
sources and usage stand in the last event, which is written when the answer is known to be whole.
"""

import json
from dataclasses import dataclass, field, replace

from gateway.core import sse
from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Finish,
    Finished,
    Logprobs,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
    Started,
    Used,
)
from gateway.core.chat import ChatRequest, Usage
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.gemini.answers import about
from gateway.core.dialects.gemini.citations import Found, placed, write_citations
from gateway.core.dialects.gemini.endings import write_finish
from gateway.core.dialects.gemini.errors import error_event
from gateway.core.dialects.gemini.logprobs import write_logprobs
from gateway.core.dialects.gemini.parts_out import (
    MODEL,
    write_call,
    write_signed,
    write_text,
    write_thought,
)
from gateway.core.dialects.gemini.usage import write_usage
from gateway.core.errors import TiergateError

type Key = tuple[int, int]


@dataclass(slots=True)
class _Choice:
    """What the last event says of a candidate. `texts`: all its text so far, in pieces, and its
    `length` in characters."""

    finish: Finish | None = None
    texts: list[str] = field(default_factory=list)
    length: int = 0
    has_broken_call: bool = False


class Writer:
    """Sources are placed in bytes of all the text, which is kept for that."""

    def __init__(self, chat: ChatRequest) -> None:
        del chat  # everything that a request could ask of a stream is in it anyway
        self._about: Json = {}
        self._usage: Usage | None = None
        self._choices: dict[int, _Choice] = {}
        self._open: dict[Key, Text | Reasoning | Refusal | ToolCall] = {}
        self._starts: dict[Key, int] = {}  # of texts, in characters of all of them
        self._ends: dict[Key, int] = {}
        self._sources: dict[int, list[tuple[Citation, Key]]] = {}
        self._logprobs: dict[int, list[Json]] = {}

    def write(self, event: ChatEvent) -> bytes:
        match event:
            case Started():
                self._about = about(event.model, event.id)
            case PartStarted():
                return self._start(event)
            case PartDelta():
                return self._grow((event.choice, event.part), event.text)
            case PartSigned():
                self._sign((event.choice, event.part), event.signature)
            case PartEnded():
                return self._end((event.choice, event.part))
            case Cited():
                self._cite((event.choice, event.part), event.citation)
            case Logprobs():
                self._logprobs.setdefault(event.choice, []).extend(event.items)
            case Used():
                self._usage = event.usage
            case Finished():
                self._choice(event.choice).finish = event.finish
            case Done():
                return self._done()
            case _:
                pass
        return b""

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error)

    def _choice(self, index: int) -> _Choice:
        return self._choices.setdefault(index, _Choice())

    def _start(self, event: PartStarted) -> bytes:
        key, kind = (event.choice, event.part), event.kind
        choice = self._choice(event.choice)
        if isinstance(kind, ToolCall):
            self._open[key] = kind
            return b""
        self._open[key] = replace(kind, text="")
        self._starts[key] = choice.length
        written = self._grow(key, kind.text) if kind.text else b""
        if isinstance(kind, Text):
            for citation in kind.citations:
                self._cite(key, citation)
        return written

    def _grow(self, key: Key, text: str) -> bytes:
        part = self._open.get(key)
        if isinstance(part, ToolCall):
            self._open[key] = replace(part, arguments=part.arguments + text)
            return b""
        if isinstance(part, Reasoning):
            return self._event(key[0], write_thought(text))
        choice = self._choice(key[0])
        choice.length += len(text)
        choice.texts.append(text)
        return self._event(key[0], write_text(text))

    def _sign(self, key: Key, signature: str) -> None:
        part = self._open.get(key)
        if isinstance(part, (Reasoning, ToolCall)):
            self._open[key] = replace(part, signature=(part.signature or "") + signature)

    def _end(self, key: Key) -> bytes:
        part = self._open.pop(key, None)
        self._ends[key] = self._choice(key[0]).length
        if isinstance(part, ToolCall):
            written = write_call(part)
            if written is None:
                self._choice(key[0]).has_broken_call = True
        else:
            written = write_signed(part) if isinstance(part, Reasoning) else None
        return b"" if written is None else self._event(key[0], written)

    def _cite(self, key: Key, citation: Citation) -> None:
        self._sources.setdefault(key[0], []).append((citation, key))

    def _event(self, index: int, part: Json) -> bytes:
        candidate: Json = {"content": {"parts": [part], "role": MODEL}, "index": index}
        if logprobs := self._logprobs.pop(index, None):
            candidate["logprobsResult"] = write_logprobs(tuple(logprobs))
        return sse.encode(json.dumps({"candidates": [candidate], **self._about}).encode())

    def _done(self) -> bytes:
        body: Json = {"candidates": [self._last(*item) for item in sorted(self._choices.items())]}
        if self._usage is not None:
            body["usageMetadata"] = write_usage(self._usage)
        return sse.encode(json.dumps(body | self._about).encode())

    def _last(self, index: int, choice: _Choice) -> Json:
        candidate: Json = {"content": {"parts": [write_text("")], "role": MODEL}}
        finish = choice.finish or "stop"
        candidate["finishReason"] = write_finish(finish, has_broken_call=choice.has_broken_call)
        candidate["index"] = index
        found = self._found(index, choice) if index in self._sources else []
        if (sources := write_citations(found)) is not None:
            candidate["groundingMetadata"] = sources
        if logprobs := self._logprobs.pop(index, None):
            candidate["logprobsResult"] = write_logprobs(tuple(logprobs))
        return candidate

    def _found(self, index: int, choice: _Choice) -> list[Found]:
        text = "".join(choice.texts)
        return [
            placed(citation, text[: self._ends.get(key)], 0, self._starts.get(key, 0))
            for citation, key in self._sources.pop(index)
        ]
