"""Throughput and latency by wrk."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WARM_SECONDS = 2  # of load, before what counts
_SCRIPT = Path(__file__).with_name("chat.lua")


class LoadError(Exception):
    """Not every request was answered well, so that the figures mean nothing."""


@dataclass(frozen=True, slots=True)
class Load:
    """What one run of wrk measured."""

    per_second: float
    p50_ms: float
    p99_ms: float


def run_wrk(
    url: str, body: Path, headers: Mapping[str, str], *, connections: int, seconds: int
) -> Load:
    """Sends that body again and again for some seconds. Raises LoadError."""
    command = ["wrk", "--threads=1", f"--connections={connections}", f"--duration={seconds}s"]
    arguments = [str(body), *(f"{name}={value}" for name, value in headers.items())]
    ran = subprocess.run(
        [*command, "--script", str(_SCRIPT), url, "--", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds + 30,
    )
    if ran.returncode:
        raise LoadError(f"wrk ended with exit code {ran.returncode}: {ran.stderr or ran.stdout}")
    return read_wrk(ran.stdout, url)


def read_wrk(output: str, url: str) -> Load:
    """What chat.lua printed at the end. Raises LoadError."""
    found = json.loads(output.splitlines()[-1])
    requests, bad, broken = found["requests"], found["bad_status"], found["broken"]
    if bad or broken or not requests:
        raise LoadError(
            f"{url}: of {requests} answers {bad} had a status of 400 or above;"
            f" {broken} connections broke or timed out"
        )
    return Load(requests / found["seconds"], found["p50_ms"], found["p99_ms"])
