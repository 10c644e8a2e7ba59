"""References in a request to what one provider keeps: an earlier answer, a file, a cache.

Only that provider can follow them, so they are good for a model asked for by name. They are looked
for where dialects have them and nowhere else: a tool's arguments may have members of any name.
"""

from collections.abc import Callable, Collection

from gateway.core.conversation import Json


def first_of(values: Json, names: Collection[str]) -> str | None:
    """The first of these members that is there."""
    return next((name for name in names if values.get(name) is not None), None)


def find(
    value: object,
    path: str,
    inside: Collection[str],
    refers: Callable[[Json], str | None],
    *,
    depth: int = 6,
) -> str | None:
    """The path of the first member that refers to something kept. `inside`: the members in which
    more of it may lie; `refers` names the member of an object that does."""
    if depth == 0:
        return None
    if isinstance(value, list):
        for number, item in enumerate(value):
            if found := find(item, f"{path}[{number}]", inside, refers, depth=depth):
                return found
    elif isinstance(value, dict):
        if name := refers(value):
            return f"{path}.{name}"
        for name in inside:
            if name in value and (
                found := find(value[name], f"{path}.{name}", inside, refers, depth=depth - 1)
            ):
                return found
    return None
