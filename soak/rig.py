"""What runs during a soak: the fake provider and the gateway, each a process that can be killed."""

import json
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.operator.compile import compile_text
from gateway.operator.listening import is_listening
from gateway.operator.serve import find_component, wasmtime_command
from gateway.operator.stores import DirectoryStore, publish
from soak import script
from soak.judge import Window
from soak.provider import ADDRESSES

HERE = "127.0.0.1"
TOTAL_MS = 8_000
READY_SECONDS = 60
# Where nobody listens, and an address of its own all the same.
GONE_ADDRESS = "127.0.0.99"
_TROUBLE = ("trap", "wasm", "panick")

type Json = dict[str, Any]


class RigError(Exception):
    """Something does not run; the message says what."""


class Killable:
    """A process at an address, and when it was not there."""

    def __init__(self, name: str, command: list[str], address: str, port: int, log: Path) -> None:
        self._name, self._command = name, command
        self._address, self.port = address, port
        self._out, self._err = log.with_suffix(".out"), log.with_suffix(".err")
        self._process: subprocess.Popen[bytes] | None = None
        self._away_since: float | None = None
        self.away: list[Window] = []

    @property
    def pid(self) -> int:
        if self._process is None:
            raise RigError(f"the {self._name} does not run")
        return self._process.pid

    def start(self) -> None:
        """Starts it and waits until it listens. Raises RigError."""
        with self._out.open("ab") as out, self._err.open("ab") as err:
            self._process = subprocess.Popen(self._command, stdout=out, stderr=err)
        deadline = time.monotonic() + READY_SECONDS
        while not is_listening(self._address, self.port):
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RigError(f"the {self._name} does not run: {self.complaints()[-1000:]}")
            time.sleep(0.02)
        if self._away_since is not None:
            # A second more, for what its end has set off.
            self.away.append(Window(self._away_since, time.monotonic() + 1))
            self._away_since = None

    def kill(self) -> None:
        """Ends it at once, as a crash does."""
        if self._process:
            self._away_since = time.monotonic()
            self._process.send_signal(signal.SIGKILL)
            self._process.wait(10)
            self._process = None

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def has_ended(self) -> bool:
        """Whether it was started and has ended by itself."""
        return self._process is not None and self._process.poll() is not None

    def lines(self) -> list[str]:
        return self._out.read_text().splitlines() if self._out.exists() else []

    def complaints(self) -> str:
        return self._err.read_text(errors="replace") if self._err.exists() else ""


class Rig:
    """Both, with their files in `folder`."""

    def __init__(self, folder: Path, seed: int) -> None:
        folder.mkdir(exist_ok=True)
        provider_port, gateway_port = _free_port(ADDRESSES[script.JUDGE_AT]), _free_port(HERE)
        self._journal = folder / "journal"
        compiled = compile_text(policy(provider_port), "soak")
        publish(DirectoryStore(folder / "kv"), compiled.data)
        program = [sys.executable, "-m", "soak.provider"]
        self.provider = Killable(
            "provider",
            [*program, str(provider_port), str(seed), str(self._journal)],
            list(ADDRESSES.values())[-1],
            provider_port,
            folder / "provider",
        )
        command = wasmtime_command(
            find_component(None),
            folder / "kv",
            f"{HERE}:{gateway_port}",
            compiled.policy,
            environment={},
        )
        self.gateway = Killable("gateway", command, HERE, gateway_port, folder / "gateway")

    def start(self) -> None:
        self.provider.start()
        self.gateway.start()

    def end(self) -> None:
        self.gateway.kill()
        self.provider.kill()

    def records(self) -> tuple[list[Json], list[str]]:
        """What the gateway logged; and lines that are no JSON, but for one that a kill cut."""
        found, broken = [], []
        for line in self.gateway.lines():
            try:
                found.append(json.loads(line))
            except ValueError:
                broken.append(line)
        return found, broken

    def journal(self) -> list[Json]:
        """What the provider did."""
        if not self._journal.exists():
            return []
        return [json.loads(line) for line in self._journal.read_text().splitlines()]

    def memory_mb(self) -> float:
        """The resident memory of the gateway's process, in MB."""
        status = Path(f"/proc/{self.gateway.pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kib) * 1024 / 1e6

    def waited(self) -> dict[str, float]:
        """For how long each thread of the gateway was ready to run while others were, in seconds,
        since it began (proc_pid_schedstat)."""
        found: dict[str, float] = {}
        if not self.gateway.is_running:
            return found
        for thread in Path(f"/proc/{self.gateway.pid}/task").iterdir():
            with suppress(OSError):  # it has ended meanwhile
                found[thread.name] = int((thread / "schedstat").read_text().split()[1]) / 1e9
        return found

    def open_upstreams(self) -> int:
        """Connections from the gateway to the provider that are still open."""
        port = f":{self.provider.port:04X}"
        rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        return sum(row[2].endswith(port) and row[3] == "01" for row in rows)


def trouble_in(complaints: str) -> list[str]:
    """The lines that tell of an instance that was trapped, or of a defect of the host."""
    return [
        line for line in complaints.splitlines() if any(word in line.lower() for word in _TROUBLE)
    ]


def policy(port: int) -> str:
    """The policy under test, for providers at this port: deadlines short, all that can fail on."""
    rows = "".join(
        f'[providers.{name}]\ndialect = "{dialect}"\n'
        f'base_url = "http://{ADDRESSES[name]}:{port}/v1"\n'
        for name, dialect in script.PROVIDERS.items()
    )
    return f"""
name = "soak"
default_tier = "balanced"
max_attempts = 4
retries = 1

[headers]
bypass = "allow"
tier = "allow"
direct = "allow"
stream_guard = "allow"

[classifier]
model = "{script.JUDGE_AT}/{script.JUDGE}"
timeout_ms = 700
cooldown_ms = 500

[timeouts]
connect_ms = {script.CONNECT_MS}
first_content_ms = 2500
between_bytes_ms = 2000
total_ms = {TOTAL_MS}

[health]
min_requests = 20
failure_share = 0.6
window_ms = 5000
cooldown_ms = 1000

{rows}
[providers.{script.GONE}]
base_url = "http://{GONE_ADDRESS}:{port}/v1"

[[tiers]]
name = "fast"
description = "Lookups"
targets = [{{ model = "chat1/m", weight = 3 }}, "chat2/m"]

[[tiers]]
name = "balanced"
description = "Writing"
targets = ["claude/m", "chat2/m"]

[[tiers]]
name = "quality"
description = "Depth"
targets = ["resp/m", "gem/m", "claude/m"]

[[tiers]]
name = "reasoning"
description = "Proofs"
targets = [{{ model = "gone/m", weight = 2 }}, "gem/m", "resp/m", "chat1/m"]
"""


def _free_port(address: str) -> int:
    with socket.create_server((address, 0)) as listening:
        port: int = listening.getsockname()[1]
        return port
