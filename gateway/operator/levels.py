"""How commands show the probabilities of the levels."""

from collections.abc import Mapping

from rich.table import Table

from gateway.core.classifier.model import Judgement
from gateway.core.policy import LEVELS

BAR = 30  # characters of a certainty


def shares_of(judgement: Judgement) -> dict[str, float]:
    """The probability of each level, in four digits."""
    shares = [round(share, 4) for share in judgement.probabilities]
    return dict(zip(LEVELS, shares, strict=True))


def shares_table(shares: Mapping[str, float], level: str) -> Table:
    """Each level with its probability and a bar of it; `level` is the one that was chosen."""
    table = Table(box=None, pad_edge=False, show_header=False)
    for each, share in shares.items():
        style = "bold" if each == level else ""
        table.add_row(each, f"{share:.2f}", "#" * round(BAR * share), style=style)
    return table
