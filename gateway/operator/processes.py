"""What the `serve` commands start: a host of the gateway, and the mock provider beside it.

Rule: what is started here ends with the command that started it.
"""

import signal
import subprocess
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from types import FrameType
from typing import IO, ClassVar
from urllib.parse import urlsplit

from gateway.core.policy import Policy
from gateway.operator.console import Refused
from gateway.operator.fields import is_loopback
from gateway.operator.listening import is_listening, local_url

MOCK_READY_SECONDS = 15
# For requests under way at the end. wasmtime waits for idle instances too, as long as they are
# kept, so this is what Ctrl-C takes once a request was served.
GRACE_SECONDS = 1
MOCK = "mock"
_KEPT_LINES = 20


class Stop:
    """Set by Ctrl-C, SIGTERM and a closed terminal, from when it is made.

    A plain flag: a threading.Event set by a signal handler deadlocks with a wait it interrupts.
    """

    def __init__(self) -> None:
        self._is_set = False
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self._is_set = True

    def is_set(self) -> bool:
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Sleeps, then says whether it is set. Signals do not wake it: keep it short."""
        time.sleep(seconds)
        return self._is_set


class HostProcess(ABC):
    """A running host of the gateway. The end of what it says is kept to explain its own end."""

    name: ClassVar[str]
    # None: it has ours. PIPE, if lines of its own there have to be told from the gateway's.
    stdout: ClassVar[int | None] = None
    # What to do about its last words, by a part of them.
    hints: ClassVar[Mapping[str, str]] = {}
    ready_seconds: ClassVar[int] = 60  # A .wasm that is not compiled ahead of time takes 5 to 10.

    def __init__(self, command: list[str], address: str, port: int) -> None:
        """`port` 0: the host chooses, and `take` hears which."""
        self._address = address
        self.port = port
        self._process = subprocess.Popen(
            command,
            stdout=self.stdout,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._is_ready = False
        streams = (self._process.stdout, self._process.stderr)
        self._readers = [
            threading.Thread(target=self._read, args=[stream], daemon=True)
            for stream in streams
            if stream
        ]
        for reader in self._readers:
            reader.start()

    @property
    def url(self) -> str:
        """Where this machine reaches it, once `port` is known."""
        return local_url(self._address, self.port)

    def wait_ready(self, stop: Stop) -> str | None:
        """Waits until it answers; what its x-tiergate-policy says. Raises Refused."""
        deadline = time.monotonic() + self.ready_seconds
        problem = "no answer"
        while not stop.is_set():
            self.check()
            if time.monotonic() > deadline:
                raise Refused(f"the gateway is not ready after {self.ready_seconds} s: {problem}")
            if self.port:
                try:
                    status, policy, body = _ask_readyz(self.url)
                except (OSError, HTTPException) as error:
                    problem = str(error) or type(error).__name__
                else:
                    if status == 200:
                        self._is_ready = True
                        return policy
                    problem = f"/readyz answers {status}: {body[:500]}"
            stop.wait(0.02)
        return None

    def check(self) -> None:
        """Raises Refused, with its last words, if it has ended."""
        if (code := self._process.poll()) is None:
            return
        self._join()
        said = "\n  ".join(_without_backtrace(self._last)) or "(it said nothing)"
        hint = next((f"\n{todo}" for words, todo in self.hints.items() if words in said), "")
        raise Refused(f"{self.name} ended with exit code {code}:\n  {said}{hint}")

    def end(self) -> None:
        """Ends it: first politely, so that requests under way can finish."""
        self._is_ready = False  # What it says of its own end is of no interest.
        _end(self._process, signal.SIGINT)
        self._join()

    @abstractmethod
    def take(self, line: str) -> bool:
        """Hears a line. True: it is dealt with, and none of the host's own words."""

    def own_words(self, lines: Iterator[str]) -> Iterator[str]:
        """What to keep and show of the lines of one stream that `take` has left."""
        return lines

    def _read(self, stream: IO[str]) -> None:
        for line in self.own_words(line for line in stream if not self.take(line)):
            self._last.append(line.rstrip())
            if self._is_ready:
                sys.stderr.write(line)
                sys.stderr.flush()

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(1)


def _ask_readyz(url: str) -> tuple[int, str | None, str]:
    """Status, x-tiergate-policy and body of /readyz."""
    connection = HTTPConnection(urlsplit(url).netloc, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        return answer.status, answer.getheader("x-tiergate-policy"), answer.read().decode()
    finally:
        connection.close()


def _without_backtrace(lines: deque[str]) -> list[str]:
    kept = list(lines)
    return kept[: kept.index("Stack backtrace:")] if "Stack backtrace:" in kept else kept


def _end(process: "subprocess.Popen[str]", number: signal.Signals) -> None:
    for attempt in (number, signal.SIGTERM, signal.SIGKILL):
        if process.poll() is not None:
            return
        process.send_signal(attempt)
        try:
            process.wait(GRACE_SECONDS)
        except subprocess.TimeoutExpired:
            continue


class Mock:
    """The mock provider as a child process, unless somebody listens there already."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        parts = urlsplit(base_url)
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port or 80
        self.is_needed = not is_listening(self._host, self._port)
        self._process: subprocess.Popen[str] | None = None
        if self.is_needed:
            # Not by the command line: this starts in half the time.
            program = f"from gateway.operator.mock import run; run({self._host!r}, {self._port})"
            self._process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=subprocess.DEVNULL,  # Ours is for decision records.
                text=True,
                start_new_session=True,
            )

    def wait_ready(self, stop: Stop) -> None:
        """Waits until it listens. Raises Refused."""
        deadline = time.monotonic() + MOCK_READY_SECONDS
        while self._process and not stop.is_set() and not is_listening(self._host, self._port):
            if self.has_ended() or time.monotonic() > deadline:
                raise Refused(f"the mock provider does not start at {self.base_url}")
            stop.wait(0.05)

    def has_ended(self) -> bool:
        """Whether it was started here and is no more."""
        return self._process is not None and self._process.poll() is not None

    def end(self) -> None:
        if self._process:
            _end(self._process, signal.SIGTERM)


@contextmanager
def mock_beside(policy: Policy) -> Iterator[Mock | None]:
    """The mock provider for as long as this lasts, if the policy has one on this machine."""
    row = policy.providers.get(MOCK)
    mock = Mock(row.base_url) if row and is_loopback(row.base_url) else None
    try:
        yield mock
    finally:
        if mock:
            mock.end()
