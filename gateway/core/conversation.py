"""The neutral conversation: what every dialect is read into and written from when a client's
dialect is not its provider's. Where they are the same, nothing of this is made: the bytes pass.

Rules: a value that a dialect did not say is None, never a default of ours; JSON that belongs to
somebody else (a tool's schema, its arguments, metadata) is kept as it is. A dialect that reads
names every member it understands by its `Feature`; one that writes declares the features it can
carry, and what it cannot is never bent silently (`core/dialect.py`).
"""

from dataclasses import dataclass, field
from typing import Literal

from gateway.core.features import Feature

type Json = dict[str, object]
type Role = Literal["system", "developer", "user", "assistant"]


# --- Parts -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Media:
    """Where bytes are: inline in base64, or at a URL; one of the two. `type`: `image/png`."""

    type: str | None = None
    data: str | None = None
    url: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Citation:
    """A source of some of an answer's text. `start` and `end`: characters of the part's text."""

    url: str | None = None
    title: str | None = None
    quote: str | None = None
    start: int | None = None
    end: int | None = None


@dataclass(frozen=True, slots=True)
class Text:
    text: str
    citations: tuple[Citation, ...] = ()
    cache: Json | None = None


@dataclass(frozen=True, slots=True)
class Image:
    """`detail`: `low`, `high` or `auto`."""

    media: Media
    detail: str | None = None
    cache: Json | None = None


@dataclass(frozen=True, slots=True)
class File:
    media: Media
    cache: Json | None = None


@dataclass(frozen=True, slots=True)
class Audio:
    media: Media


@dataclass(frozen=True, slots=True)
class Reasoning:
    """What a model thought. `signature` proves it to the provider whose dialect is `origin`; where
    the text is withheld, `redacted` is what that provider gave in its stead."""

    text: str = ""
    signature: str | None = None
    redacted: str | None = None
    id: str | None = None
    origin: str | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    text: str


@dataclass(frozen=True, slots=True)
class ToolCall:
    """`arguments` is JSON text as the model wrote it; "" where it wrote none. `signature` and
    `origin`: as those of `Reasoning`."""

    id: str
    name: str
    arguments: str = ""
    signature: str | None = None
    origin: str | None = None
    cache: Json | None = None


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`name` where the dialect says it; the call's name is found by `id` otherwise."""

    id: str
    parts: tuple[Text | Image | File, ...]
    is_error: bool = False
    name: str | None = None
    cache: Json | None = None


type Part = Text | Image | File | Audio | Reasoning | Refusal | ToolCall | ToolResult


# --- A request ---------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Turn:
    """What one participant says. Tool results are parts of a user's turn."""

    role: Role
    parts: tuple[Part, ...]
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Tool:
    """A function that the model may call. `schema`: JSON Schema of its arguments."""

    name: str
    description: str | None = None
    schema: Json | None = None
    is_strict: bool | None = None
    cache: Json | None = None


@dataclass(frozen=True, slots=True)
class ToolChoice:
    """`names`: the tools it is limited to, where it is."""

    mode: Literal["auto", "none", "required"]
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Output:
    """What the answer must be. `schema` is None where any JSON will do."""

    schema: Json | None = None
    name: str | None = None
    description: str | None = None
    is_strict: bool | None = None


@dataclass(frozen=True, slots=True)
class Thinking:
    """How much reasoning is asked for. `budget` in tokens; `is_on` False: none at all. `shows`:
    whether its text is asked for in the answer."""

    is_on: bool | None = None
    effort: str | None = None
    budget: int | None = None
    shows: bool | None = None


@dataclass(frozen=True, slots=True)
class Conversation:
    """A request, in full. `uses`: each feature it needs, with the client's own name of the member
    that asks for it. `others`: members that have no neutral form, by name; `extras`: those of them
    that may be left out where the policy allows it."""

    turns: tuple[Turn, ...]
    uses: dict[Feature, str] = field(default_factory=dict)
    others: tuple[str, ...] = ()
    extras: frozenset[str] = frozenset()
    tools: tuple[Tool, ...] = ()
    tool_choice: ToolChoice | None = None
    one_tool_at_most: bool | None = None
    output: Output | None = None
    thinking: Thinking | None = None
    max_tokens: int | None = None
    stop: tuple[str, ...] = ()
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    seed: int | None = None
    answers: int = 1
    logprobs: int | None = None  # how many alternatives to each token; 0: the token's own only
    user: str | None = None
    metadata: Json | None = None
    is_stream: bool = False
