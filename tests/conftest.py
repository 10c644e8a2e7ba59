"""Where there is no Viceroy, the tests that need it are not run: the summary says so."""

import pytest

from gateway.operator.viceroy import find_viceroy


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line on what was left out, and how to have it run."""
    if find_viceroy() is None:
        terminalreporter.write_line(
            "not run: the tests on Viceroy, Fastly's local runtime;"
            " `make viceroy` installs it (10-20 minutes, once a machine)",
            yellow=True,
        )
