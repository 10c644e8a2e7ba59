"""JSON objects read member by member: the first thing wrong is a PolicyError with its path."""

import re
from collections.abc import Callable
from typing import cast

from gateway.core.errors import PolicyError

# What ends in response headers: printable ASCII without spaces.
HEADER_SAFE = re.compile(r"[!-~]+")
_MOST = 2**53  # the largest whole number that every JSON reader holds exactly


class Members:
    """One JSON object, read member by member; `end` refuses what nobody read."""

    def __init__(self, value: object, path: str) -> None:
        if not isinstance(value, dict):
            raise PolicyError(path, "must be an object")
        self._rest: dict[str, object] = dict(value)
        self._path = path

    def at(self, name: str) -> str:
        return f"{self._path}.{name}" if self._path else name

    def take(self, name: str) -> object:
        if name not in self._rest:
            raise PolicyError(self.at(name), "is missing")
        return self._rest.pop(name)

    def text(self, name: str) -> str:
        value = self.take(name)
        if not isinstance(value, str) or not value:
            raise PolicyError(self.at(name), "must be a string with something in it")
        return value

    def word(self, name: str) -> str:
        value = self.text(name)
        if not HEADER_SAFE.fullmatch(value):
            raise PolicyError(self.at(name), "must be printable ASCII without spaces")
        return value

    def optional_text(self, name: str) -> str | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.text(name)

    def optional_texts(self, name: str) -> tuple[str, ...] | None:
        value = self.take(name)
        if value is None:
            return None
        if not isinstance(value, list) or not all(isinstance(item, str) and item for item in value):
            raise PolicyError(self.at(name), "must be a list of strings, or null")
        return tuple(value)

    def flag(self, name: str) -> bool:
        value = self.take(name)
        if not isinstance(value, bool):
            raise PolicyError(self.at(name), "must be true or false")
        return value

    def optional_flag(self, name: str) -> bool | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.flag(name)

    def texts(self, name: str) -> dict[str, str]:
        """An object whose values are strings."""
        value = self.anything(name)
        for key, item in value.items():
            if not isinstance(item, str):
                raise PolicyError(f"{self.at(name)}.{key}", "must be a string")
        return cast(dict[str, str], value)

    def integer(self, name: str, least: int = 0) -> int:
        value = self.take(name)
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= _MOST:
            raise PolicyError(self.at(name), f"must be a whole number from {least} to 2**53")
        return value

    def optional_integer(self, name: str) -> int | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.integer(name)

    def number(self, name: str, least: float = 0, most: float = _MOST) -> float:
        value = self.take(name)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not is_number or not least <= cast(float, value) <= most:
            shown = "2**53" if most == _MOST else most
            raise PolicyError(self.at(name), f"must be a number from {least} to {shown}")
        return float(cast(float, value))

    def optional_number(self, name: str) -> float | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.number(name)

    def choice[T: str](self, name: str, choices: tuple[T, ...]) -> T:
        value = self.take(name)
        for known in choices:
            if known == value:
                return known
        raise PolicyError(self.at(name), f"must be one of {', '.join(choices)}")

    def optional_choice[T: str](self, name: str, choices: tuple[T, ...]) -> T | None:
        if self._rest.get(name, ...) is None:
            self._rest.pop(name)
            return None
        return self.choice(name, choices)

    def anything(self, name: str) -> dict[str, object]:
        value = self.take(name)
        if not isinstance(value, dict):
            raise PolicyError(self.at(name), "must be an object")
        return value

    def member[T](self, name: str, read: Callable[["Members"], T]) -> T:
        return read_members(self.take(name), self.at(name), read)

    def table[T](self, name: str, read: Callable[["Members"], T]) -> dict[str, T]:
        value = self.anything(name)
        path = self.at(name)
        return {key: read_members(item, f"{path}.{key}", read) for key, item in value.items()}

    def array[T](self, name: str, read: Callable[["Members"], T]) -> tuple[T, ...]:
        value = self.take(name)
        if not isinstance(value, list):
            raise PolicyError(self.at(name), "must be an array")
        path = self.at(name)
        return tuple(
            [read_members(item, f"{path}[{index}]", read) for index, item in enumerate(value)]
        )

    def end(self) -> None:
        for name in self._rest:
            raise PolicyError(self.at(name), "is not a member this gateway knows")


def read_members[T](value: object, path: str, read: Callable[[Members], T]) -> T:
    members = Members(value, path)
    result = read(members)
    members.end()
    return result
