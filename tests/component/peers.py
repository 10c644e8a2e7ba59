"""Fake peers: providers of a few lines that send exactly the bytes a test says, when it says so.

A script is called with each connection after its request was read; what it does not send or close
is closed for it when it returns.
"""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came, header names in lower case."""

    line: str
    headers: list[tuple[str, str]]
    body: bytes

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.headers if key == name]

    def json(self) -> Any:  # noqa: ANN401 - a JSON body
        return json.loads(self.body)


class Connection:
    """The peer's end of a connection, and the request that came over it."""

    request: Received

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.gone_at: float | None = None

    def send(self, *pieces: bytes, pause: float = 0.0) -> None:
        """Each piece in a write of its own."""
        for number, piece in enumerate(pieces):
            if number and pause:
                time.sleep(pause)
            self._sock.sendall(piece)

    def reset(self) -> None:
        """Breaks the connection off with RST."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def wait_gone(self, seconds: float) -> bool:
        """Waits until the other side closes; whether it did."""
        self._sock.settimeout(seconds)
        try:
            while self._sock.recv(4096):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        self.gone_at = time.monotonic()
        return True

    def read_request(self) -> Received | None:
        """The next request, or None when there is no more."""
        data = b""
        while b"\r\n\r\n" not in data:
            got = self._sock.recv(65536)
            if not got:
                return None
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        line, *rows = head.decode("latin-1").split("\r\n")
        pairs = [row.split(":", 1) for row in rows]
        headers = [(name.lower(), value.strip()) for name, value in pairs]
        length = int(dict(headers).get("content-length", "0"))
        while len(body) < length:
            got = self._sock.recv(1 << 20)
            if not got:
                return None
            body += got
        return Received(line, headers, body)


type Script = Callable[[Connection], None]


@dataclass
class Peer:
    """A listening peer. `trouble` are the exceptions of its scripts that were not about sockets."""

    script: Script
    address: str = "127.0.0.1"
    received: list[Received] = field(default_factory=list)
    accepted: int = 0
    trouble: list[Exception] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listening = socket.create_server((self.address, 0), backlog=128)
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._closing = False
        self._accepter = threading.Thread(target=self._accept, daemon=True)
        self._accepter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing = True
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        self._accepter.join(10)
        for sock in list(self._open):
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(10)
        assert not self.trouble, self.trouble

    @property
    def url(self) -> str:
        """Its base URL as a provider."""
        return f"http://{self.address}:{self._listening.getsockname()[1]}/v1"

    def _accept(self) -> None:
        while not self._closing:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            self._open.add(sock)
            thread = threading.Thread(target=self._serve, args=(sock,), daemon=True)
            thread.start()
            self._threads.append(thread)

    def _serve(self, sock: socket.socket) -> None:
        connection = Connection(sock)
        try:
            if request := connection.read_request():
                self.received.append(request)
                connection.request = request
                self.script(connection)
        except OSError:
            pass
        except Exception as error:  # noqa: BLE001 - raised again in the test's own thread
            self.trouble.append(error)
        finally:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
            self._open.discard(sock)


def says(*pieces: bytes, pause: float = 0.0) -> Script:
    """A script that sends these pieces and closes."""
    return lambda connection: connection.send(*pieces, pause=pause)


@contextmanager
def refusing() -> Iterator[str]:
    """The base URL of a port that is taken and refuses connections."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}/v1"


# --- Bytes -------------------------------------------------------------------


def head(status: int = 200, headers: Mapping[str, str] | None = None) -> bytes:
    """A response's head."""
    lines = [f"HTTP/1.1 {status} Whatever"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def whole(
    body: bytes, status: int = 200, *, cut: int = 0, headers: Mapping[str, str] | None = None
) -> bytes:
    """A response with its content-length; the last `cut` bytes are missing."""
    named = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **(headers or {}),
    }
    return head(status, named) + body[: len(body) - cut]


SSE_HEAD = head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"})
LAST_CHUNK = b"0\r\n\r\n"


def framed(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


def dumps(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def completion(text: str = "Hello.", **more: object) -> bytes:
    """A whole answer."""
    return dumps(
        {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 1,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            **more,
        }
    )


def data(value: object, end: bytes = b"\n\n") -> bytes:
    """One event."""
    return b"data: " + dumps(value) + end


def delta(text: str | None = None, finish: str | None = None, index: int = 0) -> dict[str, Any]:
    """One `chat.completion.chunk`."""
    content = {} if text is None else {"content": text}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": index, "delta": content, "finish_reason": finish}],
    }


DONE = b"data: [DONE]\n\n"


def stream_of(*texts: str) -> list[bytes]:
    """The events of a whole stream."""
    return [*(data(delta(text)) for text in texts), data(delta(finish="stop")), DONE]
