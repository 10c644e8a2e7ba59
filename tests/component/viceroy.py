"""Fastly Compute on this machine: Viceroy, running the component with the tests' door.

Viceroy compiles the component each time it starts, for seconds, so one that a test has left serves
the next: its store is emptied and its sandboxes are told to forget (`tests/guests/fastly_door.py`).
"""

import atexit
import json
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

import httpx

from gateway.core.policy import Policy
from gateway.operator.policystore import PolicyStore
from gateway.operator.viceroy import CLIENT_LEFT, find_viceroy, with_known_panics_in_brief
from tests.component.hosts import BUILD, Output, Running

SHIPPED = BUILD / "tiergate-fastly.wasm"
DOOR = BUILD / "tiergate-fastly-door.wasm"
START_SECONDS = 300  # a busy machine takes minutes to compile it
LOGGED = "tiergate :: "


class DoorStore:
    """The store of a running gateway, through its door."""

    is_public = False

    def __init__(self, http: httpx.Client) -> None:
        self._http = http

    def read(self, key: str) -> bytes | None:
        answer = self._http.get(f"/test/kv/{key}")
        return answer.content if answer.status_code == 200 else None

    def write(self, key: str, value: bytes) -> None:
        assert self._http.put(f"/test/kv/{key}", content=value).status_code == 200

    def delete(self, key: str) -> None:
        assert self._http.delete(f"/test/kv/{key}").status_code == 200

    def keys(self, prefix: str) -> list[str]:
        found: list[str] = self._http.get(f"/test/keys/{prefix}").json()["data"]
        return sorted(found)

    def written(self, key: str) -> datetime | None:  # noqa: ARG002 - Viceroy does not say
        return None


class Viceroy:
    """One process, and who uses it."""

    def __init__(self, component: Path, config: str, environment: Mapping[str, str]) -> None:
        viceroy = find_viceroy()
        assert viceroy, "run `make viceroy`"
        self.environment = dict(environment)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.address: tuple[str, int] = probe.getsockname()
        self._folder = tempfile.TemporaryDirectory(prefix="tiergate-viceroy-")
        self.config = config
        manifest = Path(self._folder.name) / "fastly.toml"
        manifest.write_text(config)
        address = f"{self.address[0]}:{self.address[1]}"
        command = [str(viceroy), "serve", str(component), "-C", str(manifest), "--addr", address]
        self._process = subprocess.Popen(
            command,
            env={**environment, "PATH": "", "RUST_BACKTRACE": "0"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self.command = command
        self.output = Output(self._process.stdout)
        self.http = httpx.Client(base_url=f"http://{address}", timeout=30, trust_env=False)
        atexit.register(self.end)
        self._wait_ready()

    def end(self) -> None:
        self.http.close()
        self._process.kill()
        self._process.wait(10)
        self.output.close()
        self._folder.cleanup()

    def _wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                if self.http.get("/test/sandbox").status_code in {200, 404}:
                    return
            except httpx.TransportError:
                pass
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"Viceroy does not start: {self.output.lines()}")
            time.sleep(0.1)


_idle: list[Viceroy] = []
_generations = iter(range(1, 1_000_000))


# A published policy is used at once, as elsewhere.
AT_ONCE = MappingProxyType({"REREAD_SECONDS": 0.0})


class FastlyHost:
    """Viceroy."""

    name = "fastly"
    max_body = 8 * 1024 * 1024
    sandboxes = 5

    def __init__(
        self, settings: Mapping[str, float] = AT_ONCE, backends: Mapping[str, str] | None = None
    ) -> None:
        """`settings`: constants of `gateway.hosts.fastly`. `backends`: those that the service
        declares, their URLs by name."""
        self._settings = settings
        self._backends = dict(backends or {})

    def artefacts(self) -> list[Path]:
        return [SHIPPED]

    def start(self, folder: Path, policy: Policy, environment: Mapping[str, str]) -> Running:
        # Viceroy gets the environment as a whole; a sandbox sees what the policy names.
        secrets = [name for name in policy.secret_names() if name in environment]
        config = _config(secrets, self._backends)
        fitting = [one for one in _idle if (one.config, one.environment) == (config, environment)]
        if fitting:
            _idle.remove(fitting[0])
        viceroy = fitting[0] if fitting else Viceroy(DOOR, config, environment)
        return _Fastly(viceroy, folder, self._settings)


class _Fastly:
    """A gateway that remembers nothing, until it is stopped. Its store outlives it in `folder`."""

    def __init__(self, viceroy: Viceroy, folder: Path, settings: Mapping[str, float]) -> None:
        self._viceroy = viceroy
        self._kept = folder / "kv.json"
        folder.mkdir(parents=True, exist_ok=True)
        self.address = viceroy.address
        self.store: PolicyStore = DoorStore(viceroy.http)
        for key in self.store.keys(""):
            self.store.delete(key)
        if self._kept.exists():
            for key, value in json.loads(self._kept.read_text()).items():
                self.store.write(key, value.encode("latin-1"))
        self.store.write("test/settings", json.dumps(dict(settings)).encode())
        self.store.write("test/generation", str(next(_generations)).encode())
        self._since = len(viceroy.output.lines())

    @property
    def lines(self) -> list[str]:
        return [
            line.removeprefix(LOGGED)
            for line in self._viceroy.output.lines()[self._since :]
            if line.startswith(LOGGED)
        ]

    def wait_line(self, after: int, seconds: float) -> bool:
        return self._viceroy.output.wait(lambda: len(self.lines) > after, seconds)

    def complaints(self) -> str:
        said = (
            line
            for line in self._viceroy.output.lines()[self._since :]
            if not line.startswith(LOGGED)
        )
        others = with_known_panics_in_brief(said)
        return "".join(line for line in others if not line.startswith(CLIENT_LEFT))

    def visible(self) -> str:
        return " ".join([*self._viceroy.command, self._viceroy.config])

    def stop(self) -> None:
        kept = {
            key: (self.store.read(key) or b"").decode("latin-1")
            for key in self.store.keys("")
            if not key.startswith("test/")
        }
        self._kept.write_text(json.dumps(kept))
        _idle.append(self._viceroy)


def _config(names: Iterable[str], backends: Mapping[str, str]) -> str:
    """A manifest for Viceroy: an empty store, and secrets by the names of their variables."""
    secrets = ", ".join(
        f"{{ key = {json.dumps(name)}, env = {json.dumps(name)} }}" for name in names
    )
    return "\n".join(
        [
            "manifest_version = 3",
            'language = "other"',
            "[local_server.kv_stores]",
            'tiergate = [{ key = "test/generation", data = "0" }]',
            "[local_server.secret_stores]",
            f"tiergate-secrets = [{secrets}]",
            *(
                f"[local_server.backends.{json.dumps(name)}]\nurl = {json.dumps(url)}"
                for name, url in backends.items()
            ),
        ]
    )
