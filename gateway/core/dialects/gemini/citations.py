"""Sources of an answer's text, both ways.

Facts: https://ai.google.dev/api/generate-content#GroundingMetadata and #CitationMetadata (whose
list is `citationSources` in the Gemini API, `citations` on Vertex AI). A segment is counted in
bytes of its part; in a stream, of all the text that came. Neutral positions are characters.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from gateway.core.conversation import Citation, Json
from gateway.core.dialects.gemini.shapes import count_of, items, object_of, text_of


@dataclass(frozen=True, slots=True)
class Segment:
    """Where a citation stands: bytes of the part with this number among those of its content, and
    what stands there, which is written for those who do not count."""

    part: int
    start: int
    end: int
    text: str | None = None


type Found = tuple[Citation, Segment | None]


def read_citations(candidate: Json) -> list[Found]:
    """Citations without positions, and the segments they are for. Raises Malformed."""
    return [
        *_grounded(object_of(candidate.get("groundingMetadata"))),
        *_cited(object_of(candidate.get("citationMetadata"))),
    ]


def _grounded(metadata: Json) -> list[Found]:
    chunks = [_source(object_of(chunk)) for chunk in items(metadata.get("groundingChunks"))]
    found: list[Found] = []
    supported: set[int] = set()
    for item in items(metadata.get("groundingSupports")):
        support = object_of(item)
        segment = _segment(object_of(support.get("segment")), "partIndex")
        for index in items(support.get("groundingChunkIndices")):
            number = count_of(index) or 0
            if number < len(chunks):
                supported.add(number)
                found.append((chunks[number], segment))
    return found + [(chunk, None) for number, chunk in enumerate(chunks) if number not in supported]


def _source(chunk: Json) -> Citation:
    for kind in ("web", "retrievedContext", "maps", "image"):
        if (source := chunk.get(kind)) is not None:
            told = object_of(source)
            quote = text_of(told.get("text")) if kind == "retrievedContext" else None
            url = text_of(told.get("sourceUri" if kind == "image" else "uri"))
            return Citation(url, text_of(told.get("title")), quote)
    return Citation()


def _cited(metadata: Json) -> list[Found]:
    found: list[Found] = []
    for name in ("citationSources", "citations"):
        for item in items(metadata.get(name)):
            source = object_of(item)
            citation = Citation(text_of(source.get("uri")), text_of(source.get("title")))
            found.append((citation, _segment(source, "")))
    return found


def _segment(told: Json, part: str) -> Segment | None:
    """Protobuf leaves out a zero: a segment has an end at least."""
    end = count_of(told.get("endIndex"))
    if end is None:
        return None
    return Segment(count_of(told.get(part)) or 0, count_of(told.get("startIndex")) or 0, end)


def characters(text: str, position: int) -> int | None:
    """A position in bytes of a text as one in characters; None within a character or behind the
    text's end."""
    if text.isascii():
        return position if position <= len(text) else None
    data = text.encode("utf-8", "surrogatepass")
    if position > len(data):
        return None
    try:
        return len(data[:position].decode("utf-8", "surrogatepass"))
    except UnicodeDecodeError:
        return None


def length(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


def placed(citation: Citation, text: str, part: int = 0, start: int = 0) -> Found:
    """A citation of the text from there on, which stands in the part with this number. One that
    has no place is of all of it, as in the other dialects."""
    first = 0 if citation.start is None else citation.start
    last = len(text) - start if citation.end is None else citation.end
    before, cited = length(text[: start + first]), text[start + first : start + last]
    if citation.start is None and not cited:
        return citation, None
    return citation, Segment(part, before, before + length(cited), cited)


def write_citations(found: Iterable[Found]) -> Json | None:
    """`groundingMetadata`: each source once, each citation a support of it."""
    sources: dict[Citation, int] = {}
    supports: list[Json] = []
    for citation, segment in found:
        source = Citation(citation.url, citation.title, citation.quote)
        support: Json = {"groundingChunkIndices": [sources.setdefault(source, len(sources))]}
        if segment is not None:
            part: Json = {"partIndex": segment.part} if segment.part else {}
            place: Json = {"startIndex": segment.start, "endIndex": segment.end}
            support["segment"] = {**part, **place, "text": segment.text}
        supports.append(support)
    if not supports:
        return None
    return {"groundingChunks": [_chunk(s) for s in sources], "groundingSupports": supports}


def _chunk(source: Citation) -> Json:
    told = {"uri": source.url, "title": source.title, "text": source.quote}
    kind = "web" if source.quote is None else "retrievedContext"
    return {kind: {name: value for name, value in told.items() if value is not None}}
