"""JSON from outside: what is refused, and what is kept to the byte."""

import json
import time
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.jsontext import (
    MAX_ANSWER_VALUES,
    MAX_DEPTH,
    MAX_VALUES,
    JsonError,
    is_too_deep,
    parse,
    parse_object,
    parse_strictly,
)

TEXT = st.text(st.sampled_from('ab[]{}"\\/\n\té漢😀:, '), max_size=8)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=12,
).filter(lambda value: "Infinity" not in json.dumps(value))
OBJECTS = st.dictionaries(TEXT, VALUES, max_size=5)


def depth_of(value: object) -> int:
    """How deep a parsed value nests: the reference."""
    if isinstance(value, dict):
        return 1 + max(map(depth_of, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(depth_of, value), default=0)
    return 0


def depth_read(text: str) -> int:
    """How deep a parser gets in this text before it meets the first fault."""
    try:
        json.loads(text)
        end = len(text)
    except json.JSONDecodeError as error:
        end = error.pos
    depth = deepest = 0
    in_string = is_escaped = False
    for character in text[:end]:
        if in_string:
            in_string = is_escaped or character != '"'
            is_escaped = character == "\\" and not is_escaped
        elif character == '"':
            in_string = True
        elif character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}":
            depth -= 1
    return deepest


@st.composite
def texts(draw: st.DrawFn, values: st.SearchStrategy[object] = VALUES) -> str:
    """A value, spelled in one of the many ways JSON allows."""
    return json.dumps(
        draw(values),
        ensure_ascii=draw(st.booleans()),
        indent=draw(st.sampled_from([None, 0, 1, "\t"])),
        separators=draw(st.sampled_from([(",", ":"), (", ", ": "), (" ,\r\n ", " :\t")])),
    )


NESTS = {
    "arrays": ("[", "]"),
    "objects": ('{"a":', "}"),
    "both": ('{"a":[', "]}"),
    "both, array first": ('[{"a":', "}]"),
    "siblings": ('[[],{"b":"]"},', "]"),
}


def nested(kind: str, depth: int) -> bytes:
    """A value that is exactly `depth` deep (at an even depth where the kind opens two at once)."""
    opening, closing = NESTS[kind]
    levels = 2 if kind.startswith("both") else 1
    times, rest = divmod(depth, levels)
    if kind == "siblings":
        times -= 1  # its innermost siblings are one level themselves
    inner = "[]" if rest or kind == "siblings" else "0"
    return (opening * times + inner + closing * times).encode()


@pytest.mark.parametrize("kind", NESTS)
def test_the_limit_is_exact(kind: str) -> None:
    """A value as deep as the limit is read, one level more is refused, whatever it is made of."""
    assert depth_of(parse(nested(kind, MAX_DEPTH))) == MAX_DEPTH
    with pytest.raises(JsonError, match=f"deeper than {MAX_DEPTH}"):
        parse(nested(kind, MAX_DEPTH + 1))


@given(texts(), st.integers(0, 6))
def test_depth_agrees_with_a_parser(text: str, limit: int) -> None:
    """For JSON the bound is exact: too deep is what a parser finds deeper than the limit."""
    assert is_too_deep(text.encode(), limit) is (depth_of(json.loads(text)) > limit)


@given(st.text(st.sampled_from('[]{}[]{}"\\a1:, '), max_size=40), st.integers(0, 4))
def test_a_parser_never_gets_deeper(text: str, limit: int) -> None:
    """For what is not JSON: what passes never takes the parser deeper than the limit."""
    if not is_too_deep(text.encode(), limit):
        assert depth_read(text) <= limit


@pytest.mark.parametrize("opening", ["[", '{"a":', '[{"a":', '{"a":[', '["\\"]",'])
@pytest.mark.parametrize("is_closed", [False, True])
def test_a_hundred_thousand_brackets(opening: str, *, is_closed: bool) -> None:
    """Nesting that would overflow the stack is refused before a parser sees it."""
    closing = {"[": "]", "{": "}"}
    ends = "".join(closing[mark] for mark in reversed(opening) if mark in closing)
    text = opening * 100_000 + ("0" + ends * 100_000 if is_closed else "")
    for read in (parse, parse_strictly):
        with pytest.raises(JsonError, match="nested deeper"):
            read(text.encode())
    with pytest.raises(JsonError, match="nested deeper"):
        parse_object(('{"a":' + text).encode())


