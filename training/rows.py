"""Labelled requests: what is in the files, and the excerpt that the gateway would make of each."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zlib import crc32

from gateway.core.classifier.excerpt import Excerpt
from gateway.core.policy import LEVELS
from gateway.operator.requests_file import read_excerpt

DATA = Path(__file__).parent / "data"
TEST_SHARE = 10  # one row in so many is never trained on


@dataclass(frozen=True, slots=True)
class Row:
    """A request and its level, as a number from 0. `group`: the file or the source it is from;
    what shares an author or a source shares a group."""

    id: str
    level: int
    group: str
    lang: str
    kind: str
    excerpt: Excerpt

    @property
    def is_test(self) -> bool:
        return crc32(self.id.encode()) % TEST_SHARE == 0


def natural() -> list[Row]:
    """The requests that were written to the rubric."""
    return [
        _row(values, path.stem, values["kind"])
        for path in sorted((DATA / "natural").glob("*.jsonl"))
        for values in _lines(path)
    ]


def sources(*, by_source: bool = False) -> list[Row]:
    """Requests of public datasets whose level by the rubric is that of all requests of their
    dataset; `by_source`: all, with their dataset's level."""
    rows = list(_lines(DATA / "sources.jsonl"))
    if by_source:
        rows = [{**values, "tier": values["by_source"]} for values in rows]
    else:
        rows = [values for values in rows if values["tier"] == values["by_source"]]
    return [_row(values, values["source"], "source") for values in rows]


def _row(values: dict[str, Any], group: str, kind: str) -> Row:
    excerpt = read_excerpt(values)
    if excerpt is None:
        raise ValueError(f"{values['id']} has no text")
    return Row(
        values["id"], LEVELS.index(values["tier"]), group, values.get("lang", "en"), kind, excerpt
    )


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)


def split(rows: Iterable[Row]) -> tuple[list[Row], list[Row]]:
    """What is trained on, and what is not."""
    listed = list(rows)
    return [row for row in listed if not row.is_test], [row for row in listed if row.is_test]
