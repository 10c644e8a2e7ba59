"""The hosts that the suite can run the built gateway on, behind one small protocol.

Rule: nothing outside this module knows which host it is. A host starts the component with a store
of its own and an environment; what runs says where it listens, what it logged and what its host
complained about.
"""

import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Protocol, cast
from urllib.parse import urlsplit

from gateway.core.policy import Policy
from gateway.operator.serve import find_component, wasmtime_command
from gateway.operator.stores import DirectoryStore, PolicyStore

START_SECONDS = 60
BUILD = Path(__file__).parents[2] / "build"


class Running(Protocol):
    """A gateway that answers. `lines` are what it logged, oldest first."""

    address: tuple[str, int]
    store: PolicyStore

    @property
    def lines(self) -> list[str]: ...

    def wait_line(self, after: int, seconds: float) -> bool:
        """Waits until there are more than `after` lines; whether there are."""
        ...

    def complaints(self) -> str:
        """What the host itself said of trouble since it listens; empty if there was none."""
        ...

    def visible(self) -> str:
        """What any user of the machine can see of it: its command line."""
        ...

    def stop(self) -> None:
        """Ends it at once."""
        ...


class Host(Protocol):
    """Something that runs the component."""

    name: str
    max_body: int  # bytes
    sandboxes: int  # that take turns in serving one client

    def artefacts(self) -> list[Path]:
        """The files that are deployed."""
        ...

    def start(self, folder: Path, policy: Policy, environment: Mapping[str, str]) -> Running:
        """Starts it with its store in `folder`, the policy's secrets taken from `environment`."""
        ...


class Output:
    """The lines that a process writes, as they come."""

    def __init__(self, stream: IO[str] | None) -> None:
        assert stream
        self._stream = stream
        self._lines: list[str] = []
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def lines(self) -> list[str]:
        with self._changed:
            return list(self._lines)

    def wait(self, is_there: Callable[[], bool], seconds: float) -> bool:
        """Waits until it is there; whether it is."""
        with self._changed:
            return self._changed.wait_for(is_there, seconds)

    def close(self) -> None:
        """After the process has ended."""
        self._reader.join(10)
        self._stream.close()

    def _read(self) -> None:
        for line in self._stream:
            with self._changed:
                self._lines.append(line)
                self._changed.notify_all()


class WasmtimeHost:
    """`wasmtime serve`, with the flags that `tiergate serve` gives it."""

    name = "wasmtime"
    max_body = 32 * 1024 * 1024
    sandboxes = 1

    def __init__(self, component: Path | None = None) -> None:
        self._component = find_component(component)

    def artefacts(self) -> list[Path]:
        return [self._component, self._component.with_suffix(".wasm")]

    def start(self, folder: Path, policy: Policy, environment: Mapping[str, str]) -> Running:
        folder.mkdir(parents=True, exist_ok=True)
        command = wasmtime_command(self._component, folder, "127.0.0.1:0", policy, environment)
        return _Wasmtime(command, environment, DirectoryStore(folder))


class _Wasmtime:
    def __init__(
        self, command: list[str], environment: Mapping[str, str], store: PolicyStore
    ) -> None:
        self.store = store
        self._process = subprocess.Popen(
            command,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        self._out = Output(self._process.stdout)
        self._err = Output(self._process.stderr)
        self.address = self._listening()

    @property
    def lines(self) -> list[str]:
        return self._out.lines()

    def wait_line(self, after: int, seconds: float) -> bool:
        return self._out.wait(lambda: len(self.lines) > after, seconds)

    def complaints(self) -> str:
        return "".join(self._err.lines()[1:])

    def visible(self) -> str:
        return " ".join(map(str, cast(list[str], self._process.args)))

    def stop(self) -> None:
        self._process.kill()  # politely it would wait for its idle instances
        self._process.wait(10)
        self._out.close()
        self._err.close()

    def _listening(self) -> tuple[str, int]:
        """Where it says that it listens: its first line, since we let it choose the port."""
        said = self._err.wait(lambda: bool(self._err.lines()), START_SECONDS)
        if not said or "http://" not in self._err.lines()[0]:
            time.sleep(0.2)  # the rest of its last words
            self.stop()
            raise AssertionError(f"wasmtime does not start: {self._err.lines()}")
        parts = urlsplit(self._err.lines()[0].split()[-1])
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port
