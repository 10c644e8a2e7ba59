"""Citations of an answer's text, both ways.

Facts: https://platform.claude.com/docs/en/build-with-claude/citations. A citation is of all of its
text block, so it has no place in it. Those of documents count documents, pages and characters of
the request, which means nothing elsewhere: their title and quote are what is left. Of other
providers' only citations of pages can be said: every other kind would name a document that the
client did not send.
"""

from gateway.core.conversation import Citation, Json
from gateway.core.dialects import shapes
from gateway.core.dialects.anthropic_messages.proofs import NO_INDEX

_OF_DOCUMENTS = ("char_location", "page_location", "content_block_location")


def read_citation(found: Json) -> Citation | None:
    """None for a newer kind. Raises Malformed."""
    kind = found.get("type")
    quote = shapes.string(found, "cited_text") or None
    if kind == "web_search_result_location":
        return Citation(shapes.string(found, "url"), shapes.string(found, "title") or None, quote)
    if kind == "search_result_location":
        source = shapes.text(found, "source")  # a URL or any other name, as the client gave it
        url = source if "://" in source else None
        return Citation(url, shapes.string(found, "title") or None, quote)
    if kind in _OF_DOCUMENTS:
        return Citation(title=shapes.string(found, "document_title") or None, quote=quote)
    return None


def write_citation(citation: Citation) -> Json | None:
    """A page; its `encrypted_index` says that Anthropic's search did not find it."""
    if citation.url is None:
        return None
    return {
        "type": "web_search_result_location",
        "cited_text": citation.quote or "",
        "url": citation.url,
        "title": citation.title,
        "encrypted_index": NO_INDEX,
    }
