"""A small soak: the built gateway under faults, killed and restarted with its provider."""

from collections import Counter
from pathlib import Path

import pytest

from gateway.operator.console import Refused
from gateway.operator.serve import find_component
from soak.__main__ import KILLS, Options, soak
from soak.judge import DEAD, ERROR, LEFT, RIGHT
from soak.report import print_table, to_json

REQUESTS, WARM = 150, 30


def test_a_small_soak(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every request ends in its right answer, an honest error, or a connection error while the
    gateway is dead; the report says of each how it ended, and the seed to have it again."""
    try:
        find_component(None)
    except Refused as error:
        pytest.skip(str(error))
    said: list[str] = []
    # Other tests run beside it: a busy machine is no defect.
    options = Options(REQUESTS, WARM, 16, seed=11, wait=0, down=0.2, slack=9)
    run = soak(tmp_path, options, said.append)
    assert run.verdict.violations == []
    ends: Counter[str] = Counter()
    for (_, end), count in run.verdict.ends.items():
        ends[end] += count
    assert ends.total() == REQUESTS + WARM
    assert min(ends[end] for end in (RIGHT, ERROR, LEFT)) > 0
    assert run.verdict.records >= ends.total() - ends[DEAD] - ends[LEFT]
    assert {name for _, name in KILLS} == {
        line.split()[1] for line in said if line.endswith("killed")
    }
    assert to_json(run)["ok"] is True
    print_table(run)
    printed = capsys.readouterr().out
    assert "--seed 11" in printed
    assert "pass: 180 requests" in printed
