"""From a client's dialect to a provider's and back; where they are the same, nothing is translated.

A request needs features; a dialect carries some. What it does not carry is found before anything is
sent (`lacking`), so that another target is asked, or the client told which member it was.
"""

from dataclasses import dataclass, replace

from gateway.core.answers import (
    Answer,
    ChatEvent,
    Done,
    Failed,
    Finished,
    PartDelta,
    PartStarted,
    Started,
    Used,
)
from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Conversation, Reasoning, ToolCall
from gateway.core.dialect import Dialect, Malformed, Manner, ProviderRequest, Watcher
from gateway.core.errors import TiergateError
from gateway.core.features import PARAMETERS
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent


class Translation:
    """A client's chat on its way to providers; it is read in full once, if it must be."""

    def __init__(self, chat: ChatRequest, client: Dialect) -> None:
        self._chat = chat
        self._client = client
        self._conversation: Conversation | None = None

    def lacking(self, provider: Dialect) -> "Lacking":
        """What this provider's dialect cannot carry of it. Raises BadRequest."""
        return NOTHING if provider is self._client else lacking(self.conversation(), provider)

    def written(self, provider: Dialect, model: str, manner: Manner) -> ProviderRequest:
        """The request for this provider. Raises BadRequest."""
        if provider is self._client:
            is_asked = self._chat.is_stream and not self._chat.wants_usage and manner.asks_usage
            return provider.pass_request(self._chat, model, is_asked)
        return provider.write_request(self.conversation(), model, manner)

    def conversation(self) -> Conversation:
        """All of it. Raises BadRequest."""
        if self._conversation is None:
            self._conversation = self._client.read_conversation(self._chat)
        return self._conversation

    def read_whole(
        self, body: bytes, provider: Dialect, about: Started
    ) -> tuple[Outcome, Usage | None, bytes]:
        """What a whole answer is, its usage, and its bytes for the client. `about` stands in for
        what the provider did not say of it."""
        if provider is self._client:
            outcome, usage = provider.peek_answer(body)
            return outcome, usage, body
        try:
            answer = provider.read_answer(body)
        except Malformed:
            outcome = provider.peek_answer(body)[
                0
            ]  # says more of an error, and reads less than all
            return Outcome.MALFORMED if outcome is Outcome.ANSWERED else outcome, None, b""
        written = self._client.write_answer(_filled(answer, about), self._chat)
        outcome = Outcome.EMPTY if _is_empty(answer) else Outcome.ANSWERED
        return outcome, answer.usage, written

    def watcher(self, provider: Dialect, about: Started) -> Watcher:
        """What follows a stream from this provider to this client. `about`: as `read_whole`'s."""
        if provider is self._client:
            return provider.watcher(self._chat)
        return Translator(self._chat, self._client, provider, about)


@dataclass(frozen=True, slots=True)
class Lacking:
    """What a provider's dialect cannot carry, by the client's names: what the request is about, and
    parameters that a policy may allow to leave out."""

    content: tuple[str, ...]
    parameters: tuple[str, ...]


NOTHING = Lacking((), ())


def lacking(conversation: Conversation, provider: Dialect) -> Lacking:
    """What this dialect cannot carry, in the order in which it was found."""
    content = [param for param in conversation.others if param not in conversation.extras]
    parameters = [param for param in conversation.others if param in conversation.extras]
    for feature, param in conversation.uses.items():
        if feature not in provider.carries:
            (parameters if feature in PARAMETERS else content).append(param)
    return Lacking(tuple(dict.fromkeys(content)), tuple(dict.fromkeys(parameters)))


class Translator:
    """A watcher whose bytes are another dialect's."""

    def __init__(
        self, chat: ChatRequest, client: Dialect, provider: Dialect, about: Started
    ) -> None:
        self._about = about
        self._reader = provider.reader()
        self._writer = client.writer(chat)
        self._is_done = False

    def watch(self, event: SseEvent) -> StreamEvent | None:
        try:
            return self._written(self._reader.read(event))
        except Malformed:
            return None

    def end(self) -> bytes | None:
        try:
            last = self._written(self._reader.end())
        except Malformed:
            return None
        return last.raw if last.is_done else None

    def fail(self, error: TiergateError) -> bytes:
        return self._writer.fail(error)

    def _written(self, events: list[ChatEvent]) -> StreamEvent:
        raw: list[bytes] = []
        has_content = False
        choices: list[int] = []
        finished: list[int] = []
        says_why = False
        usage: Usage | None = None
        for event in events:
            said = event
            match event:
                case Failed():
                    return StreamEvent(b"".join(raw), error=event.message)
                case Started():
                    said = _filled(event, self._about)
                case PartStarted():
                    has_content = has_content or isinstance(event.kind, ToolCall)
                    choices.append(event.choice)
                case PartDelta():
                    has_content = True
                case Finished():
                    finished.append(event.choice)
                    says_why = says_why or event.finish != "stop"
                case Used():
                    usage = event.usage
                case Done():
                    self._is_done = True
                case _:
                    pass
            raw.append(self._writer.write(said))
        return StreamEvent(
            b"".join(raw),
            has_content=has_content,
            choices=tuple(choices),
            finished=tuple(finished),
            is_done=self._is_done,
            says_why=says_why,
            usage=usage,
        )


def _is_empty(answer: Answer) -> bool:
    """Whether all of it ended on its own and says nothing: reasoning alone is no answer."""
    return all(
        choice.finish in {None, "stop"}
        and not any(
            isinstance(part, ToolCall) or getattr(part, "text", "")
            for part in choice.parts
            if not isinstance(part, Reasoning)
        )
        for choice in answer.choices
    )


def _filled[T: (Answer, Started)](said: T, about: Started) -> T:
    """What is said of an answer, with what its provider left out."""
    return replace(
        said,
        id=said.id or about.id,
        model=said.model or about.model,
        created=said.created or about.created,
    )
