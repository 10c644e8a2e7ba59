"""The assistant's message, both ways: as a turn of a request, and as an answer.

The order of its parts is that of this dialect: reasoning, text, refusal, calls.
"""

from collections.abc import Sequence
from dataclasses import replace

from gateway.core.conversation import Citation, Json, Part, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialects.fields import each, integer, members, required, string
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat import reasoning
from gateway.core.dialects.openai_chat.calls import made_id, read_arguments, read_call, write_call
from gateway.core.dialects.openai_chat.content import read_content, write_content
from gateway.core.dialects.openai_chat.words import NAME


def read_message(
    message: Json, path: str, notes: Notes, seed: str, *, is_answer: bool
) -> tuple[Part, ...]:
    """All parts of a message. `seed`: what ids are made of where there are none; in an answer that
    may be so. Raises BadRequest."""
    content = read_content(message.get("content"), f"{path}.content", notes)
    refusal = string(message.get("refusal"), f"{path}.refusal")
    return (
        *reasoning.read_reasoning(message, path),
        *content,
        *([Refusal(refusal)] if refusal else []),
        *_read_calls(message, path, notes, seed, is_answer=is_answer),
    )


def write_message(parts: Sequence[Part], *, is_answer: bool, is_legacy: bool = False) -> Json:
    """A message of these. `is_legacy`: the client knows no `tool_calls`."""
    thoughts = [part for part in parts if isinstance(part, Reasoning)]
    calls = [part for part in parts if isinstance(part, ToolCall)]
    refusals = [part.text for part in parts if isinstance(part, Refusal)]
    said = [part for part in parts if _is_said(part)]
    message: Json = {"role": "assistant", "content": None}
    if said or not (calls or refusals):
        message["content"] = write_content(said, between="")
    if is_answer or refusals:
        message["refusal"] = "".join(refusals) or None
    message |= reasoning.for_client(thoughts) if is_answer else reasoning.for_provider(thoughts)
    if is_answer and (notes := write_citations(said)):
        message["annotations"] = notes
    if calls and is_legacy:
        message["function_call"] = write_call(calls[0], is_answer=is_answer)["function"]
    elif calls:
        message["tool_calls"] = [write_call(call, is_answer=is_answer) for call in calls]
    return message


def _is_said(part: Part) -> bool:
    """Whether it is of the content; Mistral's reasoning is."""
    if isinstance(part, Reasoning):
        return part.origin == NAME and part.signature == reasoning.THINKING
    return not isinstance(part, (ToolCall, Refusal))


# --- Calls -------------------------------------------------------------------


def _read_calls(
    message: Json, path: str, notes: Notes, seed: str, *, is_answer: bool
) -> list[ToolCall]:
    def read(item: Json, at: str) -> ToolCall | None:
        call = read_call(item, at, made_id(seed, len(found)) if is_answer else None)
        if call is None:
            notes.other(at)
        else:
            found.append(call)
        return call

    found: list[ToolCall] = []
    each(message.get("tool_calls"), f"{path}.tool_calls", read)
    at = f"{path}.function_call"
    if (legacy := members(message.get("function_call"), at)) and not found:
        name = required(string(legacy.get("name"), f"{at}.name"), f"{at}.name")
        arguments = read_arguments(legacy.get("arguments"), f"{at}.arguments")
        found.append(ToolCall(made_id(seed, 0), name, arguments))
    return found


# --- Citations ---------------------------------------------------------------


def read_citations(value: object, path: str) -> tuple[Citation, ...]:
    """`annotations` of an answer (https://platform.openai.com/docs/guides/tools-web-search);
    OpenRouter adds the quoted `content`."""
    found = each(value, path, read_citation)
    return tuple([citation for citation in found if citation is not None])


def read_citation(item: Json, path: str) -> Citation | None:
    if item.get("type") != "url_citation":
        return None
    at = f"{path}.url_citation"
    found = required(members(item.get("url_citation"), at), at)
    return Citation(
        string(found.get("url"), f"{at}.url"),
        string(found.get("title"), f"{at}.title"),
        string(found.get("content"), f"{at}.content"),
        integer(found.get("start_index"), f"{at}.start_index"),
        integer(found.get("end_index"), f"{at}.end_index"),
    )


def write_citation(citation: Citation, offset: int, length: int) -> Json | None:
    """None for a source without an address: this dialect knows no other. `offset`: of the part's
    text in the message's; `length`: its own. Clients demand places and a title (the SDKs' types,
    and Vercel's AI SDK fails without): a citation that has no place is of all of its part."""
    if citation.url is None:
        return None
    written: Json = {
        "url": citation.url,
        "title": citation.title or "",
        "start_index": offset + (citation.start or 0),
        "end_index": offset + (length if citation.end is None else citation.end),
    }
    if citation.quote is not None:
        written["content"] = citation.quote
    return {"type": "url_citation", "url_citation": written}


def write_citations(parts: Sequence[Part]) -> list[Json]:
    written: list[Json] = []
    offset = 0
    for part in parts:
        if isinstance(part, Text):
            length = len(part.text)
            found = [write_citation(citation, offset, length) for citation in part.citations]
            written += [item for item in found if item is not None]
            offset += length
    return written


def cited(parts: Sequence[Part], citations: tuple[Citation, ...]) -> tuple[Part, ...]:
    """The parts, the citations at the first text."""
    found: list[Part] = list(parts)
    for number, part in enumerate(found):
        if isinstance(part, Text) and citations:
            found[number] = replace(part, citations=citations)
            break
    return tuple(found)
