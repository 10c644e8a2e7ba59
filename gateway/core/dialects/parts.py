"""Whole answers and streams of the same parts: the one from the other, and streams that have no
parts of their own."""

from collections.abc import Iterable
from dataclasses import replace

from gateway.core.answers import (
    Answer,
    ChatEvent,
    Choice,
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
from gateway.core.chat import Usage
from gateway.core.conversation import Json, Reasoning, Refusal, Text, ToolCall

type Kind = Text | Reasoning | Refusal | ToolCall


class Parts:
    """Makes parts of a stream whose events say only what kind of text they carry.

    A part ends when one of another kind begins, but for tool calls, which may come side by side
    and end with their choice.
    """

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._open: dict[int, tuple[int, Kind]] = {}
        self._calls: dict[tuple[int, object], int] = {}

    def text(self, choice: int, kind: Text | Reasoning | Refusal, text: str) -> list[ChatEvent]:
        """More text of that kind; `kind` is what the part starts as."""
        events: list[ChatEvent] = []
        number, opened = self._open.get(choice, (0, None))
        if type(opened) is not type(kind):
            events += self._close(choice)
            number = self._start(choice, kind, events)
            self._open[choice] = (number, kind)
        if text:
            events.append(PartDelta(choice, number, text))
        return events

    def signed(self, choice: int, signature: str) -> list[ChatEvent]:
        """The reasoning that is open, or an empty one, is signed."""
        events = self.text(choice, Reasoning(), "")
        events.append(PartSigned(choice, self._open[choice][0], signature))
        return events

    def end(self, choice: int) -> list[ChatEvent]:
        """The part that is open ends, tool calls aside: what follows is another, of any kind."""
        return self._close(choice)

    def current(self, choice: int) -> int | None:
        """The number of the part that is open, tool calls aside."""
        found = self._open.get(choice)
        return found[0] if found else None

    def call(
        self, choice: int, key: object, call: ToolCall | None, arguments: str
    ) -> list[ChatEvent]:
        """A tool call, or more of its arguments; `key` tells it from others of its choice. Nothing
        if it was never begun and `call` is None."""
        events: list[ChatEvent] = []
        number = self._calls.get((choice, key))
        if number is None:
            if call is None:
                return events
            events += self._close(choice)
            number = self._start(choice, call, events)
            self._calls[choice, key] = number
        if arguments:
            events.append(PartDelta(choice, number, arguments))
        return events

    def finish(self, choice: int, finish: Finish, stopped_by: str | None = None) -> list[ChatEvent]:
        """All of the choice ends."""
        events = self._close(choice)
        for at, key in [found for found in self._calls if found[0] == choice]:
            events.append(PartEnded(choice, self._calls.pop((at, key))))
        events.append(Finished(choice, finish, stopped_by))
        return events

    def _start(self, choice: int, kind: Kind, events: list[ChatEvent]) -> int:
        number = self._counts.get(choice, 0)
        self._counts[choice] = number + 1
        events.append(PartStarted(choice, number, kind))
        return number

    def _close(self, choice: int) -> list[ChatEvent]:
        found = self._open.pop(choice, None)
        return [PartEnded(choice, found[0])] if found else []


def unfold(answer: Answer) -> list[ChatEvent]:
    """A whole answer as the stream it could have been."""
    events: list[ChatEvent] = [Started(answer.id, answer.model, answer.created)]
    for index, choice in enumerate(answer.choices):
        for number, part in enumerate(choice.parts):
            if not isinstance(part, (Text, Reasoning, Refusal, ToolCall)):
                continue
            start, text = _split(part)
            events.append(PartStarted(index, number, start))
            if text:
                events.append(PartDelta(index, number, text))
            if isinstance(part, Text):
                events += [Cited(index, number, citation) for citation in part.citations]
            elif isinstance(part, Reasoning) and part.signature:
                events.append(PartSigned(index, number, part.signature))
            events.append(PartEnded(index, number))
        if choice.logprobs:
            events.append(Logprobs(index, choice.logprobs))
        events.append(Finished(index, choice.finish or "stop", choice.stopped_by))
    if answer.usage:
        events.append(Used(answer.usage))
    return [*events, Done()]


def fold(events: Iterable[ChatEvent]) -> Answer:
    """A whole answer out of its stream."""
    started = Started()
    usage: Usage | None = None
    parts: dict[int, dict[int, Kind]] = {}
    ends: dict[int, Finished] = {}
    logprobs: dict[int, list[Json]] = {}
    for event in events:
        match event:
            case Started():
                started = event
            case PartStarted():
                parts.setdefault(event.choice, {})[event.part] = event.kind
            case PartDelta() | PartSigned() | Cited():
                found = parts[event.choice]
                found[event.part] = _grown(found[event.part], event)
            case Logprobs():
                logprobs.setdefault(event.choice, []).extend(event.items)
            case Used():
                usage = event.usage
            case Finished():
                ends[event.choice] = event
            case _:
                pass
    choices = [
        Choice(
            tuple(parts.get(index, {}).values()),
            ends[index].finish if index in ends else None,
            ends[index].stopped_by if index in ends else None,
            tuple(logprobs.get(index, ())),
        )
        for index in range(max([*parts, *ends], default=-1) + 1)
    ]
    return Answer(tuple(choices), started.id, started.model, started.created, usage)


def _split(part: Kind) -> tuple[Kind, str]:
    """A part as it starts, and its text."""
    if isinstance(part, ToolCall):
        return replace(part, arguments=""), part.arguments
    if isinstance(part, Text):
        return replace(part, text="", citations=()), part.text
    if isinstance(part, Reasoning):
        return replace(part, text="", signature=None), part.text
    return replace(part, text=""), part.text


def _grown(part: Kind, event: PartDelta | PartSigned | Cited) -> Kind:
    if isinstance(event, PartSigned):
        if isinstance(part, (Reasoning, ToolCall)):
            return replace(part, signature=(part.signature or "") + event.signature)
        return part
    if isinstance(event, Cited):
        if isinstance(part, Text):
            return replace(part, citations=(*part.citations, event.citation))
        return part
    if isinstance(part, ToolCall):
        return replace(part, arguments=part.arguments + event.text)
    return replace(part, text=part.text + event.text)
