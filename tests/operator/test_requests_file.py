"""Files of requests: what a line may say, and that a bad one costs no other."""

import json
import os
from collections.abc import Mapping
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.classifier.excerpt import make_excerpt
from gateway.core.dialects.openai_chat.parsing import parse_request
from gateway.operator.requests_file import MAX_LINE, BadLine, Row, read_rows

GOOD = b'{"text": "hello"}\n'
TOOL = {"type": "function", "function": {"name": "f"}}


def rows(data: bytes) -> list[Row | BadLine]:
    return list(read_rows(BytesIO(data)))


def row(values: Mapping[str, object]) -> Row:
    (found,) = rows(json.dumps(values).encode())
    assert isinstance(found, Row), found
    return found


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"text":', "is no JSON: Expecting value at character 9"),
        ("[1]", "is not a JSON object"),
        ("[" * 200 + "]" * 200, "is no JSON: it is nested deeper than 128 levels"),
        ('{"text": "a", "text": "b"}', 'is no JSON: the key "text" appears twice in one object'),
        ("{}", "'text' is missing: give it, or 'messages'"),
        ('{"text": 7}', "'text' must be a string"),
        ('{"text": "a", "messages": []}', "'messages' stands beside 'text': give one of them"),
        ('{"text": "a", "id": 1.5}', "'id' must be a string or a whole number"),
        ('{"text": "a", "id": true}', "'id' must be a string or a whole number"),
        ('{"text": "a", "tier": "best"}', "'tier' must be one of fast, balanced, quality, reason"),
        ('{"text": "a", "tools": {}}', "'tools' must be an array"),
        ('{"text": "a", "system": []}', "'system' must be a string"),
        ('{"text": "a", "context": 7}', "'context' must be an array"),
        ('{"text": "a", "context": [{"role": "user"}]}', "'context[0].content' is missing"),
        ('{"messages": [], "context": "a"}', "'context' stands beside 'messages'"),
        ('{"messages": [{"role": "me", "content": ""}]}', "'messages[0].role' is not a known"),
        (
            '{"messages": [{"role": "user", "content": [{"type": "text"}]}]}',
            "'messages[0].content[0].text' must be a string",
        ),
    ],
)
def test_a_bad_line_says_what_is_wrong(line: str, problem: str) -> None:
    """A line that is no request is named by its number and its fault; the next one is read."""
    bad, good = rows(line.encode() + b"\n" + GOOD)
    assert isinstance(bad, BadLine)
    assert (bad.number, str(bad)[: len(problem)]) == (1, problem)
    assert isinstance(good, Row)


def test_messages_are_read_as_the_gateway_reads_them() -> None:
    """Of a client's own request the judge is shown what the gateway would show it."""
    image = {"type": "image_url", "image_url": {"url": "data:"}}
    values = {
        "tools": [TOOL],
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": None},
            {"role": "user", "content": [{"type": "text", "text": "second"}, image]},
        ],
    }
    expected = make_excerpt(parse_request(json.dumps(values).encode()))
    assert expected is not None
    assert (expected.turns, expected.has_tools, expected.has_images) == (2, True, True)
    assert row(values).excerpt == expected


def test_a_text_with_its_context_is_the_same_request() -> None:
    """`text`, `context`, `system` and `tools` say what messages would."""
    context = [{"role": "user", "content": "before"}, {"role": "assistant", "content": "answer"}]
    messages = [{"role": "system", "content": "Be brief."}, *context]
    asked = {"text": "now", "context": context, "system": "Be brief.", "tools": [TOOL]}
    same = {"messages": [*messages, {"role": "user", "content": "now"}], "tools": [TOOL]}
    assert row(asked).excerpt == row(same).excerpt
    assert row({**same, "messages": same["messages"][1:], "system": "Be brief."}) == row(same)  # type: ignore[index]


def test_a_context_in_one_string_is_what_the_user_said_before() -> None:
    """A string of context is one earlier turn of the user."""
    excerpt = row({"text": "now", "context": "before"}).excerpt
    assert excerpt is not None
    assert (excerpt.context, excerpt.turns) == ((("user", "before"),), 2)


def test_the_level_and_the_id_of_a_line() -> None:
    """The tier is a level's number, the id stays what it is, and null is as good as absent."""
    found = row({"id": 7, "text": "a", "tier": "quality", "lang": "en"})
    assert (found.id, found.level) == (7, 2)
    bare = row({"id": None, "text": "a", "tier": None, "messages": None, "context": None})
    assert (bare.id, bare.level) == (None, None)


def test_blank_lines_are_skipped_and_counted() -> None:
    """Lines are numbered as an editor does it; a byte order mark and CRLF are no fault."""
    first, second = rows(b"\xef\xbb\xbf" + GOOD.replace(b"\n", b"\r\n") + b"\r\n\n" + GOOD.strip())
    assert isinstance(first, Row)
    assert (first.number, second.number) == (1, 4)


def test_a_line_over_the_limit_is_left_out() -> None:
    """A line that is too long is never held whole; one of exactly the limit is read."""
    body = b'{"text": "%s"}'
    longest = body % (b"a" * (MAX_LINE - len(body % b"")))
    assert len(longest) == MAX_LINE
    over, after, fits = rows(b"a" * (3 * MAX_LINE) + b"\n" + GOOD + longest)
    assert isinstance(over, BadLine)
    assert str(over) == "is over 16777216 bytes"
    assert (after.number, fits.number) == (2, 3)
    assert isinstance(fits, Row)
    assert isinstance(after, Row)


def test_a_row_is_there_as_soon_as_its_line_is() -> None:
    """Nothing waits for the end of the file."""
    out, into = os.pipe()
    with os.fdopen(out, "rb") as file, os.fdopen(into, "wb", buffering=0) as writer:
        found = read_rows(file)
        writer.write(GOOD)
        assert next(found).number == 1
        writer.write(GOOD)
        assert next(found).number == 2


@given(st.lists(st.binary(max_size=40) | st.sampled_from([GOOD.strip(), b'{"text": "\\ud800"}'])))
def test_any_lines(lines: list[bytes]) -> None:
    """Any bytes are rows and bad lines, and no exception."""
    for found in rows(b"\n".join(lines)):
        assert isinstance(found, Row | BadLine)
