"""`python -m bench`: measures, prints the table, says which limits are kept."""

import argparse
import asyncio
import json
import os
import signal
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from bench import fastly
from bench.judge import Figures, Limits, Pair, Translated, judge
from bench.judging import judging_ms
from bench.load import WARM_SECONDS, Load, LoadError, run_wrk
from bench.nginx import CHAT
from bench.payloads import BYPASS, MESSAGES_TIER, RUSH_MESSAGES_TIER, RUSH_TIER, STREAMED, in_tier
from bench.report import conditions, print_table, to_json
from bench.rig import Rig, RigError, missing_tools, running
from bench.streams import RUSHED_EVENTS, SECONDS, StreamError, rushed_streams, timed_streams
from bench.wire import CHAT as CHAT_WIRE
from bench.wire import MESSAGES as MESSAGES_WIRE
from gateway.operator.console import Refused
from gateway.operator.wasmtime import NoWasmtime

MANY = 16  # connections, and streams at once
MOST = 64  # streams, for memory only


def measure(
    folder: Path,
    runtime: fastly.Runtime | None,
    runs: int,
    seconds: int,
    say: Callable[[str], None],
) -> Figures:
    """All figures. Load, streams and translated streams each have a gateway of their own, and begin
    with one at a time. What is measured on Fastly's runtime has two: Viceroy takes CPU time even
    when it is idle.

    A rush makes wasmtime start instances that it then uses in turn: what comes after it is slower
    for a while, and takes more memory.
    """
    with running(folder / "load") as rig:
        latency, throughput, classified = _load(rig, runs, seconds, say)
    with running(folder / "streams") as rig:
        chunks, memory = _streams(rig, runs, say)
    with running(folder / "translated") as rig:
        translated = _translated(rig, runs, say)
    say("requests judged by the embedded classifier")
    with running(folder / "judged", "local") as rig:
        judging = judging_ms(rig, runs)
    on_fastly = None
    if runtime:
        on_fastly = fastly.measure(folder / "fastly", runtime, runs, seconds, say)
    classified_ms = [classified.p50_ms]
    return Figures(
        throughput, latency, classified_ms, judging, chunks, memory, translated, on_fastly
    )


def _load(rig: Rig, runs: int, seconds: int, say: Callable[[str], None]) -> tuple[Pair, Pair, Load]:
    """The p50 at one connection, the throughput at many, and one connection classified."""
    latency, throughput = Pair([], []), Pair([], [])
    gateway = partial(run_wrk, rig.gateway_url, rig.body, BYPASS)
    nginx = partial(run_wrk, rig.nginx_url, rig.body, {})

    def compare(connections: int, pair: Pair, read: Callable[[Load], float]) -> None:
        say(f"wrk, {connections} at a time: {2 * (runs * seconds + WARM_SECONDS)} s")
        for send in (gateway, nginx):
            send(connections=connections, seconds=WARM_SECONDS)
        # A B A B, so that whatever else the machine does hits both.
        for _ in range(runs):
            pair.gateway.append(read(gateway(connections=connections, seconds=seconds)))
            pair.nginx.append(read(nginx(connections=connections, seconds=seconds)))

    compare(1, latency, _p50)
    say(f"wrk, classified: {seconds} s")
    classified = run_wrk(rig.gateway_url, rig.body, {}, connections=1, seconds=seconds)
    compare(MANY, throughput, _per_second)
    return latency, throughput, classified


