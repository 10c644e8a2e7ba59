"""Tool calls of a format that long had no ids for them, and has no text for their arguments.

Facts: https://ai.google.dev/gemini-api/docs/function-calling. Models before Gemini 3 give no ids:
a result belongs to the call of its name, and among those of one name to the first that has none
yet. Arguments are an object, not text.
"""

import hashlib
import json

from gateway.core import jsontext
from gateway.core.conversation import Json


def made_id(*place: object) -> str:
    """An id for a call without one: the same place and name give the same id again."""
    told = "/".join(map(str, place)).encode("utf-8", "surrogatepass")
    return f"call_{hashlib.sha256(told).hexdigest()[:24]}"


def arguments_text(args: Json) -> str:
    """Raises ValueError on a number that JSON does not have."""
    return json.dumps(args, ensure_ascii=False, allow_nan=False)


def arguments_object(text: str) -> Json | None:
    """None where the text is no JSON object: a model's call may be cut off."""
    if not text:
        return {}
    try:
        found = jsontext.parse_strictly(text.encode("utf-8", "surrogatepass"))
    except jsontext.JsonError:
        return None
    return found if isinstance(found, dict) else None


class OpenCalls:
    """The calls of a conversation that have no result yet, in their order."""

    def __init__(self) -> None:
        self._waiting: list[tuple[str, str]] = []  # id and name
        self._ids: set[str] = set()

    def called(self, id: str, name: str) -> None:
        self._waiting.append((id, name))
        self._ids.add(id)

    def answered(self, id: str | None, name: str) -> str | None:
        """The id of the call that a result is for; None if there is no such call."""
        if id in self._ids:
            self._waiting = [call for call in self._waiting if call[0] != id]
            return id
        for found in self._waiting:
            if found[1] == name:
                self._waiting.remove(found)
                return found[0]
        return None
