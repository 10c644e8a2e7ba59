"""The turns of a conversation as messages for a provider.

Results become messages of their own and stand first: the API wants them right behind the calls.
What a result cannot have here (an image, a mark that it is an error) is not written; `carries` says
so. Pieces of text are joined by blank lines, those of an answer by nothing: they are one text, cut
where its citations are.
"""

from collections.abc import Iterable

from gateway.core.conversation import Json, Text, ToolResult, Turn
from gateway.core.dialect import AS_DOCUMENTED, Manner
from gateway.core.dialects.openai_chat.assistant import write_message
from gateway.core.dialects.openai_chat.content import write_content

_BETWEEN = "\n\n"


def write_messages(turns: Iterable[Turn], manner: Manner = AS_DOCUMENTED) -> list[Json]:
    messages: list[Json] = []
    for turn in turns:
        if turn.role == "assistant":
            message = write_message(turn.parts, is_answer=False)
            messages.append(_named(message, turn.name))
            continue
        results = [part for part in turn.parts if isinstance(part, ToolResult)]
        messages += [_result(part) for part in results]
        rest = [part for part in turn.parts if not isinstance(part, ToolResult)]
        if rest or not results:
            role = turn.role
            if role == "developer" and not manner.has_developer:
                role = "system"  # the older word for it
            message = {"role": role, "content": write_content(rest, between=_BETWEEN)}
            messages.append(_named(message, turn.name))
    return messages


def _result(result: ToolResult) -> Json:
    texts = [part for part in result.parts if isinstance(part, Text)]
    return _named(
        {
            "role": "tool",
            "tool_call_id": result.id,
            "content": write_content(texts, between=_BETWEEN),
        },
        result.name,
    )


def _named(message: Json, name: str | None) -> Json:
    return message if name is None else {**message, "name": name}
