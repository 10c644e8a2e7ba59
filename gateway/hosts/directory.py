"""A store in a directory: a key is a file. Written whole or not at all, seen by the next read."""

import os
from contextlib import suppress

from gateway.ports import UNCHANGED, Entry, KvUnavailable, Stamp, Unchanged


class DirectoryKv:
    """KvStore under `root`. A stamp is time, size and inode: a replaced file has another inode."""

    def __init__(self, root: str) -> None:
        self._root = root

    async def get(self, key: str, unless: Stamp | None = None) -> Entry | Unchanged | None:
        path = f"{self._root}/{key}"
        try:
            found = os.stat(path)
            stamp = (found.st_mtime_ns, found.st_size, found.st_ino)
            if stamp == unless:
                return UNCHANGED
            with open(path, "rb") as file:
                return Entry(file.read(), stamp)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError:
            raise KvUnavailable from None

    async def put(self, key: str, value: bytes) -> None:
        path = f"{self._root}/{key}"
        draft = f"{path}.{os.urandom(8).hex()}"
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(draft, "wb") as file:
                file.write(value)
            os.replace(draft, path)
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise KvUnavailable from None

    async def delete(self, key: str) -> None:
        try:
            os.unlink(f"{self._root}/{key}")
        except FileNotFoundError:
            return
        except OSError:
            raise KvUnavailable from None
