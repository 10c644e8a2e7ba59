"""A gateway on Viceroy for a test of Fastly's own, with what it needs set."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.operator.viceroy import find_viceroy
from tests.component.gateways import Gateway
from tests.component.viceroy import AT_ONCE, FastlyHost

needs_viceroy = pytest.mark.skipif(not find_viceroy(), reason="there is no Viceroy")

# A sandbox for each request: each starts with all its memory and time.
ALONE = {**AT_ONCE, "MAX_AGE_SECONDS": -1.0}


@contextmanager
def started(folder: Path, settings: Mapping[str, float] = AT_ONCE) -> Iterator[Gateway]:
    """One with these constants of `gateway.hosts.fastly`. No defect, no trap when it is over."""
    gateway = Gateway(FastlyHost(settings), folder)
    yield gateway
    gateway.stop()
    gateway.check()
