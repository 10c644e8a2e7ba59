"""Bodies on Fastly, read and written within a time.

Rules of the platform that shape this module:
- Reading waits for the next bytes, and writing to a client for room, as long as it takes. Only
  `select` gives up, and says when either would not wait.
- A body that breaks off while `select` waits for it looks ended to the next read (under Viceroy).
  What is left of a body then tells: nothing is left after its end, something unknown after a cut.
"""

from collections.abc import Callable

from wit_world.imports import async_io, http_body
from wit_world.imports.async_io import Pollable

from gateway.ports import Cut, Stalled

READ_SIZE = 64 * 1024
WRITE_SIZE = 256 * 1024  # what is passed to the platform is copied first

type LeftMs = Callable[[], int]
"""Milliseconds that are left, at least one."""


def is_ready(pollable: Pollable, within_ms: int) -> bool:
    """Waits until it can be read, written or taken; whether it can."""
    return async_io.select_with_timeout([pollable], within_ms) is not None


def read_within(body: Pollable, within_ms: int) -> bytes:
    """The next bytes; b"" at the end. Raises Stalled, Cut, Err."""
    if not is_ready(body, within_ms):
        raise Stalled
    rest = http_body.get_known_length(body)
    chunk = http_body.read(body, READ_SIZE)
    if not chunk and rest != 0:
        raise Cut
    return chunk


def write_all(body: Pollable, data: bytes, left_ms: LeftMs | None = None) -> None:
    """Writes all of it; the platform may take less at once. Raises Err, as when its reader is gone.

    To a client, `left_ms` bounds how long it may not read. Raises Stalled after that.
    """
    for start in range(0, len(data), WRITE_SIZE):
        piece = data[start : start + WRITE_SIZE]
        while piece:
            if left_ms and not is_ready(body, left_ms()):
                raise Stalled
            piece = piece[http_body.write(body, piece) :]


def read_upload(
    body: Pollable, length: int | None, most: int, drain: int, left_ms: LeftMs
) -> bytes | None:
    """A client's body, or None for one of more than `most` bytes. Raises Stalled, Cut, Err.

    `length` is what its head says. One that says too much is not read at all; of one that does
    not say, `drain` bytes more are read, so that a client that sends it gets to read the answer.
    """
    if length is not None and length > most:
        return None
    parts: list[bytes] = []
    size = 0
    while size != length and (chunk := read_within(body, left_ms())):
        size += len(chunk)
        if size > most + drain:
            break
        if size > most:
            parts.clear()
        else:
            parts.append(chunk)
    if size > most:
        return None
    if length is not None and size != length:
        raise Cut
    return parts[0] if len(parts) == 1 else b"".join(parts)


def drop(body: Pollable) -> None:
    """Lets go of it: one that was written to is cut, as its reader will notice."""
    body.__exit__(None, None, None)