def _streams(
    rig: Rig, runs: int, say: Callable[[str], None]
) -> tuple[dict[int, Pair], dict[int, float]]:
    """The delays of chunks, and the memory with so many streams open."""
    chunks: dict[int, Pair] = {}
    memory: dict[int, float] = {}
    for count, times in ((1, runs), (MANY, 1)):
        say(f"streams, {count} at a time: {times * 2 * SECONDS:.0f} s")
        pair = Pair([], [])
        for _ in range(times):
            delays, memory[count] = asyncio.run(_gateway_streams(rig, count))
            pair.gateway.extend(delays)
            pair.nginx.extend(
                asyncio.run(timed_streams(rig.nginx_port, f"/stream{CHAT}", {}, count))
            )
        chunks[count] = pair
    say(f"streams, {MOST} at a time: {SECONDS:.0f} s")
    _, memory[MOST] = asyncio.run(_gateway_streams(rig, MOST))
    return chunks, memory


def _translated(rig: Rig, runs: int, say: Callable[[str], None]) -> list[Translated]:
    """Both ways: a client of Anthropic's to a provider of OpenAI's dialect, and the reverse."""
    found: list[Translated] = []
    for client, wire, paced, rushed in (
        ("Anthropic's", MESSAGES_WIRE, STREAMED, in_tier(RUSH_TIER)),
        ("OpenAI's", CHAT_WIRE, in_tier(MESSAGES_TIER), in_tier(RUSH_MESSAGES_TIER)),
    ):
        say(f"streams translated for {client} client: {2 * runs * SECONDS:.0f} s, and rushed ones")
        chunks, cpu_ms = Pair([], []), []
        for _ in range(runs):
            chunks.gateway.extend(
                asyncio.run(timed_streams(rig.gateway_port, wire.path, paced, 1, wire))
            )
            chunks.nginx.extend(asyncio.run(timed_streams(rig.nginx_port, f"/stream{CHAT}", {}, 1)))
        for _ in range(runs):
            before = rig.cpu_ms()
            asyncio.run(rushed_streams(rig.gateway_port, rushed, MANY, wire))
            cpu_ms.append((rig.cpu_ms() - before) / (MANY * RUSHED_EVENTS))
        found.append(Translated(client, chunks, cpu_ms))
    return found


async def _gateway_streams(rig: Rig, count: int) -> tuple[list[float], float]:
    """The delays, and the gateway's memory in the middle of it."""

    async def memory() -> float:
        await asyncio.sleep(SECONDS / 2)
        return rig.memory_mb()

    streams = timed_streams(rig.gateway_port, CHAT, STREAMED, count)
    return await asyncio.gather(streams, memory())


def _per_second(load: Load) -> float:
    return load.per_second


def _p50(load: Load) -> float:
    return load.p50_ms


def main() -> int:
    """The exit code: 1 if it could not measure, or with --strict if a limit is not kept."""
    parser = argparse.ArgumentParser("python -m bench", description="The gateway beside nginx.")
    parser.add_argument(
        "--runs", type=int, default=3, help="of each measurement; the median counts"
    )
    parser.add_argument("--seconds", type=int, default=10, help="of each run")
    parser.add_argument("--json", action="store_true", help="one line of JSON instead of the table")
    parser.add_argument("--strict", action="store_true", help="exit 1 if a limit is not kept")
    options = parser.parse_args()
    if options.runs < 1 or options.seconds < 1:
        parser.error("--runs and --seconds are at least 1")
    if problem := missing_tools():
        print(f"bench: {problem}", file=sys.stderr)
        return 1
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that nothing is left running
    load_before = os.getloadavg()[0]
    try:
        runtime = fastly.find_runtime()
        with tempfile.TemporaryDirectory(prefix="tiergate-bench-") as folder:
            figures = measure(Path(folder), runtime, options.runs, options.seconds, _say)
    except (RigError, LoadError, StreamError, Refused, NoWasmtime) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    lines = judge(figures, Limits())
    viceroy = runtime.viceroy if runtime else None
    at = conditions(options.runs, options.seconds, load_before, viceroy)
    if options.json:
        print(json.dumps(to_json(lines, at)))
    else:
        print_table(lines, at)
    failed = any(line.passed is False for line in lines)
    return 1 if failed and options.strict else 0


def _say(text: str) -> None:
    print(f"bench: {text}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
