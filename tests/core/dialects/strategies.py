"""Conversations and answers for the property tests of every dialect, limited to what one carries.

A dialect's own words (its proofs of reasoning, its ids) are given by its test; everything here is
neutral. `uses` is left empty: it names members of a client's body, which only reading can know.
"""

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from gateway.core.chat import Usage
from gateway.core.conversation import (
    Citation,
    Conversation,
    File,
    Image,
    Json,
    Media,
    Output,
    Reasoning,
    Text,
    Thinking,
    Tool,
    ToolCall,
    ToolChoice,
    ToolResult,
    Turn,
)
from gateway.core.features import Feature

type Carries = frozenset[Feature]
type Own = Mapping[str, st.SearchStrategy[Any]]

TEXT = st.text(min_size=1, max_size=20)
WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
BASE64 = st.from_regex(r"([A-Za-z0-9+/]{4}){1,4}", fullmatch=True)
URLS = WORDS.map(lambda word: f"https://{word}.test/{word}")
NUMBERS = st.integers(0, 8).map(lambda eighths: eighths / 8)  # every JSON writes them alike
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)
# With `properties`: OpenAI takes no object without.
SCHEMAS: st.SearchStrategy[Json] = st.dictionaries(WORDS, JSON, max_size=3).map(
    lambda values: {"type": "object", "properties": {}, "x-any": values}
)
ARGUMENTS = st.sampled_from(["{}", '{"a": 1}', '{"q":"\\u00e9 \\"x\\""}', '{"n": [1, {}]}'])
COUNTS = st.integers(0, 10_000)


# --- Requests ------------------------------------------------------------------


def images(carries: Carries) -> st.SearchStrategy[Image]:
    details = st.sampled_from([None, "auto", "low", "high"])
    inline = st.builds(Media, type=st.sampled_from(["image/png", "image/jpeg"]), data=BASE64)
    return st.one_of(
        *_when(carries, Feature.IMAGE_URL, st.builds(Image, st.builds(Media, url=URLS), details)),
        *_when(carries, Feature.IMAGE_DATA, st.builds(Image, inline, details)),
    )


def files(carries: Carries) -> st.SearchStrategy[File]:
    names = WORDS.map(lambda word: f"{word}.pdf")
    inline = st.builds(Media, type=st.just("application/pdf"), data=BASE64, name=names)
    return st.one_of(
        *_when(carries, Feature.FILE_URL, st.builds(File, st.builds(Media, url=URLS))),
        *_when(carries, Feature.FILE_DATA, st.builds(File, inline)),
    )


def said(carries: Carries) -> st.SearchStrategy[tuple[Text | Image | File, ...]]:
    """What a user says: texts, images and files."""
    part = st.builds(Text, TEXT) | images(carries) | files(carries)
    return st.lists(part, min_size=1, max_size=3).map(tuple)


def calls(arguments: st.SearchStrategy[str] = ARGUMENTS) -> st.SearchStrategy[list[ToolCall]]:
    """Calls side by side: each has its own id."""
    names = st.lists(WORDS, max_size=3, unique=True)
    return names.flatmap(
        lambda ids: st.tuples(
            *[st.builds(ToolCall, st.just(f"call_{id_}"), WORDS, arguments) for id_ in ids]
        ).map(list)
    )


@st.composite
def turns(draw: st.DrawFn, carries: Carries, own: Own) -> tuple[Turn, ...]:
    """A system prompt, then user and assistant in turn; calls are followed by their results."""
    found: list[Turn] = []
    if draw(st.booleans()):
        found.append(Turn("system", (Text(draw(TEXT)),)))
    found.append(Turn("user", draw(said(carries))))
    for _ in range(draw(st.integers(0, 2))):
        made = draw(own.get("calls", calls()))
        texts = draw(st.lists(st.builds(Text, TEXT), max_size=2))
        thoughts = draw(own.get("reasoning", st.just([])))
        parts = (*thoughts, *texts, *made)
        if not (texts or made):
            parts = (*thoughts, Text(draw(TEXT)))
        found.append(Turn("assistant", parts))
        if made:
            found.append(Turn("user", tuple(draw(_result(call, carries)) for call in made)))
        elif Feature.DEVELOPER in carries and draw(st.booleans()):
            found.append(Turn("developer", (Text(draw(TEXT)),)))
            found.append(Turn("user", draw(said(carries))))
        else:
            found.append(Turn("user", draw(said(carries))))
    return tuple(found)


