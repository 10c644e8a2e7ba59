"""docs/failover.md says what the catalogue of scenarios says, and that one has everything."""

from gateway.core.outcomes import Outcome
from gateway.operator.mock.faults import describe
from tests.component.catalogue import load
from tests.docs.failover_page import PAGE, page

SCENARIOS = [scenario for group in load() for scenario in group.scenarios]
# What a mock provider of one dialect cannot show; each has tests of its own.
ELSEWHERE = {Outcome.REFUSED, Outcome.TOO_LARGE, Outcome.DEADLINE}


def test_the_tables_are_those_of_the_catalogue() -> None:
    """`make reference` writes what stands there."""
    assert PAGE.read_text() == page()


def test_every_outcome_has_a_scenario() -> None:
    """However an attempt can end, a scenario ends so."""
    shown = {
        outcome
        for scenario in SCENARIOS
        for step in scenario.steps
        for expected in step.expected.values()
        for _, outcome in expected.outcomes
    }
    assert shown == set(Outcome) - ELSEWHERE


def test_every_fault_has_a_scenario() -> None:
    """What the mock provider can be told to do wrong is done to the gateway, too."""
    specs = [
        spec
        for scenario in SCENARIOS
        for step in scenario.steps
        for fault in step.faults.values()
        for spec in ([fault] if isinstance(fault, str) else fault)
    ]
    specs += [scenario.judge for scenario in SCENARIOS if scenario.judge]
    used = {item.partition("=")[0] for spec in specs for item in spec.split(",")}
    assert used == {name.partition("=")[0] for name in describe()}


def test_streams_are_played_under_both_guards() -> None:
    """The catalogue is large enough to be worth its name."""
    assert len(SCENARIOS) >= 45
    assert sum(scenario.stream for scenario in SCENARIOS) >= 45
