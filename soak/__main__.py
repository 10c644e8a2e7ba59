"""`python -m soak`: a load under faults, then a table and whether everything held."""

import argparse
import asyncio
import json
import secrets
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.operator.console import Refused
from gateway.operator.wasmtime import NoWasmtime
from soak.clients import Seen, run_clients
from soak.judge import SLACK_SECONDS, Judge
from soak.report import Memory, Run, print_table, to_json
from soak.rig import TOTAL_MS, Rig, RigError, trouble_in

# Which of the two is killed when so much of the load has ended.
KILLS = (
    (0.15, "provider"),
    (0.3, "gateway"),
    (0.45, "provider"),
    (0.6, "gateway"),
    (0.75, "provider"),
)
# Reads that nobody waits for end with their request's deadline, and a client's leaving is noticed
# at a write: after this nothing of a request may be left.
SETTLE_SECONDS = 12


@dataclass(frozen=True, slots=True)
class Options:
    """`wait`: seconds after the load until memory is looked at again; 0: it is not. `down`: seconds
    for which what was killed is not there. `slack`: as the judge's."""

    requests: int
    warm: int
    connections: int
    seed: int
    wait: int
    down: float = 0.7
    slack: float = SLACK_SECONDS


def soak(folder: Path, options: Options, say: Callable[[str], None]) -> Run:
    """The whole run. Raises RigError, Refused, NoWasmtime."""
    rig = Rig(folder, options.seed)
    began = time.monotonic()
    seen: list[Seen] = []
    try:
        rig.start()
        warm = range(options.requests, options.requests + options.warm)
        say(f"warm-up: {len(warm)} requests")
        asyncio.run(_load(rig, warm, options, seen.append))
        memory = rig.memory_mb()
        say(f"load: {options.requests} requests, {memory:.0f} MB")
        asyncio.run(_load_with_kills(rig, options, seen, say))
        at_end = rig.memory_mb()
        more: list[str] = []
        later: float | None = None
        say(f"the load has ended, {at_end:.0f} MB; waiting {options.wait} s")
        ended = time.monotonic()
        while (left := rig.open_upstreams()) and time.monotonic() - ended < SETTLE_SECONDS:
            time.sleep(0.2)
        if left:
            more.append(f"{left} connections to the provider are left open")
        if options.wait:
            time.sleep(max(0, ended + options.wait - time.monotonic()))
            later = rig.memory_mb()
        for process, name in ((rig.gateway, "gateway"), (rig.provider, "provider")):
            if process.has_ended():
                more.append(f"the {name} has ended by itself")
    finally:
        rig.end()
    records, broken = rig.records()
    verdict = Judge(
        options.seed,
        records,
        rig.journal(),
        rig.gateway.away,
        rig.provider.away,
        options.slack,
    ).judge(seen)
    figures = Memory(memory, at_end, later)
    # A kill may cut the line that is being written, one each time.
    if len(broken) > len(rig.gateway.away):
        more.append(f"{len(broken)} lines of the log are no JSON: {broken[0][:200]}")
    more += [f"the gateway's host says: {line}" for line in trouble_in(rig.gateway.complaints())]
    more += [f"the provider fails: {line}" for line in rig.provider.complaints().splitlines()[-1:]]
    if problem := figures.problem():
        more.append(problem)
    verdict.violations += more
    waits: dict[str, list[float]] = {}
    for one in seen:
        if one.how == "whole":
            waits.setdefault(one.asked.kind, []).append(one.seconds)
    late = sum(one.late for one in seen) / max(1, sum(one.seconds for one in seen))
    return Run(options.seed, time.monotonic() - began, verdict, figures, late, waits)


async def _load(rig: Rig, numbers: range, options: Options, take: Callable[[Seen], None]) -> None:
    await run_clients(rig.gateway.port, options.seed, numbers, options.connections, TOTAL_MS, take)


async def _load_with_kills(
    rig: Rig, options: Options, seen: list[Seen], say: Callable[[str], None]
) -> None:
    before, total = len(seen), options.requests
    load = asyncio.create_task(_load(rig, range(total), options, seen.append))
    kills = list(KILLS)
    told = time.monotonic()
    while not load.done():
        await asyncio.sleep(0.05)
        done = len(seen) - before
        if kills and done >= kills[0][0] * total:
            name = kills.pop(0)[1]
            process = rig.gateway if name == "gateway" else rig.provider
            say(f"{done}: {name} killed")
            await asyncio.to_thread(process.kill)
            await asyncio.sleep(options.down)
            await asyncio.to_thread(process.start)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            memory = f"{rig.memory_mb():.0f} MB" if rig.gateway.is_running else "down"
            say(f"{done} of {total}, {memory}, {rig.open_upstreams()} upstreams")
    await load


def main() -> int:
    """The exit code: 1 if anything did not hold, or it could not run."""
    parser = argparse.ArgumentParser("python -m soak", description="The gateway under faults.")
    parser.add_argument("--requests", type=int, default=5_000, help="beside those of the warm-up")
    parser.add_argument("--warm", type=int, default=400, help="requests before memory counts")
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--seed", type=int, help="of a run to have again; by chance if not given")
    parser.add_argument("--wait", type=int, default=70, help="seconds until memory is looked at")
    parser.add_argument(
        "--slack", type=float, default=SLACK_SECONDS, help="seconds beyond a request's deadline"
    )
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of the table")
    parser.add_argument("--keep", type=Path, help="a folder for logs, which stay there")
    given = parser.parse_args()
    if min(given.requests, given.connections) < 1:
        parser.error("--requests and --connections are at least 1")
    seed = secrets.randbelow(1_000_000) if given.seed is None else given.seed
    options = Options(
        given.requests, given.warm, given.connections, seed, given.wait, slack=given.slack
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    _say(f"--seed {seed}")
    try:
        with tempfile.TemporaryDirectory(prefix="tiergate-soak-") as folder:
            run = soak(given.keep or Path(folder), options, _say)
    except (RigError, Refused, NoWasmtime) as error:
        print(f"soak: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if given.json:
        print(json.dumps(to_json(run)))
    else:
        print_table(run)
    return 0 if run.is_good else 1


def _say(text: str) -> None:
    print(f"soak: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
