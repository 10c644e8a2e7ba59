"""One gateway and one mock provider for most tests of a worker; new ones where state matters."""

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.operator.mock import create_server
from gateway.operator.viceroy import find_viceroy
from tests.component.gateways import Gateway, make_policy
from tests.component.hosts import Host, WasmtimeHost
from tests.component.peers import Peer, Script
from tests.component.providers import DIALECTS, Provider, Said
from tests.component.viceroy import FastlyHost

type NewGateway = Callable[[], Gateway]
type NewPeer = Callable[[Script], Peer]
type Behind = Callable[..., Provider]


class Mock:
    """The mock provider, as the tests drive it."""

    def __init__(self, address: str) -> None:
        self.url = f"{address}/v1"
        self.http = httpx.Client(base_url=address, timeout=10, trust_env=False)

    def order(self, model: str, fault: str | list[str], times: int | None = None) -> None:
        """Break a model from now on; a list is taken in turn."""
        body = {"fault": fault} if times is None else {"fault": fault, "times": times}
        assert self.http.put(f"/mock/faults/{model}", json=body).status_code == 200

    def received(self) -> int:
        """How many requests it has seen."""
        count: int = self._requests(1)["received"]
        return count

    def last(self, count: int = 1) -> list[dict[str, Any]]:
        """The last requests it has seen, newest at the end."""
        requests: list[dict[str, Any]] = self._requests(count)["requests"]
        return requests

    def of(self, model: str) -> list[dict[str, Any]]:
        """All requests of this model that it remembers."""
        params: dict[str, str | int] = {"model": model, "last": 256}
        answer = self.http.get("/mock/requests", params=params).json()
        requests: list[dict[str, Any]] = answer["requests"]
        return requests

    def ended(self, model: str, seconds: float = 8) -> str | None:
        """How its last answer ended, once it has."""
        deadline = time.monotonic() + seconds
        while (ended := self.of(model)[-1]["ended"]) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        found: str | None = ended
        return found

    def heal(self) -> None:
        """No fault any more."""
        for model in self.http.get("/mock/faults").json()["models"]:
            self.http.delete(f"/mock/faults/{model}")

    def _requests(self, last: int) -> dict[str, Any]:
        value: dict[str, Any] = self.http.get("/mock/requests", params={"last": last}).json()
        return value


HOSTS: list[Host] = [WasmtimeHost(), *([FastlyHost()] if find_viceroy() else [])]


@pytest.fixture(scope="session", params=HOSTS, ids=lambda host: host.name)
def host(request: pytest.FixtureRequest) -> Host:
    """The host that this run is about."""
    found: Host = request.param
    return found


@pytest.fixture(scope="session")
def _shared(host: Host, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    made = Gateway(host, tmp_path_factory.mktemp("kv"))
    yield made
    made.stop()


@pytest.fixture
def gateway(_shared: Gateway) -> Iterator[Gateway]:
    """A gateway that other tests have used; each test publishes the policy it needs."""
    yield _shared
    _shared.check()


@pytest.fixture
def new_gateway(host: Host, tmp_path: Path) -> Iterator[NewGateway]:
    """Starts gateways that remember nothing."""
    made: list[Gateway] = []

    def start() -> Gateway:
        made.append(Gateway(host, tmp_path / f"kv{len(made)}"))
        return made[-1]

    yield start
    for one in made:
        one.stop()
    for one in made:
        one.check()


@pytest.fixture
def fresh(new_gateway: NewGateway) -> Gateway:
    """A gateway of the test's own."""
    return new_gateway()


@pytest.fixture(scope="session")
def _mock() -> Iterator[Mock]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.2", 0))
        server = create_server("127.0.0.2", 0)
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(sockets=[listening])), daemon=True
        )
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        mock = Mock(f"http://127.0.0.2:{listening.getsockname()[1]}")
        yield mock
        mock.http.close()
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def mock(_mock: Mock) -> Iterator[Mock]:
    """The mock provider, whole again after the test."""
    yield _mock
    _mock.heal()


@pytest.fixture
def new_peer() -> Iterator[NewPeer]:
    """Starts fake peers."""
    made: list[Peer] = []

    def start(script: Script) -> Peer:
        made.append(Peer(script).__enter__())
        return made[-1]

    yield start
    for peer in made:
        peer.__exit__()


@pytest.fixture(params=DIALECTS)
def dialect(request: pytest.FixtureRequest) -> str:
    """The dialect of the provider behind the gateway."""
    found: str = request.param
    return found


@pytest.fixture
def behind(gateway: Gateway, new_peer: NewPeer, dialect: str) -> Behind:
    """Puts one provider behind the gateway, which says these answers in its dialect."""

    def start(*answers: Said | bytes, **fields: object) -> Provider:
        provider = Provider(new_peer, dialect, *answers)
        gateway.use(make_policy({provider.name: provider.row}, provider.target, **fields))
        return provider

    return start
