"""Golden folders: one exchange each, as `<client>-<provider>/<case>/`.

case.toml               about: the rule in a sentence; facts: where its facts come from.
                        Optional: status (200), upstream_status (200), model (m-1), ask (the
                        model that the client names, auto), [provider] (columns of the
                        provider's row), [policy] (members of the policy), [headers] (of the
                        answer), [usage] (as in the decision record), retry (the headers of the
                        provider's answer)
client_request.json     what the client sends
upstream_request.json   what its provider must get; without it nothing may be sent
upstream.json|.sse      what the provider answers
client.json|.sse        what the client must get; neither: the same as upstream's, to the byte
"""

import json
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.core.dialects import DIALECTS
from gateway.core.sse import SseDecoder

FOLDER = Path(__file__).parent

type Event = tuple[str | None, object]


@dataclass(frozen=True)
class Case:
    """A folder, read. `client`, `provider`: names of dialects."""

    folder: Path
    client: str
    provider: str
    settings: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.folder.parent.name}/{self.folder.name}"

    @property
    def is_stream(self) -> bool:
        return (self.folder / "upstream.sse").exists() or (self.folder / "client.sse").exists()

    def read(self, name: str) -> bytes | None:
        path = self.folder / name
        return path.read_bytes() if path.exists() else None

    @property
    def upstream(self) -> bytes:
        """The provider's answer; nothing where it is not asked."""
        return self.read("upstream.sse") or self.read("upstream.json") or b""


def load(folder: Path) -> Case:
    pair = folder.parent.name
    client = next(name for name in DIALECTS if pair.startswith(f"{name}-"))
    provider = pair.removeprefix(f"{client}-")
    assert provider in DIALECTS, folder
    return Case(folder, client, provider, tomllib.loads((folder / "case.toml").read_text()))


CASES = [load(path.parent) for path in sorted(FOLDER.glob("*/*/case.toml"))]


def events(stream: bytes) -> list[Event]:
    """Each event that a client sees: its name and its data, parsed where it is JSON."""
    decoder = SseDecoder()
    found: list[Event] = []
    for event in [*decoder.feed(stream), *decoder.finish()]:
        if not event.data:
            continue
        lines = event.raw.decode().splitlines()
        names = [line[6:].strip() for line in lines if line.startswith("event:")]
        try:
            data: object = json.loads(event.data)
        except ValueError:
            data = event.data.decode()
        found.append((names[0] if names else None, data))
    return found
