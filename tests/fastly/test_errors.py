"""Every error of Fastly's SDK is one of the ports' named failures."""

import importlib
import sys
from collections.abc import Iterator
from types import ModuleType

import pytest

from gateway.ports import Silent, TransportError, Unreachable
from tests.component.hosts import BUILD

STUBS = BUILD / "bindings-fastly"


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModuleType, ModuleType, ModuleType]]:
    """The host's module, and the SDK's that define errors: its stubs."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(STUBS))
    yield (
        importlib.import_module("gateway.hosts.fastly_http"),
        importlib.import_module("wit_world.imports.http_req"),
        importlib.import_module("wit_world.imports.types"),
    )
    for name in set(sys.modules) - before:
        del sys.modules[name]


def _variants(module: ModuleType, prefix: str) -> set[type]:
    return {value for name, value in vars(module).items() if name.startswith(prefix)}


def test_the_table_is_complete(modules: tuple[ModuleType, ModuleType, ModuleType]) -> None:
    """Each way in which a request can fail has its row, and no row is of anything else."""
    http, http_req, types = modules
    expected = _variants(http_req, "SendErrorDetail_") | _variants(types, "Error_")
    assert len(expected) > 30
    assert set(http.FAILURES) == expected
    assert all(issubclass(failure, TransportError) for failure in http.FAILURES.values())


def test_the_detail_counts(modules: tuple[ModuleType, ModuleType, ModuleType]) -> None:
    """Where the platform says more than that it failed, that decides."""
    http, http_req, types = modules
    timeout = http_req.SendErrorDetail_HttpResponseTimeout()
    generic = types.Error_GenericError()
    assert isinstance(http.failure_of(http_req.ErrorWithDetail(timeout, generic)), Silent)
    assert isinstance(http.failure_of(http_req.ErrorWithDetail(None, generic)), Unreachable)
    assert isinstance(http.failure_of(generic), Unreachable)


@pytest.mark.parametrize(
    ("ms", "rounded"), [(1, 1000), (1000, 1000), (1001, 2000), (60_000, 64_000), (110_000, 128_000)]
)
def test_few_backends(
    modules: tuple[ModuleType, ModuleType, ModuleType], ms: int, rounded: int
) -> None:
    """Timeouts are rounded up to a few values: each is a backend of its own."""
    assert modules[0]._rounded(ms) == rounded
