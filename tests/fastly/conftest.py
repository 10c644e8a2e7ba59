"""Fastly's SDK as its stubs have it, for the parts of the host that no runtime can be asked for."""

import importlib
import sys
from collections.abc import Callable, Iterator
from types import ModuleType

import pytest

from tests.component.conftest import new_peer as new_peer  # noqa: PLC0414 - a fixture
from tests.component.hosts import BUILD

STUBS = BUILD / "bindings-fastly"

type Import = Callable[[str], ModuleType]


@pytest.fixture
def stubbed(monkeypatch: pytest.MonkeyPatch) -> Iterator[Import]:
    """Imports a module of the host or of the SDK, for this test alone."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(STUBS))
    yield importlib.import_module
    for name in set(sys.modules) - before:
        del sys.modules[name]
