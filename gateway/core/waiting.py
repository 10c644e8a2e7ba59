"""How long to wait before a target is asked again.

Facts: RFC 9110, section 10.2.3, for `retry-after` in seconds or as a date; `retry-after-ms` is
OpenAI's and Azure's (https://github.com/openai/openai-python, `_base_client.py`). Backoff with full
jitter: https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/.
"""

import re
from datetime import UTC, datetime

from gateway.core.http import Headers

FIRST_BACKOFF_MS = 250
MAX_BACKOFF_MS = 4_000
# A longer wait is not sat out with the client's connection open: the target is cooled instead.
MAX_WAIT_MS = 5_000
MAX_COOLING_MS = 600_000  # what a provider may ask for; beyond it an operator will look

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
# `datetime.strptime` would import what a guest has not.
_DATE = re.compile(r"[A-Z][a-z]{2}, (\d\d) ([A-Z][a-z]{2}) (\d{4}) (\d\d):(\d\d):(\d\d) GMT")


def retry_after_ms(headers: Headers, now: float) -> int | None:
    """What a provider asks for; None where it does not, or not in words that are known. `now` in
    seconds since 1970."""
    exact = _number(headers.get("retry-after-ms"))
    if exact is not None:
        return int(exact)
    given = headers.get("retry-after")
    seconds = _number(given)
    if seconds is not None:
        return int(seconds * 1000)
    if given is not None and (moment := _moment(given)) is not None:
        return max(0, int((moment - now) * 1000))
    return None


def backoff_ms(retry: int, draw: float) -> int:
    """Before the first retry (0) and those after it; `draw` in [0, 1)."""
    most = min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2**retry)
    return int(most * (0.5 + draw / 2))


def _number(text: str | None) -> float | None:
    if text is None or not re.fullmatch(r"\d{1,9}(\.\d{1,9})?", text.strip(), re.ASCII):
        return None
    return float(text)


def _moment(text: str) -> float | None:
    found = _DATE.fullmatch(text.strip())
    if found is None or found[2] not in _MONTHS:
        return None
    day, _, year, hour, minute, second = found.groups()
    month = _MONTHS.index(found[2]) + 1
    try:
        moment = datetime(
            int(year), month, int(day), int(hour), int(minute), min(59, int(second)), tzinfo=UTC
        )
    except ValueError:
        return None
    return moment.timestamp()
