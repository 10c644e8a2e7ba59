"""The contract of the ports, the same on every host: the checks run where the gateway would."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Protocol

import httpx
import pytest

from gateway.hosts.common import run
from gateway.hosts.memory import MemoryLog, memory_ports
from gateway.operator.viceroy import find_viceroy
from tests.cannot import lack
from tests.component.gateways import naming
from tests.component.hosts import BUILD, Running, WasmtimeHost
from tests.component.peers import Peer
from tests.component.viceroy import AT_ONCE, FastlyHost
from tests.guests.checks import CHECKS, LINE, On, run_check
from tests.ports.provider import canned, provider

SECRETS = {
    "CHECK_PLAIN": "plain",
    "CHECK_PADDED": "  padded\n",
    "CHECK_LINES": "-----BEGIN\nKEY-----",
    "CHECK_BLANK": "  ",
}
FASTLY: dict[str, Mapping[str, float]] = {
    "fastly": AT_ONCE,
    "fastly's bare store": AT_ONCE,
    # Of a sandbox for each check, which ends before a provider may be silent for as long as asked.
    "fastly, late": {**AT_ONCE, "MAX_AGE_SECONDS": -1.0, "MAX_RUN_SECONDS": 4.0},
}
HOSTS = ["memory", "wasmtime", *(FASTLY if find_viceroy() else [])]


class Tried(Protocol):
    """A host to run checks on."""

    name: str

    def run(self, name: str, authority: str) -> str:
        """ "ok", or what is wrong."""
        ...

    def wait_for_line(self, line: str) -> bool: ...


class _Memory:
    name = "memory"

    def __init__(self) -> None:
        self._ports = memory_ports(upstreams=[canned] * 100, secrets=SECRETS, draws=(0.1, 0.9) * 25)

    def run(self, name: str, authority: str) -> str:
        return run(run_check(name, On(self._ports, self._ports.kv, authority)))

    def wait_for_line(self, line: str) -> bool:
        assert isinstance(self._ports.log, MemoryLog)
        return line in self._ports.log.lines


class _Guest:
    def __init__(self, name: str, running: Running, suffix: str = "") -> None:
        self.name = name
        self._running = running
        self._suffix = suffix
        host, port = running.address
        self._url = f"http://{host}:{port}/test/check/"

    def run(self, name: str, authority: str) -> str:
        url = f"{self._url}{name}{self._suffix}"
        return httpx.post(url, content=authority, timeout=60, trust_env=False).text

    def wait_for_line(self, line: str) -> bool:
        while line not in "".join(self._running.lines):
            if not self._running.wait_line(len(self._running.lines), 5):
                return False
        return True


@pytest.fixture(scope="module", params=HOSTS)
def tried(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tried]:
    """Each host in turn."""
    folder: Path = tmp_path_factory.mktemp("kv")
    if request.param == "memory":
        yield _Memory()
        return
    settings = FASTLY.get(request.param)
    host = FastlyHost(settings) if settings else WasmtimeHost(BUILD / "tiergate-door.cwasm")
    running = host.start(folder, naming(SECRETS), SECRETS)
    yield _Guest(host.name, running, "/raw" if request.param.endswith("bare store") else "")
    running.stop()


@pytest.fixture(scope="module")
def authority() -> Iterator[str]:
    """Where the provider of the checks listens."""
    with Peer(provider) as peer:
        yield peer.url.removeprefix("http://").removesuffix("/v1")


@pytest.mark.parametrize("name", CHECKS)
def test_contract(tried: Tried, authority: str, name: str) -> None:
    """What the check's name says holds on this host, unless the table says that it cannot."""
    said = tried.run(name, authority)
    assert (said == "ok") is (lack(tried.name, name) is None), said
    if name == "a_line_is_logged":
        assert tried.wait_for_line(LINE)
