"""The tables of docs/tiers.md, made of training/figures.json.

python -m tests.docs.tiers_page          writes them
"""

import json
import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tiers.md"
FIGURES = ROOT / "training" / "figures.json"
SHOWN = {
    "test split": "requests written to the rubric, test split",
    "left out: authors": "the same, left out by author",
    "left out: datasets": "public datasets, by the rubric, left out",
    "left out: datasets by own labels": "public datasets, by their own labels, left out",
    "  majority": "always the commonest level (test split)",
    "  length": "length alone (test split)",
    "  LiteLLM complexity router": "LiteLLM's complexity router (test split)",
    "  UncommonRoute": "UncommonRoute (test split)",
}
LEANS = {
    "  lean -1.0": "-1",
    "  lean -0.5": "-0.5",
    "test split": "0",
    "  lean +0.5": "0.5",
    "  lean +1.0": "1",
}


def page() -> str:
    """The page as it should be."""
    figures = json.loads(FIGURES.read_text())["figures"]
    worth = _table(
        ["", "requests", "macro-F1", "AUC", "under", "over", "calibration error"],
        [
            [title, f"{each['rows']:,}", _f1(each), _f1(each, "auc"), *_rest(each)]
            for name, title in SHOWN.items()
            for each in [figures[name]]
        ],
    )
    leans = _table(
        ["`lean`", "macro-F1", "under", "over"],
        [[title, _f1(figures[name]), *_rest(figures[name])[:2]] for name, title in LEANS.items()],
    )
    text = PAGE.read_text()
    for name, table in (("figures", worth), ("leans", leans)):
        pattern = rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)"
        text = re.sub(pattern, table.replace("\\", "\\\\"), text, flags=re.DOTALL)
    return text


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(line) + " |\n" for line in lines)


def _f1(figures: dict[str, Any], name: str = "macro_f1") -> str:
    return "" if figures[name] is None else f"{figures[name]:.2f}"


def _rest(figures: dict[str, Any]) -> list[str]:
    names = ("under_of_hard", "over_of_easy", "calibration")
    return ["" if figures[each] is None else f"{100 * figures[each]:.1f} %" for each in names]


if __name__ == "__main__":
    PAGE.write_text(page())
