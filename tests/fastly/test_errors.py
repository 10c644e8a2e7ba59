"""Every error of Fastly's SDK is one of the ports' named failures."""

from types import ModuleType

import pytest

from gateway.ports import Silent, TransportError, Unreachable
from tests.fastly.conftest import Import


@pytest.fixture
def modules(stubbed: Import) -> tuple[ModuleType, ModuleType, ModuleType]:
    """The host's module, and the SDK's that define errors: its stubs."""
    return (
        stubbed("gateway.hosts.fastly_errors"),
        stubbed("wit_world.imports.http_req"),
        stubbed("wit_world.imports.types"),
    )


def _variants(module: ModuleType, prefix: str) -> set[type]:
    return {value for name, value in vars(module).items() if name.startswith(prefix)}


def test_the_table_is_complete(modules: tuple[ModuleType, ModuleType, ModuleType]) -> None:
    """Each way in which a request can fail has its row, and no row is of anything else."""
    errors, http_req, types = modules
    expected = _variants(http_req, "SendErrorDetail_") | _variants(types, "Error_")
    assert len(expected) > 30
    assert set(errors.FAILURES) == expected
    assert all(issubclass(failure, TransportError) for failure in errors.FAILURES.values())


def test_the_detail_counts(modules: tuple[ModuleType, ModuleType, ModuleType]) -> None:
    """Where the platform says more than that it failed, that decides."""
    errors, http_req, types = modules
    timeout = http_req.SendErrorDetail_HttpResponseTimeout()
    generic = types.Error_GenericError()
    assert isinstance(errors.failure_of(http_req.ErrorWithDetail(timeout, generic)), Silent)
    assert isinstance(errors.failure_of(http_req.ErrorWithDetail(None, generic)), Unreachable)
    assert isinstance(errors.failure_of(generic), Unreachable)


def test_the_time_counts_where_nothing_is_said(
    modules: tuple[ModuleType, ModuleType, ModuleType],
) -> None:
    """A failure without a detail that came when the time was up is silence; one with is itself."""
    errors, http_req, types = modules
    generic = types.Error_GenericError()
    unsaid = http_req.ErrorWithDetail(None, generic)
    refused = http_req.ErrorWithDetail(http_req.SendErrorDetail_ConnectionTimeout(), generic)
    assert isinstance(errors.failure_of(unsaid, is_late=True), Silent)
    assert isinstance(errors.failure_of(generic, is_late=True), Silent)
    assert isinstance(errors.failure_of(refused, is_late=True), Unreachable)


def test_few_backends(stubbed: Import) -> None:
    """Timeouts are rounded up to a few values, each a backend of its own: by a tenth at most."""
    rounded = stubbed("gateway.hosts.fastly_backends").rounded
    steps = {rounded(ms) for ms in range(100, 120_000)}
    assert len(steps) < 80
    assert all(ms <= rounded(ms) <= 1.1 * ms + 1 for ms in range(100, 120_000))
    assert rounded(1) == 100
