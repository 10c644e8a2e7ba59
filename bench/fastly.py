"""The gateway on Fastly's local runtime, Viceroy: how it is run, and what is measured there.

Facts: Viceroy compiles the component at its start, for ten seconds and more. Its CPU time is the
time for which the guest had a thread, calls of the host included. Idle, it takes a seventh of a
core. A client that hangs up, as wrk does at its end, makes it panic, of which nothing comes.
"""

import asyncio
import json
import signal
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench.judge import OnFastly
from bench.load import WARM_SECONDS, run_wrk
from bench.nginx import CHAT
from bench.payloads import BYPASS, STREAMED
from bench.rig import RigError, check_gateway, running
from bench.streams import SECONDS, timed_streams
from gateway.operator.fastly import LOG_ENDPOINT
from gateway.operator.listening import check_free, is_listening, socket_address
from gateway.operator.serve import find_component
from gateway.operator.stores import publish
from gateway.operator.viceroy import (
    SeedStore,
    Viceroy,
    find_viceroy,
    manifest,
    viceroy_command,
)

ADDRESS = "127.0.0.1"
STREAMS = 2  # a run, one after the other
LOGGED_SECONDS = 5  # from the last byte of an answer to its record, on a busy machine


@dataclass(frozen=True, slots=True)
class Runtime:
    """What there is on this machine to measure it with."""

    viceroy: Path
    component: Path


def find_runtime() -> Runtime | None:
    """None where there is no Viceroy. Raises Refused if the component is not built."""
    viceroy = find_viceroy()
    if viceroy is None:
        return None
    return Runtime(viceroy, find_component(None, "build/tiergate-fastly.wasm", "fastly"))


class Gateway(Viceroy):
    """A running Viceroy whose log is kept, and not printed."""

    def __init__(self, command: list[str], address: str, port: int) -> None:
        self._lines: list[str] = []
        super().__init__(command, address, port)

    def take(self, line: str) -> bool:
        logged = line.removeprefix(f"{LOG_ENDPOINT} :: ")
        if logged == line:
            return False
        self._lines.append(logged)
        return True

    def spent(self, decision: str, at_least: int = 1) -> list[int]:
        """vCPU milliseconds of all that was answered by that decision; waits for so many.

        Raises RigError if they do not come.
        """
        deadline = time.monotonic() + LOGGED_SECONDS
        while len(found := read_spent(self._lines, decision)) < at_least:
            if time.monotonic() > deadline:
                raise RigError(
                    f"Viceroy's log has {len(found)} records of answers by {decision} with their"
                    f" vcpu_ms, not {at_least}: {self._lines[-1:]}"
                )
            time.sleep(0.05)
        return found

    @contextmanager
    def paused(self) -> Iterator[None]:
        """It takes nothing from what is measured meanwhile."""
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        super().end()
        for stream in (self._process.stdout, self._process.stderr):
            if stream:
                stream.close()


def read_spent(lines: Iterable[str], decision: str) -> list[int]:
    """`vcpu_ms` of the records of whole answers that were so decided."""
    records = (json.loads(line) for line in lines)
    return [
        record["vcpu_ms"]
        for record in records
        if record.get("decision") == decision
        and "vcpu_ms" in record
        and [attempt["outcome"] for attempt in record["attempts"]][-1:] == ["answered"]
    ]


@contextmanager
def serving(folder: Path, runtime: Runtime, policy: bytes) -> Iterator[Gateway]:
    """Viceroy with that compiled policy, as `tiergate fastly serve` runs it. Raises RigError,
    Refused."""
    seed, config = folder / "kv.json", folder / "fastly.toml"
    publish(SeedStore(seed), policy)
    config.write_text(manifest(seed, secrets=()), "utf-8")
    port = check_free(ADDRESS, 0)
    at = socket_address(ADDRESS, port)
    command = viceroy_command(runtime.viceroy, runtime.component, config, at)
    gateway = Gateway(command, ADDRESS, port)
    try:
        deadline = time.monotonic() + Viceroy.ready_seconds
        while not is_listening(ADDRESS, port):
            gateway.check()
            if time.monotonic() > deadline:
                raise RigError(f"Viceroy does not listen after {Viceroy.ready_seconds} s")
            time.sleep(0.05)
        check_gateway(port)
        yield gateway
    finally:
        gateway.end()


def measure(
    folder: Path, runtime: Runtime, runs: int, seconds: int, say: Callable[[str], None]
) -> OnFastly:
    """All figures, with a rig of their own. Raises RigError, LoadError, StreamError, Refused."""
    say("Viceroy compiles the component: 10 s and more")
    with running(folder) as rig, serving(folder, runtime, rig.policy) as gateway:
        on_viceroy = partial(run_wrk, f"{gateway.url}{CHAT}", rig.body, connections=1)
        on_wasmtime = partial(run_wrk, rig.gateway_url, rig.body, BYPASS, connections=1)
        viceroy: list[float] = []
        wasmtime: list[float] = []

        say(f"wrk on Viceroy and wasmtime, 1 at a time: {2 * (runs * seconds + WARM_SECONDS)} s")
        on_viceroy(BYPASS, seconds=WARM_SECONDS)
        with gateway.paused():
            on_wasmtime(seconds=WARM_SECONDS)
        # A B A B, so that whatever else the machine does hits both.
        for _ in range(runs):
            viceroy.append(on_viceroy(BYPASS, seconds=seconds).p50_ms)
            with gateway.paused():
                wasmtime.append(on_wasmtime(seconds=seconds).p50_ms)

        say(f"wrk on Viceroy, classified: {seconds} s")
        on_viceroy({}, seconds=seconds)
        streams = runs * STREAMS
        say(f"streams on Viceroy, one after the other: {streams * SECONDS:.0f} s")
        for _ in range(streams):
            asyncio.run(timed_streams(gateway.port, CHAT, STREAMED, 1))
        return OnFastly(
            viceroy=viceroy,
            wasmtime=wasmtime,
            bypassed=gateway.spent("bypass"),
            classified=gateway.spent("model"),
            streamed=gateway.spent("forced", streams),
        )