def test_brackets_in_strings_do_not_count() -> None:
    """A string may hold any number of brackets, quotes and backslashes."""
    value = {"code": '[{"' * 5_000 + "\\" * 7 + '"[' * 5_000, "b": ["\\", '\\"[', "["]}
    assert parse(json.dumps(value).encode()) == value


def test_the_depth_check_is_linear() -> None:
    """Eight megabytes of the worst nesting are judged in well under the time of a request."""
    pieces = b"[" * MAX_DEPTH + b"]" * MAX_DEPTH
    data = b"[" + b",".join([pieces] * (8_000_000 // len(pieces))) + b"]"
    started = time.process_time()
    assert is_too_deep(data)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('{"a": 1, "a": 2}', "twice"),
        ('{"x": {"a": 1, "b": 0, "a": 2}}', "twice"),
        ('{"\\u0061": 1, "a": 2}', "twice"),
        ('{"a": NaN}', "NaN"),
        ('{"a": Infinity}', "Infinity"),
        ('{"a": [-Infinity]}', "Infinity"),
        ('{"a": 1e999}', "too large"),
        ('{"a": -1e999}', "too large"),
        ('{"a": 1' + "0" * 5_000 + "}", "too many digits|too large"),
        ('{"a": 1,}', None),
        ('{"a" 1}', None),
        ('{"a": }', None),
        ('{"a": 1 "b": 2}', None),
        ("{'a': 1}", None),
        ("{a: 1}", None),
        ('{"a": 01}', None),
        ('{"a": tru}', None),
        ('{"a": "line\nbreak"}', None),
        ('{"a": "\\x"}', None),
        ('{"a": "\\u12"}', None),
        ('{"a": 1} {}', None),
        ('{"a": 1}x', None),
        ('{"a": "open', "ends in the middle|Unterminated"),
        ('{"a": 1', None),
        ('{"a"', None),
        ("{", None),
        ("", None),
        ("  ", None),
        ("\ufeff{}", None),
    ],
)
def test_what_is_refused(text: str, problem: str | None) -> None:
    """What two readers could understand differently, and what is not JSON, is a JsonError."""
    for read in (parse_object, parse_strictly):
        with pytest.raises(JsonError, match=problem):
            read(text.encode())


def test_a_whole_number_no_double_can_hold() -> None:
    """A number beyond every double is refused, written with an exponent or with its digits."""
    for read in (parse_strictly, parse_object):
        with pytest.raises(JsonError):
            read(b'{"a": 1' + b"0" * 400 + b"}")
        assert read(b'{"a": 1' + b"0" * 300 + b"}")


@pytest.mark.parametrize(
    "data", [b'{"a": "\xff"}', b'{"a": "\xc3"}', b"\xff\xfe{\x00}\x00", b"\x80"]
)
def test_invalid_utf8(data: bytes) -> None:
    """Bytes that are not UTF-8 are refused, naming the place and not the bytes."""
    for read in (parse, parse_strictly, parse_object):
        with pytest.raises(JsonError, match="not valid UTF-8"):
            read(data)


@pytest.mark.parametrize("text", ["[]", "1", '"a"', "null", "[{}]"])
def test_only_an_object(text: str) -> None:
    """Where an object is asked for, any other value is refused."""
    with pytest.raises(JsonError, match="not a JSON object"):
        parse_object(text.encode())


@given(st.binary(max_size=60) | texts().map(str.encode))
def test_nothing_but_json_errors(data: bytes) -> None:
    """Any bytes give a value or a JsonError; the strict readers agree on which."""
    try:
        value = parse_strictly(data)
    except JsonError:
        with pytest.raises(JsonError):
            parse_object(data)
        return
    assert parse(data) == value
    if isinstance(value, dict):
        assert parse_object(data).values == value
    else:
        with pytest.raises(JsonError):
            parse_object(data)


@given(texts(OBJECTS))
def test_spans(text: str) -> None:
    """Each top-level value lies exactly where its span says, and the end is the closing brace."""
    data = text.encode()
    source = parse_object(data)
    assert {name: json.loads(data[slice(*span)]) for name, span in source.spans.items()} == (
        json.loads(text)
    )
    assert data[source.end :].strip() == b"}"


