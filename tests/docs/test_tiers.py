"""docs/tiers.md: its figures are those that were measured, its words those of the gateway."""

import re

from gateway.core.policy import CLASSIFIER_MODES, LEVELS
from tests.docs.tiers_page import PAGE, page


def test_the_figures_are_those_recorded() -> None:
    """`make reference` writes the tables; nobody else does."""
    assert PAGE.read_text() == page()


def test_every_level_and_mode_is_explained() -> None:
    """Each has its row, and there is no other."""
    rows = re.findall(r"^\| `(\w+)` \|", PAGE.read_text(), re.MULTILINE)
    assert rows == [*LEVELS, "local", "hybrid", "model", "off", "lean"]
    assert set(rows[len(LEVELS) : -1]) == set(CLASSIFIER_MODES)
