"""The hosts that the suite can run the built gateway on, behind one small protocol.

Rule: nothing outside this module knows which host it is. A host starts the component with a store
of its own and an environment; what runs says where it listens, what it logged and what its host
complained about.
"""

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Protocol, cast
from urllib.parse import urlsplit

from gateway.core.policy import Policy
from gateway.operator.serve import find_component, wasmtime_command
from gateway.operator.stores import DirectoryStore, PolicyStore

START_SECONDS = 60


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

    def artefacts(self) -> list[Path]:
        """The files that are deployed."""
        ...

    def start(self, folder: Path, policy: Policy, environment: Mapping[str, str]) -> Running:
        """Starts it with its store in `folder`, the policy's secrets taken from `environment`."""
        ...


class WasmtimeHost:
    """`wasmtime serve`, with the flags that `tiergate serve` gives it."""

    name = "wasmtime"

    def artefacts(self) -> list[Path]:
        component = find_component(None)
        return [component, component.with_suffix(".wasm")]

    def start(self, folder: Path, policy: Policy, environment: Mapping[str, str]) -> Running:
        folder.mkdir(parents=True, exist_ok=True)
        command = wasmtime_command(find_component(None), folder, "127.0.0.1:0", policy, environment)
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
        self._out: list[str] = []
        self._err: list[str] = []
        self._changed = threading.Condition()
        assert self._process.stdout
        assert self._process.stderr
        self._readers = [
            threading.Thread(target=self._read, args=pair, daemon=True)
            for pair in ((self._process.stdout, self._out), (self._process.stderr, self._err))
        ]
        for reader in self._readers:
            reader.start()
        self.address = self._listening()

    @property
    def lines(self) -> list[str]:
        with self._changed:
            return list(self._out)

    def wait_line(self, after: int, seconds: float) -> bool:
        with self._changed:
            return self._changed.wait_for(lambda: len(self._out) > after, seconds)

    def complaints(self) -> str:
        with self._changed:
            return "".join(self._err[1:])

    def visible(self) -> str:
        return " ".join(map(str, cast(list[str], self._process.args)))

    def stop(self) -> None:
        self._process.kill()  # politely it would wait for its idle instances
        self._process.wait(10)
        for reader in self._readers:
            reader.join(10)
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()

    def _listening(self) -> tuple[str, int]:
        """Where it says that it listens: its first line, since we let it choose the port."""
        with self._changed:
            said = self._changed.wait_for(lambda: bool(self._err), START_SECONDS)
        if not said or "http://" not in self._err[0]:
            time.sleep(0.2)  # the rest of its last words
            self.stop()
            raise AssertionError(f"wasmtime does not start: {''.join(self._err)}")
        parts = urlsplit(self._err[0].split()[-1])
        assert parts.hostname
        assert parts.port
        return parts.hostname, parts.port

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line)
                self._changed.notify_all()
