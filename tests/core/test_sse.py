"""Server-sent events: the same events however the bytes arrive."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sse import MAX_EVENT_BYTES, SseDecoder, SseError, SseEvent, encode

BOM = b"\xef\xbb\xbf"
STREAM = (
    'data: {"a": "größe 漢字 😀"}\n\n'
    ": a comment\n\n"
    "event: x\r\ndata: one\r\ndata:two\r\ndata:  three\r\nid: 7\r\n\r\n"
    "data: cr\rdata: only\r\r"
    "data:\n\n"
    "\n\n"
    "data: mixed\r\n\n"
    "data: [DONE]\n\n"
).encode()


def read(*chunks: bytes) -> tuple[list[SseEvent], bool]:
    """The events of a stream that came in these chunks, and whether it ended in mid-line."""
    decoder = SseDecoder()
    events = [event for chunk in chunks for event in decoder.feed(chunk)]
    try:
        return events + decoder.finish(), False
    except SseError:
        return events, True


def reference(stream: bytes) -> list[bytes]:
    """The data of each event that has some, as the standard reads it, line by line."""
    lines = re.split(rb"\r\n|\n|\r", stream.removeprefix(BOM))
    found: list[bytes] = []
    data: list[bytes] = []
    for line in [*lines[:-1], b""]:
        if line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
        elif not line and data:
            found.append(b"\n".join(data))
            data = []
    return found


LINES = st.sampled_from(
    [
        "",
        "",
        "data: a",
        "data:",
        "data:b:c",
        "data:  d",
        "datax: e",
        ": note",
        "event: f",
        "data: é😀",
    ]
)
ENDINGS = st.sampled_from(["\n", "\r\n", "\r"])
STREAMS = st.builds(
    lambda start, lines: start + "".join(line + end for line, end in lines).encode(),
    st.sampled_from([b"", BOM]),
    st.lists(st.tuples(LINES, ENDINGS), max_size=10),
)


@given(STREAMS)
def test_events_are_those_of_the_standard(stream: bytes) -> None:
    """Data lines join, one space goes, comments and other fields are no data, a BOM is skipped."""
    events, is_cut = read(stream)
    assert [event.data for event in events if event.data] == list(filter(None, reference(stream)))
    assert not is_cut


@pytest.mark.parametrize("start", [b"", BOM])
def test_cut_at_every_byte(start: bytes) -> None:
    """One cut anywhere, in the middle of UTF-8, a CRLF or the BOM, changes no event."""
    stream = start + STREAM
    whole = read(stream)
    for at in range(len(stream) + 1):
        assert read(stream[:at], stream[at:]) == whole, at
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == whole


@given(STREAMS, st.lists(st.integers(0, 120), max_size=8))
def test_cut_anywhere_any_number_of_times(stream: bytes, cuts: list[int]) -> None:
    """However many cuts: the same events with the same raw bytes."""
    places = sorted({0, len(stream), *(cut for cut in cuts if cut < len(stream))})
    assert read(*(stream[a:b] for a, b in pairwise(places))) == read(stream)


def test_a_bom_is_only_one_at_the_start() -> None:
    """The same bytes after an event are data, also when that event came alone."""
    stream = b"\n\n" + BOM + b"data: x\n\n"
    assert read(stream[:2], stream[2:]) == read(stream)


@given(STREAMS)
def test_raw_bytes_are_complete(stream: bytes) -> None:
    """What a relay passes on is what it read, to the byte, but for a BOM and blank lines."""
    events, _ = read(stream)
    raw = b"".join(event.raw for event in events)
    rest = stream.removeprefix(BOM)
    common = min(len(raw), len(rest))
    assert raw[:common] == rest[:common]
    assert not (raw[common:] + rest[common:]).strip(b"\r\n")


@given(STREAMS)
def test_each_event_stands_alone(stream: bytes) -> None:
    """An event's raw bytes are a whole event: whatever is sent after it cannot run into it."""
    for event in read(stream)[0]:
        again, is_cut = read(event.raw + encode(b"next"))
        assert [item.data for item in again if item.data][-1] == b"next"
        assert [item.data for item in again if item.data][:-1] == (
            [event.data] if event.data else []
        )
        assert not is_cut


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_last_event_without_its_blank_line(ending: bytes) -> None:
    """The last event counts when its line is whole, and is passed on with a blank line."""
    [event], is_cut = read(b"data: [DONE]" + ending)
    assert (event.data, is_cut) == (b"[DONE]", False)
    assert [item.data for item in SseDecoder().feed(event.raw + b"data: x\n\n")] == [
        b"[DONE]",
        b"x",
    ]


def test_a_field_without_a_colon() -> None:
    """A line that is only `data` is a data line with nothing in it."""
    assert read(b"data\ndata: x\n\n")[0][0].data == b"\nx"


@pytest.mark.parametrize("rest", [b"data: half", b"d", b"data: a\n\ndata: b\ndata: c", BOM[:2]])
def test_an_end_in_mid_line(rest: bytes) -> None:
    """A stream that ends within a line ends in an error: what is there may be half of something."""
    decoder = SseDecoder()
    decoder.feed(rest)
    with pytest.raises(SseError, match="middle"):
        decoder.finish()


@pytest.mark.parametrize("rest", [b"", b"\n", b"\r\n", b"data: a\n\n", b"data: a\r\r", BOM])
def test_an_end_between_events(rest: bytes) -> None:
    """A stream that ends after an event has ended well."""
    decoder = SseDecoder()
    events = decoder.feed(rest) + decoder.finish()
    assert [event.data for event in events if event.data] == ([b"a"] if b"a" in rest else [])


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_nothing_is_added_to_a_whole_stream(ending: bytes) -> None:
    """The last event of a stream is passed on as it came, also where only its end tells that the
    last CR was no half of a CRLF."""
    stream = b"data: a\n\n: b\n\ndata: [DONE]\n\n".replace(b"\n", ending)
    events, is_cut = read(*[stream[at : at + 1] for at in range(len(stream))])
    assert (b"".join([event.raw for event in events]), is_cut) == (stream, False)


def test_an_endless_event_is_bounded() -> None:
    """An event that never ends is an error once it is over the limit, not all of the memory."""
    decoder = SseDecoder()
    chunk = b"x" * (MAX_EVENT_BYTES // 4)
    for _ in range(4):
        assert decoder.feed(chunk) == []
    with pytest.raises(SseError, match="over"):
        decoder.feed(b"x")


def test_an_event_of_the_largest_size() -> None:
    """An event as large as the limit still comes through."""
    decoder = SseDecoder()
    data = b"x" * (MAX_EVENT_BYTES - 8)
    assert decoder.feed(b"data: " + data) == []
    assert [event.data for event in decoder.feed(b"\n\n")] == [data]


@given(st.binary(max_size=60))
def test_any_bytes(stream: bytes) -> None:
    """Any bytes give events or an SseError at the end, the same at once and byte by byte."""
    assert read(*(stream[at : at + 1] for at in range(len(stream)))) == read(stream)


@given(st.text().map(lambda text: re.sub(r"[\r\n]", " ", text).encode()))
def test_encode_is_read_back(data: bytes) -> None:
    """What `encode` writes is one event with that data."""
    assert [event.data for event in SseDecoder().feed(encode(data))] == [data]
