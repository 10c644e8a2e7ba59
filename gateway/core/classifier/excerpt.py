"""What the classifier is shown of a conversation: the last user turn and what decides it.

The turn that is judged is the last one in which the user said something; tool results and harness
text that came after it do not move it. Everything is capped at head and tail, since a task stands
at the beginning or at the end of a long paste, seldom in its middle.
"""

from dataclasses import dataclass

from gateway.core.chat import ChatRequest
from gateway.core.classifier.harness import user_words

# Characters. About 1,500 tokens in all: a classifier answers in well under a second.
TURN_HEAD, TURN_TAIL = 3_000, 1_500
CONTEXT_TURNS = 4
CONTEXT_HEAD, CONTEXT_TAIL = 300, 150
SYSTEM_HEAD, SYSTEM_TAIL = 300, 100


@dataclass(frozen=True, slots=True)
class Excerpt:
    """`turn` is what is judged; `context` are (role, text) before it, oldest first."""

    turn: str
    context: tuple[tuple[str, str], ...]
    turns: int
    has_tools: bool
    has_images: bool


def make_excerpt(chat: ChatRequest) -> Excerpt | None:
    """What to judge, or None where no user said anything."""
    messages = chat.messages
    last = len(messages) - 1
    turn = ""
    while last >= 0:
        if messages[last].role == "user" and (turn := user_words(messages[last].text)):
            break
        last -= 1
    if not turn:
        return None
    context: list[tuple[str, str]] = []
    for message in reversed(messages[:last]):
        if len(context) == CONTEXT_TURNS:
            break
        if message.role not in {"user", "assistant"}:
            continue
        text = user_words(message.text) if message.role == "user" else message.text.strip()
        if text:
            context.append((message.role, capped(text, CONTEXT_HEAD, CONTEXT_TAIL)))
    systems = [item for item in messages if item.role in {"system", "developer"}]
    if systems and (system := systems[0].text.strip()):
        context.append(("system", capped(system, SYSTEM_HEAD, SYSTEM_TAIL)))
    return Excerpt(
        turn=capped(turn, TURN_HEAD, TURN_TAIL),
        context=tuple(reversed(context)),
        # What comes after the turn belongs to it: it is judged alike while it goes on.
        turns=sum([message.role == "user" for message in messages[: last + 1]]),
        has_tools=chat.has_tools,
        has_images=any(message.has_image for message in messages[: last + 1]),
    )


def capped(text: str, head: int, tail: int) -> str:
    """The text, or its head and tail with the number of characters left out between them."""
    left_out = len(text) - head - tail
    if left_out <= 0:
        return text
    return f"{text[:head]}\n[... {left_out} characters left out ...]\n{text[-tail:]}"
