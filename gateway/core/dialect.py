"""What a dialect is: a wire format, read and written, for clients and for providers.

A dialect is a package of `core/dialects/`; its `DIALECT` is one of these. Rules for all of them:
- Reading raises nothing but the errors named here, whatever the bytes are.
- Equal dialects pass: `pass_request` and `watcher` touch what must change, read what must be known,
  and nothing else.
- What is translated is whole: a stream is `Done` only if its dialect's own end was there.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol

from gateway.core.answers import Answer, ChatEvent
from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Conversation
from gateway.core.errors import TiergateError
from gateway.core.features import Feature
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent


class Malformed(Exception):
    """A provider's answer or event is not of this dialect."""


@dataclass(frozen=True, slots=True)
class ProviderRequest:
    """`path` goes behind the provider's base URL: `/chat/completions`."""

    path: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Manner:
    """How a provider's own form of its dialect differs, where a request is written for it.

    `limit`: the member for the token limit, where there are two words for it. `has_developer`:
    whether it knows that role; else it is told in the system's. `asks_usage`: whether a stream may
    be asked for its usage.
    """

    limit: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    has_developer: bool = True
    asks_usage: bool = True


AS_DOCUMENTED = Manner()


@dataclass(frozen=True, slots=True)
class ProviderError:
    """What a provider says of its refusal. `message` is meant for its user."""

    message: str
    type: str | None = None
    code: str | None = None
    param: str | None = None


class Watcher(Protocol):
    """Follows a stream that passes."""

    def watch(self, event: SseEvent) -> StreamEvent | None:
        """What an event says; None if it is not of this dialect."""
        ...

    def end(self) -> bytes | None:
        """After the last event, or at the end of the provider's bytes: what is missing for a whole
        stream (often b""), or None if it is cut."""
        ...

    def fail(self, error: TiergateError) -> bytes:
        """The last event of a stream that broke."""
        ...


class EventReader(Protocol):
    """Reads a provider's stream."""

    def read(self, event: SseEvent) -> list[ChatEvent]:
        """What an event says. Raises Malformed."""
        ...

    def end(self) -> list[ChatEvent]:
        """At the end of the provider's bytes: what is still to be said. `Done` is among it, or came
        before, only if the stream is whole."""
        ...


class EventWriter(Protocol):
    """Writes a client's stream."""

    def write(self, event: ChatEvent) -> bytes:
        """The bytes for it, possibly none. `Failed` is never given: see `fail`."""
        ...

    def fail(self, error: TiergateError) -> bytes:
        """The last event of a stream that broke."""
        ...


@dataclass(frozen=True, slots=True)
class Dialect:
    """One wire format.

    carries: what a request to a provider of it can say.
    asks: what a client of it can ask for; what one request does, `read_conversation` names.
    id_prefix: of an answer's id, where its provider gives none.
    find_kept: the client's name of a member of its request that refers to what one provider keeps
        (an earlier answer, a file), if there is one.
    """

    name: str
    carries: frozenset[Feature]
    asks: frozenset[Feature]
    id_prefix: str

    # As a client's. `parse_request(body, model, is_stream)`: the last two where the path says them.
    parse_request: Callable[[bytes, str | None, bool | None], ChatRequest]
    find_kept: Callable[[ChatRequest], str | None]
    read_conversation: Callable[[ChatRequest], Conversation]
    write_answer: Callable[[Answer, ChatRequest], bytes]
    writer: Callable[[ChatRequest], EventWriter]
    error_body: Callable[[TiergateError], bytes]

    # As a provider's.
    write_request: Callable[[Conversation, str, Manner], ProviderRequest]
    read_answer: Callable[[bytes], Answer]
    reader: Callable[[], EventReader]
    read_error: Callable[[int, bytes], ProviderError]

    # Where client and provider are the same. `pass_request(chat, model, ask_usage)`.
    pass_request: Callable[[ChatRequest, str, bool], ProviderRequest]
    peek_answer: Callable[[bytes], tuple[Outcome, Usage | None]]
    watcher: Callable[[ChatRequest], Watcher]
