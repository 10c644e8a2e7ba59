"""How soon a gateway answers."""

import time
from pathlib import Path

import pytest

from tests.component.conftest import Mock
from tests.component.gateways import Gateway, judged
from tests.component.hosts import Host

READY_SECONDS = 1.0


@pytest.mark.parametrize("first", ["readyz", "chat"])
def test_ready_at_once(host: Host, mock: Mock, tmp_path: Path, first: str) -> None:
    """From the start of its process to its first answer is less than a second, best of three."""
    took: list[float] = []
    for number in range(3):
        before = Gateway(host, tmp_path / str(number))
        before.use(judged(mock.url))
        before.stop()
        started = time.monotonic()
        gateway = Gateway(host, tmp_path / str(number))
        try:
            answer = gateway.http.get("/readyz") if first == "readyz" else gateway.chat()
            took.append(time.monotonic() - started)
            assert answer.status_code == 200
        finally:
            gateway.stop()
    assert min(took) < READY_SECONDS