@st.composite
def conversations(draw: st.DrawFn, carries: Carries, own: Own) -> Conversation:
    """Any conversation that needs no more than `carries`. `own`: strategies for the members of
    Conversation, and for `calls`, `reasoning`, `tool`, where a dialect has words of its own."""

    def drawn(name: str, feature: Feature, usual: st.SearchStrategy[Any]) -> Any:  # noqa: ANN401
        if feature not in carries or not draw(st.booleans()):
            return None
        return draw(own.get(name, usual))

    found = draw(st.lists(own.get("tool", tools()), max_size=3, unique_by=lambda tool: tool.name))
    kept = found if Feature.TOOLS in carries else []
    choices = [ToolChoice("auto"), ToolChoice("none"), ToolChoice("required")]
    choices += [ToolChoice("required", (tool.name,)) for tool in kept]
    schemas = st.builds(Output, SCHEMAS, WORDS, st.none() | TEXT, st.none() | st.booleans())
    outputs = st.one_of(
        *_when(carries, Feature.JSON_MODE, st.just(Output())),
        *_when(carries, Feature.JSON_SCHEMA, schemas),
    )
    return Conversation(
        turns=draw(turns(carries, own)),
        tools=tuple(kept),
        tool_choice=drawn("tool_choice", Feature.TOOL_CHOICE, st.sampled_from(choices))
        if kept
        else None,
        one_tool_at_most=drawn("one_tool_at_most", Feature.ONE_TOOL, st.booleans()),
        output=drawn("output", Feature.JSON_SCHEMA, outputs),
        thinking=drawn("thinking", Feature.EFFORT, st.none()),
        max_tokens=drawn("max_tokens", Feature.MAX_TOKENS, st.integers(1, 10_000)),
        stop=drawn("stop", Feature.STOP, st.lists(TEXT, max_size=3).map(tuple)) or (),
        temperature=drawn("temperature", Feature.TEMPERATURE, NUMBERS),
        top_p=drawn("top_p", Feature.TOP_P, NUMBERS),
        top_k=drawn("top_k", Feature.TOP_K, st.integers(1, 100)),
        presence_penalty=drawn("presence_penalty", Feature.PENALTIES, NUMBERS),
        frequency_penalty=drawn("frequency_penalty", Feature.PENALTIES, NUMBERS),
        seed=drawn("seed", Feature.SEED, st.integers(0, 2**31)),
        answers=drawn("answers", Feature.N, st.integers(1, 4)) or 1,
        logprobs=drawn("logprobs", Feature.LOGPROBS, st.integers(0, 5)),
        user=drawn("user", Feature.USER, WORDS),
        metadata=drawn("metadata", Feature.METADATA, st.dictionaries(WORDS, TEXT, min_size=1)),
        is_stream=draw(st.booleans()),
    )


def tools(
    is_strict: st.SearchStrategy[bool | None] = st.sampled_from([None, True, False]),  # noqa: B008
) -> st.SearchStrategy[Tool]:
    return st.builds(Tool, WORDS, st.none() | TEXT, SCHEMAS, is_strict)


@st.composite
def _result(draw: st.DrawFn, call: ToolCall, carries: Carries) -> ToolResult:
    is_plain = Feature.TOOL_MEDIA not in carries or draw(st.booleans())
    parts = (Text(draw(TEXT)),) if is_plain else draw(said(carries))
    is_error = Feature.TOOL_ERRORS in carries and draw(st.booleans())
    return ToolResult(call.id, parts, is_error=is_error)


def _when[T](
    carries: Carries, feature: Feature, strategy: st.SearchStrategy[T]
) -> list[st.SearchStrategy[T]]:
    return [strategy] if feature in carries else []


# --- Answers -------------------------------------------------------------------

USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


@st.composite
def cited_texts(draw: st.DrawFn) -> Text:
    """A text with citations of pages, each at its place."""
    text = draw(TEXT)
    places = draw(st.lists(st.tuples(URLS, WORDS, st.integers(0, len(text))), max_size=2))
    citations = [Citation(url, title, None, start, len(text)) for url, title, start in places]
    return Text(text, tuple(citations))


def thoughts(
    signatures: st.SearchStrategy[str | None], origin: str
) -> st.SearchStrategy[Reasoning]:
    """Reasoning with the proofs of one dialect."""
    return st.builds(Reasoning, TEXT, signatures, origin=st.just(origin))


def tokens() -> st.SearchStrategy[tuple[Json, ...]]:
    """Logprobs in OpenAI's shape."""

    def token(text: str, others: list[str]) -> Json:
        def one(said: str) -> Json:
            return {"token": said, "logprob": -0.5, "bytes": list(said.encode())}

        return {**one(text), "top_logprobs": [one(other) for other in others]}

    items = st.builds(token, TEXT, st.lists(TEXT, max_size=2))
    return st.lists(items, max_size=3).map(tuple)


def thinking(effort: str, shows: bool | None) -> Thinking:  # noqa: FBT001 - drawn, not a switch
    """`none` switches reasoning off."""
    if effort == "none":
        return Thinking(is_on=False, shows=shows)
    return Thinking(effort=effort, shows=shows)
