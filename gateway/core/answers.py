"""A provider's answer, whole or as it comes: what every dialect is read into and written from.

As in `core/conversation.py`, None is what a provider did not say.
"""

from dataclasses import dataclass
from typing import Literal

from gateway.core.chat import Usage
from gateway.core.conversation import Citation, Json, Part, Reasoning, Refusal, Text, ToolCall

type Finish = Literal["stop", "length", "tool_calls", "content_filter", "refusal", "pause"]

# --- Whole ---------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the answers. `stopped_by`: the stop sequence that ended it. `logprobs`: one object a
    token, in OpenAI's shape."""

    parts: tuple[Part, ...]
    finish: Finish | None = None
    stopped_by: str | None = None
    logprobs: tuple[Json, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer. `created`: seconds since 1970, where the provider says."""

    choices: tuple[Choice, ...]
    id: str | None = None
    model: str | None = None
    created: int | None = None
    usage: Usage | None = None


# --- Streamed ----------------------------------------------------------------
#
# Started (PartStarted (PartDelta | PartSigned | Cited)* PartEnded)* with Used and Logprobs anywhere
# between, Finished for each choice, then Done. `part` counts the parts of a choice from 0, in the
# order in which they start; parts of one choice may overlap (tool calls side by side).


@dataclass(frozen=True, slots=True)
class Started:
    id: str | None = None
    model: str | None = None
    created: int | None = None


@dataclass(frozen=True, slots=True)
class PartStarted:
    """`kind` is a part with what is known of it at its start: a tool call has id and name."""

    choice: int
    part: int
    kind: Text | Reasoning | Refusal | ToolCall


@dataclass(frozen=True, slots=True)
class PartDelta:
    """More of its text, or of a tool call's arguments."""

    choice: int
    part: int
    text: str


@dataclass(frozen=True, slots=True)
class PartSigned:
    choice: int
    part: int
    signature: str


@dataclass(frozen=True, slots=True)
class Cited:
    choice: int
    part: int
    citation: Citation


@dataclass(frozen=True, slots=True)
class PartEnded:
    choice: int
    part: int


@dataclass(frozen=True, slots=True)
class Logprobs:
    choice: int
    items: tuple[Json, ...]


@dataclass(frozen=True, slots=True)
class Used:
    """Counts so far; the last one holds."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Finished:
    choice: int
    finish: Finish
    stopped_by: str | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The provider reports in its stream that it failed. `message` is meant for its user."""

    message: str
    type: str | None = None
    code: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """The dialect's last event: the answer is whole."""


type ChatEvent = (
    Started | PartStarted | PartDelta | PartSigned | Cited | PartEnded | Logprobs | Used | Finished
    | Failed | Done
)  # fmt: skip
