"""What holds for all tests. Where there is no Viceroy, those that need it are not run: the summary
says so."""

import pytest
from hypothesis import HealthCheck, settings

from gateway.operator.console import Refused
from gateway.operator.viceroy import need_viceroy

# Property tests: no deadline (two cores, other work beside), nothing stored.
settings.register_profile(
    "tiergate",
    deadline=None,
    database=None,
    max_examples=60,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("tiergate")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line on what was left out, and how to have it run."""
    try:
        need_viceroy()
    except Refused as why:
        line = f"not run: the tests on Viceroy, Fastly's local runtime: {why}"
        terminalreporter.write_line(line, yellow=True)
