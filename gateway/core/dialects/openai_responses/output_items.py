"""The items of an answer's `output`, both ways: messages, reasoning, function calls.

Facts: https://platform.openai.com/docs/api-reference/responses/object (`output`), and the SDKs'
types for what must be there. Other items are a provider's own tools at work, which nobody asked
for, and are left out. A reasoning item has a summary or, from open models, its text as `content`.
"""

from gateway.core.conversation import Citation, Json, Part, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects import shapes
from gateway.core.dialects.openai_responses import proofs
from gateway.core.dialects.openai_responses.marks import NAME

BREAK = "\n\n"  # between the parts of a summary
NO_ARGUMENTS = "{}"  # clients parse a call's arguments: none are an empty object


# --- Written -------------------------------------------------------------------


def text_content(text: str, annotations: list[Json], logprobs: list[Json]) -> Json:
    return {"type": "output_text", "annotations": annotations, "logprobs": logprobs, "text": text}


def refusal_content(text: str) -> Json:
    return {"type": "refusal", "refusal": text}


def message(id: str, content: list[Json], status: str) -> Json:
    return {
        "id": id,
        "type": "message",
        "status": status,
        "content": content,
        "role": "assistant",
    }


def reasoning(id: str, text: str, encrypted: str | None, status: str) -> Json:
    """Its text is a summary, where clients look for what may be shown."""
    item: Json = {"id": id, "type": "reasoning", "status": status, "summary": summary(text)}
    return item if encrypted is None else {**item, "encrypted_content": encrypted}


def summary(text: str) -> list[Json]:
    return [{"type": "summary_text", "text": text}] if text else []


def call(id: str, made: ToolCall, status: str) -> Json:
    return {
        "id": id,
        "type": "function_call",
        "status": status,
        "arguments": made.arguments,
        "call_id": made.id,
        "name": made.name,
    }


def annotation(citation: Citation, length: int) -> Json | None:
    """A citation of a page, in a text of this length: one that has no place in it is of all of it.
    One that is of no page cannot be said, since the other kinds name files at OpenAI."""
    if citation.url is None:
        return None
    return {
        "type": "url_citation",
        "start_index": 0 if citation.start is None else citation.start,
        "end_index": length if citation.end is None else citation.end,
        "url": citation.url,
        "title": citation.title or "",
    }


def logprob(item: Json) -> Json:
    """A token's logprob with the members that the SDKs' shape demands."""
    best = item.get("top_logprobs")
    return {
        **item,
        "bytes": item.get("bytes") or [],
        "top_logprobs": [
            {**other, "bytes": other.get("bytes") or []}
            for other in (best if isinstance(best, list) else [])
            if isinstance(other, dict)
        ],
    }


# --- Read ----------------------------------------------------------------------


def read_item(item: Json) -> tuple[list[Part], list[Json]]:
    """An item's parts and logprobs; none of one that has no neutral form. Raises Malformed."""
    parts: list[Part] = []
    logprobs: list[Json] = []
    match item.get("type"):
        case "message":
            for content in shapes.objects(item, "content"):
                if part := read_content(content):
                    parts.append(part)
                logprobs += shapes.objects(content, "logprobs")
        case "reasoning":
            text, signature = reasoning_text(item), signature_of(item)
            if text or signature:
                id_ = shapes.string(item, "id")
                parts.append(Reasoning(text, signature, id=id_, origin=NAME))
        case "function_call":
            parts.append(read_call(item, shapes.text(item, "arguments")))
    return parts, logprobs


def read_content(content: Json) -> Text | Refusal | None:
    match content.get("type"):
        case "output_text":
            citations = [read_annotation(found) for found in shapes.objects(content, "annotations")]
            return Text(
                shapes.text(content, "text"),
                tuple([citation for citation in citations if citation]),
            )
        case "refusal":
            return Refusal(shapes.text(content, "refusal"))
        case _:
            return None


def read_annotation(found: Json) -> Citation | None:
    """A page; the other kinds name files at the provider."""
    if found.get("type") != "url_citation":
        return None
    start, end = found.get("start_index"), found.get("end_index")
    return Citation(
        url=shapes.string(found, "url"),
        title=shapes.string(found, "title") or None,
        start=None if start is None else shapes.index(found, "start_index", absent=0),
        end=None if end is None else shapes.index(found, "end_index", absent=0),
    )


def read_call(item: Json, arguments: str) -> ToolCall:
    id_ = shapes.string(item, "call_id") or shapes.string(item, "id")
    name = shapes.string(item, "name")
    if not id_ or not name:
        raise Malformed("a function call without an id or a name")
    return ToolCall(id_, name, arguments)


def reasoning_text(item: Json) -> str:
    texts = [
        [shapes.text(part, "text") for part in shapes.objects(item, name)]
        for name in ("content", "summary")
    ]
    return BREAK.join(texts[0] if any(texts[0]) else texts[1])


def signature_of(item: Json) -> str | None:
    encrypted = shapes.string(item, "encrypted_content")
    return proofs.pack(shapes.string(item, "id"), encrypted) if encrypted else None
