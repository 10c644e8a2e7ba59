"""From a client's dialect to a provider's and back; where they are the same, nothing is translated.

A request needs features; a dialect carries some. What it does not carry is found before anything is
sent (`lacking`), so that another target is asked, or the client told which member it was.
"""

from dataclasses import replace

from gateway.core.answers import (
    ChatEvent,
    Done,
    Failed,
    Finished,
    PartDelta,
    PartStarted,
    Used,
)
from gateway.core.chat import ChatRequest, StreamEvent, Usage
from gateway.core.conversation import Conversation, ToolCall
from gateway.core.dialect import Dialect, Malformed, ProviderRequest, Watcher
from gateway.core.features import Feature
from gateway.core.outcomes import Outcome
from gateway.core.sse import SseEvent


class Asked:
    """What a client asked, and in which dialect; it is read in full once, if it must be."""

    def __init__(self, chat: ChatRequest, dialect: Dialect) -> None:
        self.chat = chat
        self.dialect = dialect
        self._conversation: Conversation | None = None

    def lacking(self, provider: Dialect) -> dict[Feature | str, str]:
        """What this provider's dialect cannot carry of it. Raises BadRequest."""
        return {} if provider is self.dialect else lacking(self.conversation(), provider)

    def written(self, provider: Dialect, model: str, *, ask_usage: bool) -> ProviderRequest:
        """The request for this provider. `ask_usage`: it may be asked for. Raises BadRequest."""
        if provider is self.dialect:
            is_asked = ask_usage and self.chat.is_stream and not self.chat.wants_usage
            return provider.pass_request(self.chat, model, is_asked)
        return provider.write_request(replace(self.conversation(), asks_usage=ask_usage), model)

    def conversation(self) -> Conversation:
        """All of it. Raises BadRequest."""
        if self._conversation is None:
            self._conversation = self.dialect.read_conversation(self.chat)
        return self._conversation


def lacking(conversation: Conversation, provider: Dialect) -> dict[Feature | str, str]:
    """What a provider's dialect cannot carry: the client's name of each member, by feature; members
    that have no neutral form by themselves."""
    features: dict[Feature | str, str] = {
        feature: param
        for feature, param in conversation.uses.items()
        if feature not in provider.carries
    }
    return features | {param: param for param in conversation.others}


def read_whole(
    body: bytes, client: Dialect, provider: Dialect
) -> tuple[Outcome, Usage | None, bytes]:
    """What a whole answer is, its usage, and its bytes for the client."""
    if client is provider:
        outcome, usage = provider.peek_answer(body)
        return outcome, usage, body
    try:
        answer = provider.read_answer(body)
    except Malformed:
        outcome = provider.peek_answer(body)[0]  # says more of an error, and reads less than all
        return Outcome.MALFORMED if outcome is Outcome.ANSWERED else outcome, None, b""
    return Outcome.ANSWERED, answer.usage, client.write_answer(answer)


def watcher(chat: ChatRequest, client: Dialect, provider: Dialect) -> Watcher:
    """What follows a stream from this provider to this client."""
    return provider.watcher(chat) if client is provider else Translator(chat, client, provider)


class Translator:
    """A watcher whose bytes are another dialect's."""

    def __init__(self, chat: ChatRequest, client: Dialect, provider: Dialect) -> None:
        self._reader = provider.reader()
        self._writer = client.writer(chat)

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

    def _written(self, events: list[ChatEvent]) -> StreamEvent:
        raw: list[bytes] = []
        has_content = is_done = False
        choices: list[int] = []
        finished: list[int] = []
        usage: Usage | None = None
        for event in events:
            match event:
                case Failed():
                    return StreamEvent(b"".join(raw), error=event.message)
                case PartStarted():
                    has_content = has_content or isinstance(event.kind, ToolCall)
                    choices.append(event.choice)
                case PartDelta():
                    has_content = True
                case Finished():
                    finished.append(event.choice)
                case Used():
                    usage = event.usage
                case Done():
                    is_done = True
                case _:
                    pass
            raw.append(self._writer.write(event))
        return StreamEvent(
            b"".join(raw),
            has_content=has_content,
            choices=tuple(choices),
            finished=tuple(finished),
            is_done=is_done,
            usage=usage,
        )
