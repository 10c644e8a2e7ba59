"""The tables of docs/failover.md, made of the catalogue of scenarios.

python -m tests.docs.failover_page          writes them
"""

import re
from pathlib import Path

from tests.component.catalogue import GUARDS, Expected, Group, Scenario, Step, load

PAGE = Path(__file__).parents[2] / "docs/failover.md"
MARKS = re.compile(
    r"(?<=<!-- Made by `python -m tests.docs.failover_page`. -->\n).*(?=<!-- End. -->\n)",
    re.DOTALL,
)


def page() -> str:
    """The whole page as it should be."""
    text = PAGE.read_text()
    assert MARKS.search(text), "the page has no place for its tables"
    return MARKS.sub(lambda _: tables(), text)


def tables() -> str:
    """One table a group."""
    return "".join(_table(group) for group in load())


def _table(group: Group) -> str:
    is_split = any(_cell(each, "content") != _cell(each, "full") for each in group.scenarios)
    guards = GUARDS if is_split else GUARDS[:1]
    names = [f"attempts, `{guard}`" for guard in guards] if is_split else ["attempts"]
    rows = [
        ["what happens", *names],
        ["---"] * (1 + len(guards)),
        *([each.says, *(_cell(each, guard) for guard in guards)] for each in group.scenarios),
    ]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join(["", f"### {group.title}", "", group.intro.strip(), "", *lines, ""])


def _cell(scenario: Scenario, guard: str) -> str:
    if guard not in scenario.guards:
        guard = "content"
    return "; then ".join(_step(step, guard) for step in scenario.steps)


def _step(step: Step, guard: str) -> str:
    expected = step.expected[guard]
    tried = ", ".join(f"{target} `{outcome}`" for target, outcome in expected.outcomes)
    times = f" ({step.times} times)" if step.times > 1 else ""
    return f"{tried}{times}{_end(expected)}"


def _end(expected: Expected) -> str:
    """What the client gets that is not an answer."""
    if expected.breaks:
        return ": a part, then the error event"
    if expected.raises:
        code = f" `{expected.code}`" if expected.code else ""
        return f": {expected.status}{code}"
    return f": {expected.answer}'s" if expected.answer else ""


if __name__ == "__main__":
    PAGE.write_text(page())