@pytest.mark.parametrize("letter", ["a", "é", "漢", "😀"])
def test_spans_behind_a_long_text(letter: str) -> None:
    """However many bytes the characters of a long text have, what follows it is where it lies."""
    text = json.dumps({"x": letter * 200_001, "model": "a", letter: [letter]}, ensure_ascii=False)
    source = parse_object(text.encode())
    assert source.data[slice(*source.spans["model"])] == b'"a"'
    assert source.replaced({"model": "b"}).decode() == text.replace('"model": "a"', '"model": "b"')


@given(texts(OBJECTS), st.data())
def test_replaced_changes_only_what_it_is_told(text: str, data: st.DataObject) -> None:
    """Replacing is an update that keeps the order of keys and every byte outside the values."""
    source = parse_object(text.encode())
    names = st.sampled_from([*source.values, "model", "stream_options"])
    members = data.draw(st.dictionaries(names, VALUES, max_size=3))
    replaced = source.replaced(members)
    expected = {**source.values, **members}
    result = parse_object(replaced)
    assert result.values == expected
    assert list(result.values) == list(expected)

    def around(text: bytes, spans: dict[str, tuple[int, int]], end: int) -> list[bytes]:
        """The bytes between the replaced values."""
        position, pieces = 0, []
        for name in source.spans:
            if name in members:
                start, stop = spans[name]
                pieces.append(text[position:start])
                position = stop
        return [*pieces, text[position:end], text[end:]]

    before = around(source.data, source.spans, source.end)
    after = around(result.data, result.spans, result.end)
    added = [name for name in members if name not in source.values]
    *kept, tail, closing = after
    assert [*kept, closing] == [*before[:-2], before[-1]]
    assert tail.startswith(before[-2])
    assert (tail == before[-2]) is not bool(added)


def test_replaced_keeps_what_no_parser_would_write() -> None:
    """Spelling that a round trip through a parser loses is still there."""
    text = '{ "t": 1.50, "big": 12345678901234567890, "s": "\\u00e9\\/", "model": "a" , "z": 1E2}\n'
    replaced = parse_object(text.encode()).replaced({"model": "b"})
    assert replaced.decode() == text.replace('"model": "a"', '"model": "b"')


def test_long_keys_are_not_quoted_whole() -> None:
    """An error message stays short, however long the key at fault is."""
    key = json.dumps("k" * 10_000)
    with pytest.raises(JsonError) as caught:
        parse_object(f"{{{key}: 1, {key}: 2}}".encode())
    assert len(str(caught.value)) < 200


def test_members_are_counted() -> None:
    """The outermost object of a request is walked, so that it may have a thousand members only."""
    value = {f"key{number}": number for number in range(1_001)}
    text = json.dumps({"nested": value}).encode()
    assert parse_object(text).values == {"nested": value}
    with pytest.raises(JsonError, match="members"):
        parse_object(json.dumps(value).encode())


@pytest.mark.parametrize("piece", [b"[]", b"{}", b"1"])
def test_a_text_of_nothing_but_values(piece: bytes) -> None:
    """Values are counted: a few bytes each would cost a hundred times as much."""
    for read, most in ((parse_strictly, MAX_VALUES), (parse, MAX_ANSWER_VALUES)):
        fits = most // 2 if piece != b"1" else most
        text = b"[" + b",".join([piece] * fits) + b"]"
        assert len(cast(list[object], read(text))) == fits
        with pytest.raises(JsonError, match="more than"):
            read(text[:-1] + b"," + piece + b"]")


def test_values_in_strings_do_not_count() -> None:
    """A string may hold any number of commas and brackets."""
    in_strings = b'["' + b"[," * (2 * MAX_VALUES) + b'"]'
    assert parse_strictly(in_strings)


def test_a_key_that_comes_twice_among_many_is_found_at_once() -> None:
    """Finding the repeated key takes no longer than reading the object."""
    keys = [f"k{number}" for number in range(100_000)] + ["k7"]
    text = "{" + ",".join(f'"{key}":1' for key in keys) + "}"
    started = time.process_time()
    with pytest.raises(JsonError, match='"k7" appears twice'):
        parse_strictly(text.encode())
    assert time.process_time() - started < 2


@given(st.binary(max_size=60) | st.sampled_from([b"NaN", b"[1e999]", b"1" + b"0" * 5_000]))
def test_reading_raises_json_errors_only(data: bytes) -> None:
    """What is only read, not acted on, may be sloppy JSON; what is no JSON is a JsonError."""
    try:
        parse(data)
    except JsonError as error:
        assert str(error)  # noqa: PT017 - both ways are right
        return
    json.loads(data)
