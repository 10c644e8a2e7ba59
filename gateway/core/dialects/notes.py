"""What is found while a client's request is read: the features it uses, and what has no neutral
form, each by the client's own name of it."""

from collections.abc import Container, Mapping

from gateway.core.conversation import Json
from gateway.core.features import Feature

_NO_VALUES: dict[str, tuple[object, ...]] = {}


class Notes:
    """The first member that asks for a feature is the one that is named."""

    def __init__(self) -> None:
        self.uses: dict[Feature, str] = {}
        self._others: dict[str, bool] = {}

    def use(self, feature: Feature, path: str) -> None:
        self.uses.setdefault(feature, path)

    def other(self, path: str) -> None:
        """Something said or wanted that no other dialect has words for."""
        self._others[path] = False

    def setting(self, path: str) -> None:
        """The same, of which the answer is still one to this request if it is left out."""
        self._others.setdefault(path, True)

    @property
    def others(self) -> tuple[str, ...]:
        return tuple(self._others)

    @property
    def extras(self) -> frozenset[str]:
        return frozenset([path for path, is_extra in self._others.items() if is_extra])

    def rest(
        self,
        values: Json,
        known: Container[str],
        path: str = "",
        nothing: Mapping[str, tuple[object, ...]] = _NO_VALUES,
    ) -> None:
        """Members that are not known: nobody can say whether they may be left out. `nothing`:
        values by which a member asks for nothing."""
        for name, value in values.items():
            if value is not None and name not in known and value not in nothing.get(name, ()):
                self.setting(f"{path}.{name}" if path else name)
