"""The neutral conversation: what a dialect reads from a client, and what a provider's answer says.

Every decision of the gateway is made on these values; no other module looks into a dialect's JSON.
"""

from dataclasses import dataclass

from gateway.core.jsontext import JsonObject


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `text` is its text parts joined by blank lines; `has_image` if it shows one."""

    role: str
    text: str
    has_image: bool = False


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """What a client asks, as far as the gateway must know it; `source` is all of it.

    `model` is None where the client named none. `answers`: how many it asks for (`n`).
    `wants_usage`: it asked for usage in the stream. `wants_schema`: for an answer by a JSON Schema.
    """

    source: JsonObject
    model: str | None
    messages: tuple[Message, ...]
    answers: int
    is_stream: bool
    wants_usage: bool
    has_tools: bool
    wants_schema: bool = False

    @property
    def has_images(self) -> bool:
        return any(message.has_image for message in self.messages)


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens as the provider counted them. What it did not say is None, never zero.

    `input` includes `cached_input`, read from the provider's cache, and `cache_written`, put into
    it; `output` includes `reasoning`.
    """

    input: int
    output: int
    cached_input: int | None = None
    reasoning: int | None = None
    cache_written: int | None = None


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """One event of a provider's stream, read just far enough to relay it honestly.

    raw: the bytes to pass on. has_content: the model has begun to answer. choices: the indexes of
    the answers it belongs to. finished: those of them that end here, with a reason. is_done: the
    dialect's last event. error: the provider reports a failure. is_usage_only: it carries usage and
    nothing else. says_why: an answer ends here that explains itself though it may be empty: at a
    limit, by a filter. usage: the tokens, where it has them.
    """

    raw: bytes
    has_content: bool = False
    choices: tuple[int, ...] = ()
    finished: tuple[int, ...] = ()
    is_done: bool = False
    is_usage_only: bool = False
    says_why: bool = False
    error: str | None = None
    usage: Usage | None = None
