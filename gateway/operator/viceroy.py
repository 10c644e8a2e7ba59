"""Runs the component under Viceroy, Fastly's local runtime.

Rules: what Viceroy finds in its KV Store are the bytes that `policy publish` writes; its
configuration names secrets and has no value of one.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

from gateway.operator.console import Refused
from gateway.operator.fastly import KV_LINK, LOG_ENDPOINT, SECRETS_LINK
from gateway.operator.policystore import StoreError, check_key
from gateway.operator.processes import HostProcess

# The one list of places where it is looked for.
_SCRIPT = Path(__file__).parents[2] / "scripts" / "viceroy.sh"


def find_viceroy() -> Path | None:
    """The Viceroy to use, or None: $VICEROY, PATH, what `make viceroy` has installed."""
    asked = _ask_script()
    return None if asked.returncode else Path(asked.stdout.strip())


def need_viceroy() -> Path:
    """The Viceroy to use. Raises Refused."""
    asked = _ask_script()
    if asked.returncode:
        raise Refused(asked.stderr.strip())
    return Path(asked.stdout.strip())


def _ask_script() -> "subprocess.CompletedProcess[str]":
    return subprocess.run(["/bin/sh", _SCRIPT], capture_output=True, text=True, check=False)


class SeedStore:
    """A JSON file of keys and texts: what a KV Store of Viceroy has in it at the start."""

    is_public = False

    def __init__(self, file: Path) -> None:
        self.file = file

    def __str__(self) -> str:
        return f"Viceroy's KV Store {KV_LINK}"

    def read(self, key: str) -> bytes | None:
        text = self._texts().get(key)
        return None if text is None else text.encode()

    def write(self, key: str, value: bytes) -> None:
        check_key(key)
        self._replace({**self._texts(), key: value.decode()})

    def delete(self, key: str) -> None:
        self._replace({name: text for name, text in self._texts().items() if name != key})

    def keys(self, prefix: str) -> list[str]:
        return sorted(key for key in self._texts() if key.startswith(prefix))

    def written(self, key: str) -> datetime | None:  # noqa: ARG002 - the file does not say
        return None

    def _texts(self) -> dict[str, str]:
        try:
            texts: dict[str, str] = json.loads(self.file.read_bytes())
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise StoreError(f"cannot read {self.file}: {error.strerror}") from None
        return texts

    def _replace(self, texts: dict[str, str]) -> None:
        draft = self.file.with_name(f".{self.file.name}")
        try:
            draft.write_text(json.dumps(texts), "utf-8")
            draft.replace(self.file)
        except OSError as error:
            raise StoreError(f"cannot write {self.file}: {error.strerror}") from None


def manifest(seed: Path, secrets: Iterable[str]) -> str:
    """Viceroy's configuration, a fastly.toml. `secrets`: names of variables of its environment."""
    # JSON's strings are TOML's, as long as nothing outside of ASCII is escaped.
    items = [f"{{ key = {json.dumps(name)}, env = {json.dumps(name)} }}" for name in secrets]
    return (
        "manifest_version = 3\n"
        f"\n[local_server.kv_stores.{KV_LINK}]\n"
        f"file = {json.dumps(str(seed), ensure_ascii=False)}\n"
        'format = "json"\n'
        f"\n[local_server.secret_stores]\n{SECRETS_LINK} = [{', '.join(items)}]\n"
    )


def viceroy_command(viceroy: Path, component: Path, config: Path, address: str) -> list[str]:
    """The command line that serves at `address`, like 127.0.0.1:8080."""
    return [str(viceroy), "serve", str(component), "-C", str(config), "--addr", address]


# What it panics with (0.22) when a client leaves, and what of that concerns anyone.
CLIENT_LEFT = "Viceroy: a client has left"
_HARMLESS = {
    "response receiver is open": f"{CLIENT_LEFT} before its answer\n",
    "Failed to buffer known-size body": f"{CLIENT_LEFT} before its request was whole\n",
}
_PANIC = re.compile(r"thread .* panicked at ")
_BACKTRACE = re.compile(r"stack backtrace:|note: |\s+(\d+: |at )")


def with_known_panics_in_brief(lines: Iterable[str]) -> Iterator[str]:
    """The lines, with one in place of a known panic and its backtrace.

    Everything else stays whole: other panics, and a trap right behind a known one.
    """
    held: list[str] = []  # an empty line, a panic's first line: the next one says which panic
    is_in_backtrace = False
    for line in lines:
        if held and _PANIC.match(held[-1]):
            brief = next(
                (said for words, said in _HARMLESS.items() if line.startswith(words)), None
            )
            yield from [brief] if brief else [*held, line]
            held, is_in_backtrace = [], brief is not None
        elif is_in_backtrace and _BACKTRACE.match(line):
            continue
        elif not line.strip() or _PANIC.match(line):
            held.append(line)
            is_in_backtrace = False
        else:
            yield from [*held, line]
            held, is_in_backtrace = [], False
    yield from held


class Viceroy(HostProcess):
    """A running Viceroy. The gateway's log goes to our stdout, Viceroy's own words to stderr."""

    name = "Viceroy"
    stdout = subprocess.PIPE
    ready_seconds = 180  # It compiles the component each time, on a busy machine for a minute.

    def take(self, line: str) -> bool:
        record = line.removeprefix(f"{LOG_ENDPOINT} :: ")
        if record == line:
            return False
        with suppress(OSError):  # Nobody reads it any more; Viceroy must not be kept waiting.
            sys.stdout.write(record)
            sys.stdout.flush()
        return True

    def own_words(self, lines: Iterator[str]) -> Iterator[str]:
        return with_known_panics_in_brief(lines)
