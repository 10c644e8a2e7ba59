"""The parts of a provider's stream: which there are, and how far each has come.

A part is known by its place, `output_index` and, in a message, `content_index`. Servers that leave
these out, or count every item as the first, still start and end their parts in order: at the same
place another kind of part, or one after an end, is a new one.
"""

from dataclasses import dataclass

from gateway.core.answers import (
    ChatEvent,
    Cited,
    Logprobs,
    PartDelta,
    PartEnded,
    PartSigned,
    PartStarted,
)
from gateway.core.conversation import Citation, Json, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.openai_responses.output_items import BREAK

type Kind = Text | Reasoning | Refusal | ToolCall
type Place = tuple[int, int]
type Section = tuple[str, int]


@dataclass(slots=True)
class Part:
    """A part that has started; it says what is new of it. `section`: of reasoning, the member and
    the piece of it that its text was last from."""

    number: int
    kind: type[Kind]
    has_text: bool = False
    has_logprobs: bool = False
    citations: int = 0
    is_ended: bool = False
    section: Section | None = None

    def more(self, text: str) -> list[ChatEvent]:
        self.has_text = self.has_text or bool(text)
        return [PartDelta(0, self.number, text)] if text else []

    def whole(self, text: str) -> list[ChatEvent]:
        """All of its text: only news if nothing of it came."""
        return [] if self.has_text else self.more(text)

    def thought(self, text: str, section: Section) -> list[ChatEvent]:
        """More reasoning. Of a summary and the text itself, the first to come is the one shown."""
        if not text or (self.section is not None and self.section[0] != section[0]):
            return []
        is_next = self.section not in {None, section}
        self.section = section
        return self.more(BREAK + text if is_next else text)

    def signed(self, signature: str) -> list[ChatEvent]:
        return [PartSigned(0, self.number, signature)] if signature else []

    def cited(self, citation: Citation) -> list[ChatEvent]:
        self.citations += 1
        return [Cited(0, self.number, citation)]

    def logged(self, logprobs: list[Json]) -> list[ChatEvent]:
        self.has_logprobs = self.has_logprobs or bool(logprobs)
        return [Logprobs(0, tuple(logprobs))] if logprobs else []

    def all_logged(self, logprobs: list[Json]) -> list[ChatEvent]:
        """All of its logprobs: only news if none came with the text."""
        return [] if self.has_logprobs else self.logged(logprobs)

    def end(self) -> list[ChatEvent]:
        if self.is_ended:
            return []
        self.is_ended = True
        return [PartEnded(0, self.number)]


class Parts:
    """All parts of one answer."""

    def __init__(self) -> None:
        self._parts: dict[Place, Part] = {}
        self._count = 0
        self.has_calls = False
        self.has_refused = False

    def __bool__(self) -> bool:
        return self._count > 0

    def at(self, place: Place, kind: type[Kind]) -> Part | None:
        """The part of that kind that is there, ended or not."""
        part = self._parts.get(place)
        return part if part is not None and part.kind is kind else None

    def begin(self, place: Place, kind: Kind) -> tuple[Part, list[ChatEvent]]:
        """The part that is there and has not ended, or a new one with its start."""
        before = self._parts.get(place)
        if before is not None and before.kind is type(kind) and not before.is_ended:
            return before, []
        return self.new(place, kind)

    def new(self, place: Place, kind: Kind) -> tuple[Part, list[ChatEvent]]:
        before = self._parts.get(place)
        events = before.end() if before is not None else []
        part = Part(self._count, type(kind))
        self._parts[place] = part
        self._count += 1
        self.has_calls = self.has_calls or isinstance(kind, ToolCall)
        self.has_refused = self.has_refused or isinstance(kind, Refusal)
        return part, [*events, PartStarted(0, part.number, kind)]

    def end(self) -> list[ChatEvent]:
        """Every part ends."""
        return [event for part in self._parts.values() for event in part.end()]
