"""A stream for a client: the events in OpenAI's order, each with its number and its place.

Facts: https://platform.openai.com/docs/api-reference/responses-streaming, and what the Python SDK's
`responses.stream` insists on: an item is added before its parts, a part before its text; what is
done is what was added; the last event holds the whole answer, which is therefore kept here, as
large as it is and no larger.

A part's last events are written when the next part starts or the answer finishes, not when it
ends: until then its logprobs may still come, and whether it was cut.
"""

import json
from typing import assert_never

from gateway.core.answers import (
    ChatEvent,
    Cited,
    Done,
    Failed,
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
from gateway.core.conversation import Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.openai_responses import output_items as items
from gateway.core.dialects.openai_responses import proofs
from gateway.core.dialects.openai_responses.errors import error_event
from gateway.core.dialects.openai_responses.marks import NAME, made_id
from gateway.core.dialects.openai_responses.open_items import Event, Item, Kind, OpenPart
from gateway.core.dialects.openai_responses.response import Frame, incomplete
from gateway.core.errors import TiergateError


class ResponsesWriter:
    """Writes one answer, the first if there are several: no client of this dialect can ask for
    more."""

    def __init__(self, chat: ChatRequest | None = None) -> None:
        self._chat = chat
        self._frame = Frame(None, None, None, chat)
        self._sequence = 0
        self._output: list[Json] = []  # by index; an item's place is taken when it is added
        self._parts: dict[int, OpenPart] = {}  # not done, by their neutral numbers
        self._ended: list[int] = []  # of those, the ones that have ended
        self._message: Item | None = None  # which takes the texts and refusals that come
        self._text: OpenPart | None = None  # to which logprobs belong
        self._logprobs: list[Json] = []  # that came before their text
        self._has_refused = False
        self._finish: Finish | None = None
        self._usage: Usage | None = None

    def write(self, event: ChatEvent) -> bytes:
        """The bytes for an event, possibly none."""
        return b"".join([self._event(name, members) for name, members in self._events(event)])

    def fail(self, error: TiergateError) -> bytes:
        return error_event(error, self._sequence)

    def _events(self, event: ChatEvent) -> list[Event]:
        match event:
            case Started():
                return self._start(event)
            case Used():
                self._usage = event.usage
            case Done():
                return self._end()
            case Failed():
                pass  # never given: see `fail`
            case _ if event.choice != 0:
                pass
            case PartStarted():
                return self._open(event.part, event.kind)
            case PartDelta():
                return self._parts[event.part].grown(event.text)
            case PartSigned():
                self._parts[event.part].signatures.append(event.signature)
            case Cited():
                return self._parts[event.part].cited(event.citation)
            case Logprobs():
                return self._log([items.logprob(item) for item in event.items])
            case PartEnded():
                self._ended.append(event.part)
            case Finished():
                self._finish = event.finish
                return self._close()
            case _:
                assert_never(event)
        return []

    def _start(self, event: Started) -> list[Event]:
        self._frame = Frame(event.id, event.model, event.created, self._chat)
        response = self._frame.response("in_progress", [])
        return [
            ("response.created", {"response": response}),
            ("response.in_progress", {"response": response}),
        ]

    def _open(self, number: int, kind: Kind) -> list[Event]:
        is_said = isinstance(kind, (Text, Refusal))
        events = self._flush() if is_said else self._close()
        if isinstance(kind, ToolCall):
            events += self._signed(kind, kind.signature)
        item = self._message if is_said else None
        if item is None:
            item = self._item(kind)
        part = OpenPart(kind, item, len(item.parts))
        item.parts.append(part)
        item.open += 1
        self._parts[number] = part
        events += part.started()
        if text := kind.arguments if isinstance(kind, ToolCall) else kind.text:
            events += part.grown(text)
        if is_said:
            self._message = item
        if isinstance(kind, Text):
            self._text = part
            for citation in kind.citations:
                events += part.cited(citation)
            waiting, self._logprobs = self._logprobs, []
            events += self._log(waiting)
        self._has_refused = self._has_refused or isinstance(kind, Refusal)
        return events

    def _item(self, kind: Kind) -> Item:
        """A new item at the end of the output."""
        id_: str | None = None
        prefix = "msg"
        if isinstance(kind, Reasoning):
            prefix = "rs"
            id_ = kind.id if kind.origin in {None, NAME} else None
        elif isinstance(kind, ToolCall):
            prefix = "fc"
        index = len(self._output)
        self._output.append({})
        return Item(index, id_ or made_id(prefix, self._frame.id, index))

    def _log(self, logprobs: list[Json]) -> list[Event]:
        """Logprobs ride on a delta, here on one without text: its own has been written."""
        if not logprobs:
            return []
        if self._text is None:
            self._logprobs += logprobs
            return []
        return self._text.grown("", logprobs)

    def _flush(self) -> list[Event]:
        """The last events of the parts that have ended, and of their items but for the message,
        which may go on."""
        events: list[Event] = []
        ended, self._ended = self._ended, []
        for number in ended:
            part = self._parts.pop(number)
            events += part.done()
            part.item.open -= 1
            if part is self._text:
                self._text = None
            if not part.item.open and part.item is not self._message:
                events += self._item_done(part.item)
            if isinstance(part.kind, ToolCall) and part.signatures:
                events += self._signed(part.kind, "".join(part.signatures))
        return events

    def _close(self) -> list[Event]:
        """As `_flush`; the message ends too, as soon as its parts have."""
        events = self._flush()
        message, self._message = self._message, None
        if message is not None and not message.open:
            events += self._item_done(message)
        return events

    def _item_done(self, item: Item) -> list[Event]:
        is_last = item.index == len(self._output) - 1
        is_cut = is_last and self._finish is not None and self._details() is not None
        value = item.value("incomplete" if is_cut else "completed")
        self._output[item.index] = value
        return [("response.output_item.done", {"output_index": item.index, "item": value})]

    def _signed(self, call: ToolCall, signature: str | None) -> list[Event]:
        """A tool call's foreign signature: a reasoning item of its own."""
        encrypted = proofs.of_call(ToolCall(call.id, call.name, "", signature, call.origin))
        if encrypted is None:
            return []
        kind = Reasoning(signature=signature, origin=call.origin)
        item = self._item(Reasoning())
        item.parts.append(OpenPart(kind, item))
        value = items.reasoning(item.id, "", encrypted, "completed")
        self._output[item.index] = value
        return [
            item.added(),
            ("response.output_item.done", {"output_index": item.index, "item": value}),
        ]

    def _end(self) -> list[Event]:
        details = self._details()
        status = "completed" if details is None else "incomplete"
        response = self._frame.response(status, self._output, self._usage, details)
        return [(f"response.{status}", {"response": response})]

    def _details(self) -> Json | None:
        return incomplete(self._finish, is_refused=self._has_refused)

    def _event(self, name: str, members: Json) -> bytes:
        value = {"type": name, "sequence_number": self._sequence, **members}
        self._sequence += 1
        return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()
