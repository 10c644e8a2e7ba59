"""What the hosts share: small ports that are the same under every Python, and a driver for ports
that never suspend."""

import json
import os
import time
from collections.abc import Coroutine
from random import Random

from gateway.core.classifier.model import read_weights
from gateway.core.http import Headers, Response
from gateway.hosts.embedded import EMBEDDED

# The answer when the host's own code fails.
HOST_FAILURE = Response(
    500,
    [("content-type", "application/json"), ("x-tiergate-schema", "1")],
    b'{"error": {"message": "The gateway failed; this is a defect of its own.", '
    b'"type": "server_error", "param": null, "code": "internal_error"}}',
)

# Read when a component is built: its memory is kept as it is then.
WEIGHTS = read_weights(EMBEDDED.read_bytes())


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, ms: int) -> None:
        time.sleep(ms / 1000)  # noqa: ASYNC251 - for hosts whose calls block

    def vcpu_ms(self) -> int | None:
        return None


class SystemChance:
    def __init__(self) -> None:
        # Of its own seed: the generator that `random` made at build is the same in every instance.
        self.draw = Random(os.urandom(16)).random  # noqa: S311 - weights, not secrets

    def token(self) -> str:
        return os.urandom(16).hex()


def secret_value(text: str) -> str | None:
    """A secret as it is used: stripped. None for one that cannot stand in a header, such as a
    file's content with line breaks: it is not set."""
    value = text.strip()
    return value if value and value.isascii() and value.isprintable() else None


def content_length(headers: Headers) -> int | None:
    value = headers.get("content-length")
    # Beside chunks, which the host does not show, it may be wrong: what is left then is no JSON.
    if value is None or not (value.isascii() and value.isdigit() and len(value) < 16):
        return None
    return int(value)


def defect_line(error: Exception) -> str:
    """The log's line for a defect of the host. The exception's text may hold a client's words."""
    return json.dumps({"event": "defect", "where": f"{type(error).__name__} in the host"})


def run[T](coroutine: Coroutine[object, None, T]) -> T:
    """The result of a coroutine whose ports never suspend."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    coroutine.close()
    raise RuntimeError("a port of this host suspended")
