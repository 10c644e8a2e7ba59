"""What a client asks of a target: a chat, a count of its tokens, or embeddings.

For the flow they differ in three things only: what keeps a target from serving it, how it is
written for a provider, and how that provider's answer is read.
"""

from typing import Protocol

from gateway.core import embeddings
from gateway.core.answers import Started
from gateway.core.chat import ChatRequest, Usage
from gateway.core.dialect import Dialect, ProviderRequest, Watcher
from gateway.core.dialects import ANTHROPIC_MESSAGES, DIALECTS, OPENAI_CHAT
from gateway.core.dialects.anthropic_messages import passing as anthropic
from gateway.core.jsontext import JsonObject
from gateway.core.outcomes import Outcome
from gateway.core.policy import ModelFacts
from gateway.core.providers import Provider
from gateway.core.translate import NOTHING, Lacking, Translation

type Gap = tuple[str, str]
"""Why a target cannot serve it, and the member of the request that it cannot serve."""


class Asked(Protocol):
    """`source`: the client's own JSON."""

    source: JsonObject
    is_stream: bool

    def dialect_of(self, provider: Provider) -> Dialect:
        """In which dialect this provider is asked."""
        ...

    def gap(self, provider: Provider, facts: ModelFacts) -> Gap | None:
        """What the provider or the model cannot take of it."""
        ...

    def lacking(self, provider: Provider) -> Lacking:
        """What the provider's dialect cannot carry of it. Raises BadRequest."""
        ...

    def written(self, provider: Provider, model: str) -> ProviderRequest:
        """The request for this provider. Raises BadRequest."""
        ...

    def hides_usage(self, provider: Provider) -> bool:
        """Whether usage is asked for in the stream on our own, and so its event hidden."""
        ...

    def read_whole(
        self, body: bytes, provider: Provider, about: Started
    ) -> tuple[Outcome, Usage | None, bytes]:
        """What a whole answer is, its usage, and its bytes for the client. `about` stands in for
        what the provider did not say of it."""
        ...

    def watcher(self, provider: Provider, about: Started) -> Watcher:
        """What follows a stream from this provider to the client."""
        ...


class Chat:
    """A conversation, in the client's dialect."""

    def __init__(self, chat: ChatRequest, dialect: Dialect) -> None:
        self.source = chat.source
        self.is_stream = chat.is_stream
        self._chat = chat
        self._client = dialect
        self._translation = Translation(chat, dialect)

    def dialect_of(self, provider: Provider) -> Dialect:
        return DIALECTS[provider.dialect_for(self._client.name)]

    def gap(self, provider: Provider, facts: ModelFacts) -> Gap | None:
        chat = self._chat
        if (
            chat.wants_usage
            and not provider.sends_usage_on_request
            and self.dialect_of(provider) is self._client
        ):
            return f"{provider.name} takes no 'stream_options'", "stream_options"
        if not facts.images and chat.has_images:
            return "it takes no images", "messages"
        if not facts.tools and chat.has_tools:
            return "it takes no tools", "tools"
        return None

    def lacking(self, provider: Provider) -> Lacking:
        return self._translation.lacking(self.dialect_of(provider))

    def written(self, provider: Provider, model: str) -> ProviderRequest:
        return self._translation.written(self.dialect_of(provider), model, provider.manner)

    def hides_usage(self, provider: Provider) -> bool:
        is_asked = self.is_stream and not self._chat.wants_usage
        is_passed = self.dialect_of(provider) is self._client
        return is_asked and is_passed and provider.sends_usage_on_request

    def read_whole(
        self, body: bytes, provider: Provider, about: Started
    ) -> tuple[Outcome, Usage | None, bytes]:
        return self._translation.read_whole(body, self.dialect_of(provider), about)

    def watcher(self, provider: Provider, about: Started) -> Watcher:
        return self._translation.watcher(self.dialect_of(provider), about)


class _Whole:
    """What is passed to one dialect's providers and never streamed."""

    is_stream = False
    _dialect: Dialect

    def __init__(self, source: JsonObject) -> None:
        self.source = source

    def dialect_of(self, provider: Provider) -> Dialect:  # noqa: ARG002 - as Asked
        return self._dialect

    def gap(self, provider: Provider, facts: ModelFacts) -> Gap | None:  # noqa: ARG002
        return None

    def lacking(self, provider: Provider) -> Lacking:  # noqa: ARG002
        return NOTHING

    def hides_usage(self, provider: Provider) -> bool:  # noqa: ARG002
        return False

    def watcher(self, provider: Provider, about: Started) -> Watcher:
        raise NotImplementedError("it is never streamed")


class Count(_Whole):
    """How many tokens a conversation has, in Anthropic's dialect."""

    _dialect = ANTHROPIC_MESSAGES

    def __init__(self, chat: ChatRequest) -> None:
        super().__init__(chat.source)
        self._chat = chat

    def written(self, provider: Provider, model: str) -> ProviderRequest:  # noqa: ARG002
        return anthropic.pass_count(self._chat, model)

    def read_whole(
        self,
        body: bytes,
        provider: Provider,  # noqa: ARG002
        about: Started,  # noqa: ARG002
    ) -> tuple[Outcome, Usage | None, bytes]:
        return anthropic.peek_count(body), None, body


class Embeddings(_Whole):
    """Vectors for texts, in OpenAI's shape."""

    _dialect = OPENAI_CHAT

    def written(self, provider: Provider, model: str) -> ProviderRequest:  # noqa: ARG002
        return embeddings.write_request(self.source, model)

    def read_whole(
        self,
        body: bytes,
        provider: Provider,  # noqa: ARG002
        about: Started,  # noqa: ARG002
    ) -> tuple[Outcome, Usage | None, bytes]:
        return *embeddings.read_answer(body), body
