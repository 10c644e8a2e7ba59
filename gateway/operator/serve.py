"""Runs the component under wasmtime on this machine, with all that it needs beside it.

Rules: secrets reach the guest by name only (`--env NAME`), so that no value is in the process list;
what is started here ends with it; nothing listens beyond loopback unless clients need a key.
"""

import re
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import FrameType
from typing import IO
from urllib.parse import urlsplit

from gateway.core.policy import Policy
from gateway.core.providers import PROVIDERS
from gateway.operator import wasmtime
from gateway.operator.console import Refused
from gateway.operator.fields import is_loopback
from gateway.operator.listening import is_listening, local_url

# Requests an instance serves before it is made anew: making one costs a request 10 to 20 ms, so
# as good as never; what it has learnt in the meantime (the parsed policy) stays.
MAX_INSTANCE_REUSE = 100_000
# Requests at the same time in one instance, wasmtime's own default: an instance is one thread.
MAX_INSTANCE_CONCURRENCY = 16
# How long an idle instance is kept, where wasmtime's default is a second.
IDLE_INSTANCE = "60s"

READY_SECONDS = 60  # A .wasm that is not compiled ahead of time takes 5 to 10.
MOCK_READY_SECONDS = 15
# For requests under way at the end. wasmtime waits for idle instances too, as long as they are
# kept, so this is what Ctrl-C takes once a request was served.
GRACE_SECONDS = 1
MOCK = "mock"
# The name of the clients' key in policies/production.toml and in what `serve` advises: passed on
# though this policy may not ask for it, as one published later may.
CLIENT_KEY = "TIERGATE_KEY"
# Other machines reach the gateway. The guest then refuses a policy without [client] keys, so that
# no later publish or rollback opens to all what was started for holders of a key.
EXPOSED = "TIERGATE_EXPOSED"
_KEPT_LINES = 20


def find_component(given: Path | None) -> Path:
    """The component to run: the given one, or the built one. Raises Refused."""
    if given is not None:
        if not given.is_file():
            raise Refused(f"{given} is not there: `make component` builds build/tiergate.cwasm")
        return given
    built = Path("build/tiergate.cwasm")
    for path in (built, Path(__file__).parents[2] / built):
        if path.is_file():
            return path
    raise Refused(f"{built} is not there: `make component` builds it (or --component PATH)")


def wasmtime_command(
    component: Path,
    kv: Path,
    address: str,
    policy: Policy,
    environment: Mapping[str, str],
    secrets: Iterable[str] = (),
) -> list[str]:
    """The command line that serves at `address`, like 127.0.0.1:8080. `secrets` are names beside
    those of the policy and of known providers. Raises NoWasmtime."""
    rows = (row.key for row in PROVIDERS.values() if row.key)
    names = dict.fromkeys([*policy.secret_names(), *rows, CLIENT_KEY, *secrets])
    known = [name for name in names if environment.get(name) and name != EXPOSED]
    exposed = [] if is_loopback(f"http://{address}") else [f"--env={EXPOSED}=1"]
    return [
        str(wasmtime.find()),
        "serve",
        "--allow-precompiled",
        "-Scli",
        "-Sp3",
        "-Wcomponent-model-async",
        f"--addr={address}",
        f"--dir={kv}::/kv",
        *(f"--env={name}" for name in known),
        *exposed,
        "--no-logging-prefix",
        f"--idle-instance-timeout={IDLE_INSTANCE}",
        f"--max-instance-reuse-count={MAX_INSTANCE_REUSE}",
        f"--max-instance-concurrent-reuse-count={MAX_INSTANCE_CONCURRENCY}",
        str(component),
    ]


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


class Wasmtime:
    """A running wasmtime. Its stdout is ours; the end of its stderr is kept to explain its end."""

    def __init__(self, command: list[str], address: str, port: int) -> None:
        """`port` 0: wasmtime chooses, and says so when it listens."""
        self._address = address
        self.port = port
        self._process = subprocess.Popen(
            command, stderr=subprocess.PIPE, text=True, errors="replace", start_new_session=True
        )
        self._last: deque[str] = deque(maxlen=_KEPT_LINES)
        self._is_ready = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def url(self) -> str:
        """Where this machine reaches it, once `port` is known."""
        return local_url(self._address, self.port)

    def wait_ready(self, stop: Stop) -> str | None:
        """Waits until it answers; what its x-tiergate-policy says. Raises Refused."""
        deadline = time.monotonic() + READY_SECONDS
        problem = "no answer"
        while not stop.is_set():
            self.check()
            if time.monotonic() > deadline:
                raise Refused(f"the gateway is not ready after {READY_SECONDS} s: {problem}")
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
        self._reader.join(1)
        said = "\n  ".join(_without_backtrace(self._last)) or "(it said nothing)"
        hint = ""
        if "compiled with" in said or "incompatible" in said:
            hint = (
                "\nAnother wasmtime compiled it: delete build/tiergate.cwasm and `make component`"
            )
        raise Refused(f"wasmtime ended with exit code {code}:\n  {said}{hint}")

    def end(self) -> None:
        """Ends it: first politely, so that requests under way can finish."""
        self._is_ready = False  # What it says of its own end is of no interest.
        _end(self._process, signal.SIGINT)
        self._reader.join(1)

    def _read(self) -> None:
        stream: IO[str] | None = self._process.stderr
        for line in stream or ():
            self._last.append(line.rstrip())
            if not self.port and (match := re.match(r"Serving HTTP on http://.*:(\d+)/", line)):
                self.port = int(match[1])
            if self._is_ready:
                sys.stderr.write(line)
                sys.stderr.flush()


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
