"""Did you mean ...?"""

import difflib
from collections.abc import Iterable


def did_you_mean(given: str, known: Iterable[str], *, else_: str = "") -> str:
    """The end of a sentence: the closest known word, or `else_`, or all the words there are."""
    words = list(dict.fromkeys(known))
    if close := difflib.get_close_matches(given, words, n=1):
        return f"; did you mean {close[0]!r}?"
    if else_:
        return f"; {else_}"
    return f"; there are: {', '.join(sorted(words))}" if words else ""
