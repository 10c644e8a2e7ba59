"""The items of an answer that is being streamed: the events by which each begins, grows and ends.

Facts: https://platform.openai.com/docs/api-reference/responses-streaming. A message's parts have a
`content_index`, a summary's a `summary_index`, a call's arguments neither.
"""

from dataclasses import dataclass, field, replace

from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.openai_responses import output_items as items
from gateway.core.dialects.openai_responses import proofs

type Kind = Text | Reasoning | Refusal | ToolCall
type Event = tuple[str, Json]  # its type, and its other members

# What each kind's events are called, and the member that has all of it at the end.
_NAMES: dict[type[Kind], tuple[str, str]] = {
    Text: ("response.output_text", "text"),
    Refusal: ("response.refusal", "refusal"),
    Reasoning: ("response.reasoning_summary_text", "text"),
    ToolCall: ("response.function_call_arguments", "arguments"),
}


@dataclass(slots=True)
class Item:
    """An item of the output. `open`: how many of its parts are not done."""

    index: int
    id: str
    parts: list["OpenPart"] = field(default_factory=list)
    open: int = 0

    def value(self, status: str) -> Json:
        """The item as it is now."""
        first = self.parts[0]
        match first.kind:
            case Reasoning():
                return items.reasoning(self.id, first.text(), first.proof(), status)
            case ToolCall():
                made = replace(first.kind, arguments=first.text())
                return items.call(self.id, made, status)
            case _:
                return items.message(self.id, [part.content() for part in self.parts], status)

    def added(self) -> Event:
        """It begins, empty but for what is known at once."""
        first = self.parts[0]
        match first.kind:
            case Reasoning():
                value = items.reasoning(self.id, "", None, "in_progress")
            case ToolCall():
                value = items.call(self.id, replace(first.kind, arguments=""), "in_progress")
            case _:
                value = items.message(self.id, [], "in_progress")
        return "response.output_item.added", {"output_index": self.index, "item": value}


@dataclass(slots=True)
class OpenPart:
    """A part that grows. `kind`: as it was started. `number`: its place in the item."""

    kind: Kind
    item: Item
    number: int = 0
    pieces: list[str] = field(default_factory=list)
    annotations: list[Json] = field(default_factory=list)
    logprobs: list[Json] = field(default_factory=list)
    signatures: list[str] = field(default_factory=list)
    unplaced: list[Citation] = field(default_factory=list)  # of all of the text, once it is known

    def text(self) -> str:
        return "".join(self.pieces)

    def content(self) -> Json:
        """The part of a message."""
        if isinstance(self.kind, Refusal):
            return items.refusal_content(self.text())
        return items.text_content(self.text(), self.annotations, self.logprobs)

    def proof(self) -> str | None:
        """Of reasoning: what goes into `encrypted_content`."""
        if not isinstance(self.kind, Reasoning):
            return None
        signature = (self.kind.signature or "") + "".join(self.signatures)
        return proofs.of_reasoning(replace(self.kind, signature=signature or None))[1]

    def started(self) -> list[Event]:
        events = [self.item.added()] if self.item.parts == [self] else []
        match self.kind:
            case Text():
                empty = items.text_content("", [], [])
                events.append(("response.content_part.added", {**self._place(), "part": empty}))
            case Refusal():
                empty = items.refusal_content("")
                events.append(("response.content_part.added", {**self._place(), "part": empty}))
            case _:
                pass
        return events

    def grown(self, text: str, logprobs: list[Json] | None = None) -> list[Event]:
        """More of it. A summary's part is only added with its first text."""
        events: list[Event] = []
        more: Json = {**self._place(), "delta": text}
        match self.kind:
            case Text():
                self.logprobs += logprobs or []
                more["logprobs"] = logprobs or []
            case Reasoning() if not self.pieces:
                empty = {"type": "summary_text", "text": ""}
                place = self._place()
                events.append(("response.reasoning_summary_part.added", {**place, "part": empty}))
            case _:
                pass
        self.pieces.append(text)
        events.append((f"{_NAMES[type(self.kind)][0]}.delta", more))
        return events

    def cited(self, citation: Citation) -> list[Event]:
        """A citation; one that has no place in the text waits for its end."""
        if citation.end is None:
            self.unplaced.append(citation)
            return []
        return self._annotated(citation, 0)

    def done(self) -> list[Event]:
        """Nothing more of it comes."""
        text = self.text()
        events: list[Event] = []
        for citation in self.unplaced:
            events += self._annotated(citation, len(text))
        if isinstance(self.kind, ToolCall) and not text:
            text = items.NO_ARGUMENTS
            events += self.grown(text)
        name, member = _NAMES[type(self.kind)]
        whole: Event = (f"{name}.done", {**self._place(), member: text})
        match self.kind:
            case Text():
                whole[1]["logprobs"] = self.logprobs
                return [*events, whole, self._part_done("content_part", self.content())]
            case Refusal():
                return [*events, whole, self._part_done("content_part", self.content())]
            case Reasoning():
                part: Json = {"type": "summary_text", "text": text}
                return [whole, self._part_done("reasoning_summary_part", part)] if text else []
            case ToolCall():
                return [*events, whole]

    def _annotated(self, citation: Citation, length: int) -> list[Event]:
        found = items.annotation(citation, length)
        if found is None:
            return []
        number = len(self.annotations)
        self.annotations.append(found)
        members: Json = {**self._place(), "annotation_index": number, "annotation": found}
        return [("response.output_text.annotation.added", members)]

    def _part_done(self, name: str, part: Json) -> Event:
        return f"response.{name}.done", {**self._place(), "part": part}

    def _place(self) -> Json:
        place: Json = {"item_id": self.item.id, "output_index": self.item.index}
        match self.kind:
            case Text() | Refusal():
                return {**place, "content_index": self.number}
            case Reasoning():
                return {**place, "summary_index": 0}
            case ToolCall():
                return place
