"""What is Fastly's own: sandboxes that are used again, named backends, what it costs."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.operator.viceroy import find_viceroy
from gateway.policies import ACTIVE
from tests.component.gateways import HELLO, Gateway, compiled, make_policy
from tests.component.hosts import BUILD
from tests.component.peers import Peer, completion, says, whole
from tests.component.viceroy import FastlyHost

pytestmark = pytest.mark.skipif(not find_viceroy(), reason="there is no Viceroy")

REREAD_SECONDS = 5.0
MAX_SIZE = 25_000_000


SHIPPED: dict[str, float] = {}
ENDURING = {"MAX_VCPU_MS": 1e9, "MAX_AGE_SECONDS": 60.0}  # sandboxes that never have done enough


@pytest.fixture
def gateway(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gateway]:
    """One as it is shipped."""
    made = Gateway(FastlyHost(getattr(request, "param", SHIPPED)), tmp_path)
    yield made
    made.stop()


@pytest.fixture
def good() -> Iterator[Peer]:
    """A provider that answers."""
    with Peer(says(whole(completion()))) as peer:
        yield peer


def _wait_until_it_waits() -> None:
    """A sandbox that has answered takes a moment until it asks for the next request."""
    time.sleep(0.3)


def _sandbox(gateway: Gateway) -> str:
    _wait_until_it_waits()
    return gateway.http.get("/test/sandbox").text


def _policy(gateway: Gateway) -> str:
    _wait_until_it_waits()
    return gateway.chat().headers["x-tiergate-policy"]


@pytest.mark.parametrize("gateway", [ENDURING], indirect=True)
def test_a_change_is_used_within_its_time(gateway: Gateway, good: Peer) -> None:
    """A sandbox that has served goes by what it knows, and by the new policy five seconds on."""
    policy = make_policy({"up": good.url}, "up/a")
    changed = compiled({**policy, "name": "changed"})
    for _ in range(5):  # Viceroy may give a request to another sandbox: then it tells nothing
        gateway.use(policy)
        old = sandbox = _sandbox(gateway)
        while sandbox == old:
            sandbox = _sandbox(gateway)  # a new one: each serves six requests
        seen = [_policy(gateway)]
        _wait_until_it_waits()
        gateway.store.write(ACTIVE, changed)
        seen.append(_policy(gateway))
        time.sleep(REREAD_SECONDS)
        seen.append(_policy(gateway))
        if _sandbox(gateway) == sandbox:
            assert [label.partition("@")[0] for label in seen] == ["e2e", "e2e", "changed"]
            return
    raise AssertionError("no sandbox served all of it")


@pytest.mark.parametrize("gateway", [ENDURING], indirect=True)
def test_sandboxes_are_used_again(gateway: Gateway) -> None:
    """One request after the other is served by the same sandbox, as often as Viceroy lets it."""
    seen = [_sandbox(gateway) for _ in range(18)]
    assert 3 <= len(set(seen)) <= 6


def test_a_request_costs_what_the_platform_allows(gateway: Gateway, good: Peer) -> None:
    """Most small requests stay within the 50 ms of CPU that an execution has."""
    gateway.use(make_policy({"up": good.url}, "up/a"))
    spent = [gateway.record_of(gateway.chat())["vcpu_ms"] for _ in range(20)]
    assert all(isinstance(ms, int) and ms >= 0 for ms in spent)
    assert sorted(spent)[10] < 50


LARGE = [{"role": "user", "content": "word " * 60}] * 4000  # reading it takes 100 ms and more


@pytest.mark.parametrize("gateway", [ENDURING], indirect=True)
def test_the_record_says_what_it_cost(gateway: Gateway, good: Peer) -> None:
    """The decision record has the request's own CPU time, not the sandbox's so far: a small one
    costs little also where a large one has been before it."""
    gateway.use(make_policy({"up": good.url}, "up/a"))

    def cost(messages: object) -> int:
        _wait_until_it_waits()
        body = {"model": "auto", "messages": messages}
        answer = gateway.http.post("/v1/chat/completions", json=body)
        spent: int = gateway.record_of(answer)["vcpu_ms"]
        return spent

    for _ in range(5):  # Viceroy may give a request to another sandbox: then it tells nothing
        sandbox = _sandbox(gateway)
        large, small = cost(LARGE), cost(HELLO)
        if _sandbox(gateway) == sandbox:
            assert large > 20
            assert 0 <= small < large / 2
            return
    raise AssertionError("no sandbox served all of it")


def test_a_declared_backend_is_used(tmp_path: Path, good: Peer) -> None:
    """Where the service declares a backend of a provider's name, no dynamic one is made."""
    with Peer(says(whole(completion("declared")))) as declared:
        authority = good.url.split("/")[2]
        url = declared.url.removesuffix("/v1")
        gateway = Gateway(FastlyHost(backends={authority: url}), tmp_path)
        gateway.use(make_policy({"up": good.url}, "up/a"))
        assert b"declared" in gateway.chat().content
        assert not good.received
        gateway.stop()


def test_the_component_is_small() -> None:
    """The component is under 25 MB: what the platform takes is 100."""
    assert (BUILD / "tiergate-fastly.wasm").stat().st_size < MAX_SIZE
