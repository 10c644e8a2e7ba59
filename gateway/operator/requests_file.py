"""Files of requests: a JSON object a line, with what was asked and, where it is known, its level.

    {"id": 7, "text": "Prove it.", "context": "What I said before.", "tier": "reasoning"}
    {"messages": [{"role": "user", "content": "Prove it."}], "tools": [...]}

Members that are not named here are left alone. Null is as good as absent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from gateway.core.chat import ChatRequest, Message
from gateway.core.classifier.excerpt import Excerpt, make_excerpt
from gateway.core.dialects.fields import items, string, wrong_type, wrong_value
from gateway.core.dialects.openai_chat.parsing import read_turn
from gateway.core.errors import BadRequest
from gateway.core.jsontext import JsonError, JsonObject, parse_strictly
from gateway.core.policy import LEVELS

MAX_LINE = 16 * 1024 * 1024  # bytes: a conversation with a few inline images

_BOM = b"\xef\xbb\xbf"  # which some editors put before the first line
_NO_BODY = JsonObject(b"{}", {}, {}, 1)


class BadLine(ValueError):
    """A line that is no request. `number` counts from 1; the message says what is wrong."""

    def __init__(self, number: int, problem: str) -> None:
        super().__init__(problem)
        self.number = number


@dataclass(frozen=True, slots=True)
class Row:
    """A line. `id` as it was given; `level` of its `tier`, from 0; `excerpt`: what a judge is
    shown, None where no user says anything."""

    number: int
    id: str | int | None
    level: int | None
    excerpt: Excerpt | None


def read_rows(file: BinaryIO) -> Iterator[Row | BadLine]:
    """What each line says, as soon as it is there; blank ones are skipped."""
    for number, line in _lines(file):
        if line is None:
            yield BadLine(number, f"is over {MAX_LINE} bytes")
            continue
        try:
            yield _row(number, line)
        except JsonError as error:
            yield BadLine(number, f"is no JSON: {error}")
        except BadRequest as error:
            yield BadLine(number, error.message.removesuffix("."))


def read_excerpt(values: dict[str, object]) -> Excerpt | None:
    """What a judge is shown of a line. Raises BadRequest."""
    tools = items(values.get("tools"), "tools")
    return make_excerpt(_chat(_messages(values), has_tools=bool(tools)))


def excerpt_of(text: str) -> Excerpt | None:
    """What a judge is shown of a request that says this and nothing else."""
    return make_excerpt(_chat([Message("user", text)], has_tools=False))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Numbers and lines that are not blank; None for one that is too long."""
    number = 0
    while line := file.readline(MAX_LINE + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) > MAX_LINE and not line.endswith(b"\n"):
            while (rest := file.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield number, None
        elif not line.isspace():
            yield number, line


def _row(number: int, line: bytes) -> Row:
    values = parse_strictly(line)
    if not isinstance(values, dict):
        raise BadRequest("is not a JSON object")
    given, tier = values.get("id"), string(values.get("tier"), "tier")
    if given is not None and (not isinstance(given, str | int) or isinstance(given, bool)):
        raise wrong_type("id", "a string or a whole number")
    if tier is not None and tier not in LEVELS:
        raise wrong_value("tier", f"must be one of {', '.join(LEVELS)}")
    level = None if tier is None else LEVELS.index(tier)
    return Row(number, given, level, read_excerpt(values))


def _messages(values: dict[str, object]) -> list[Message]:
    system = string(values.get("system"), "system")
    messages = [Message("system", system)] if system else []
    text, listed = string(values.get("text"), "text"), values.get("messages")
    if text is not None and listed is not None:
        raise wrong_value("messages", "stands beside 'text': give one of them")
    if text is None:
        if listed is None:
            raise wrong_value("text", "is missing: give it, or 'messages'")
        if values.get("context") is not None:
            raise wrong_value("context", "stands beside 'messages', which have all that was said")
        return [*messages, *_turns(listed, "messages")]
    return [*messages, *_context(values.get("context")), Message("user", text)]


def _context(value: object) -> list[Message]:
    """What was said before: by the user, where nobody is named."""
    return [Message("user", value)] if isinstance(value, str) else _turns(value, "context")


def _turns(value: object, path: str) -> list[Message]:
    turns = enumerate(items(value, path) or [])
    return [read_turn(item, f"{path}[{number}]") for number, item in turns]


def _chat(messages: list[Message], *, has_tools: bool) -> ChatRequest:
    return ChatRequest(
        source=_NO_BODY,
        model=None,
        messages=tuple(messages),
        answers=1,
        is_stream=False,
        wants_usage=False,
        has_tools=has_tools,
    )
