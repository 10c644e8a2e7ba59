"""The tables of docs/dialects.md: what a client of each dialect can ask, and which provider's
dialect carries it. Made of what the dialects declare."""

from gateway.core.dialect import Dialect
from gateway.core.dialects import DIALECTS
from gateway.core.features import PARAMETERS, Feature

BEGIN, END = "<!-- pairs -->", "<!-- end of pairs -->"


def with_tables(page: str) -> str:
    """The page with its tables made anew between their marks."""
    head, _, rest = page.partition(BEGIN)
    _, _, tail = rest.partition(END)
    return f"{head}{BEGIN}\n\n{tables()}\n{END}{tail}"


def tables() -> str:
    return "\n".join([_table(client) for client in DIALECTS.values()])


def _table(client: Dialect) -> str:
    others = [dialect for dialect in DIALECTS.values() if dialect is not client]
    rows = [
        f"### A client of `{client.name}`\n",
        f"| asks for | {' | '.join(f'`{other.name}`' for other in others)} | may be left out |",
        f"|---|{'---|' * len(others)}---|",
    ]
    for feature in Feature:
        if feature in client.asks:
            cells = ["yes" if feature in other.carries else "no" for other in others]
            droppable = "yes" if feature in PARAMETERS and "no" in cells else ""
            rows.append(f"| {feature} | {' | '.join(cells)} | {droppable} |")
    return "\n".join([*rows, ""])
