"""What the embedded model sees of a request: features, each present or not, each a 32-bit number.

Words, pairs of words and beginnings of words of the last user turn; the words at its head and tail
once more, since a task stands there and a paste does not; the words of the turns before, where
there are any; and the request's outer form. Scripts without spaces give their characters, and those
in pairs for words. The text is capped, so that a long paste costs no more than a page.

A feature is the CRC-32 of its bytes, begun at a number of its kind: nothing is put together in
memory for it, and `map` makes it without a step of the interpreter, which is what costs in a guest.
A change here makes every weights file wrong: raise `VERSION`.
"""

import re
from itertools import repeat
from zlib import crc32

from gateway.core.classifier.excerpt import Excerpt

VERSION = 2

HEAD, TAIL = 400, 200  # characters of the turn that are looked at
DENSE_HEAD, DENSE_TAIL = 200, 100  # where a character says as much as two: scripts without spaces
DENSE = DENSE_HEAD // 4  # characters of such scripts in the head from which a turn is one of those
EDGE = 8  # words at each end that count by their place too
EARLIER = 200  # characters of a turn before it, from its beginning
LONG_WORD = 6  # characters from which a word's beginning counts too: most languages inflect
BEGINNING = 5

_FIRST, _LAST = crc32(b"the first word"), b"\n"
_AT_HEAD, _AT_TAIL, _BEGINS = crc32(b"at the head"), crc32(b"at the tail"), crc32(b"begins with")
_EARLIER = {"user": crc32(b"asked"), "assistant": crc32(b"answered"), "system": crc32(b"system")}

_WORD = re.compile(r"[^\W\d_]+|\d+|[^\w\s]")
_ASCII_WORD = re.compile(rb"[a-z]+|[0-9]+|[^\w\s\x1c-\x1f]")  # the same, of lower case
# Thai, Lao, Burmese, Khmer, and Hiragana to Hangul: written without spaces, or nearly.
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u9fff\uac00-\ud7af]")
_ASKS = ("?", "\uff1f", "\u061f")  # the question marks of Latin, Chinese and Arabic


def features_of(excerpt: Excerpt) -> set[int]:
    """Each once. There are some: how long the turn is says something in any case."""
    turn = seen_of(excerpt.turn)
    words, begun = words_of(turn)
    single = list(map(crc32, words))
    found = set(single)
    found.update(map(crc32, [*words, _LAST], [_FIRST, *single]))
    found.update(map(crc32, begun, repeat(_BEGINS)))
    found.update(map(crc32, words[:EDGE], repeat(_AT_HEAD)))
    if len(words) > EDGE:  # else its tail is its head
        found.update(map(crc32, words[-EDGE:], repeat(_AT_TAIL)))
    if not turn.isascii():
        found.update(map(crc32, map(str.encode, set(_SPACELESS.findall(turn)))))
    for role, said in excerpt.context:
        earlier, _ = words_of(said[:EARLIER])
        found.update(map(crc32, earlier, repeat(_EARLIER[role])))
    found.update(form_of(excerpt, len(words)))
    return found


def seen_of(turn: str) -> str:
    """What is looked at of a turn."""
    head, tail = window_of(turn)
    return turn if len(turn) <= head + tail else f"{turn[:head]}\n{turn[-tail:]}"


def window_of(turn: str) -> tuple[int, int]:
    """How many characters are looked at from its beginning and from its end."""
    if len(turn) <= DENSE_HEAD + DENSE_TAIL or turn.isascii():
        return HEAD, TAIL
    is_dense = len(_SPACELESS.findall(turn, 0, DENSE_HEAD)) >= DENSE
    return (DENSE_HEAD, DENSE_TAIL) if is_dense else (HEAD, TAIL)


def words_of(text: str) -> tuple[list[bytes], list[bytes]]:
    """Its words in lower case, in order, and the beginnings of those that are long; of a script
    without spaces its pairs of characters."""
    if text.isascii():  # one that is encoded as a whole costs less than its words, each by itself
        words: list[bytes] = _ASCII_WORD.findall(text.lower().encode())
        return words, [word[:BEGINNING] for word in words if len(word) >= LONG_WORD]
    # Half a surrogate pair has no bytes.
    texts: list[str] = _WORD.findall(text.encode("utf-8", "replace").decode().lower())
    if _SPACELESS.search(text):
        texts = [part for each in texts for part in _pairs(each)]
    begun = [each[:BEGINNING].encode() for each in texts if len(each) >= LONG_WORD]
    return list(map(str.encode, texts)), begun


def _pairs(word: str) -> list[str]:
    if len(word) == 1 or not _SPACELESS.search(word):
        return [word]
    return list(map(str.__add__, word, word[1:]))


def form_of(excerpt: Excerpt, words: int) -> list[int]:
    """The outer form, the turn having so many words: lengths in steps of half a doubling, and what
    stands in the text at all."""
    turn = excerpt.turn
    form = [
        crc32(b"length", (len(turn) ** 2).bit_length()),
        crc32(b"words", (words * words).bit_length()),
        crc32(b"lines", turn.count("\n").bit_length()),
        crc32(b"turns", min(excerpt.turns, 4)),
    ]
    if "```" in turn:
        form.append(crc32(b"code"))
    if turn.endswith(_ASKS):
        form.append(crc32(b"asks at its end"))
    if "?" in turn:
        form.append(crc32(b"asks"))
    if excerpt.has_tools:
        form.append(crc32(b"tools"))
    if excerpt.has_images:
        form.append(crc32(b"images"))
    return form
