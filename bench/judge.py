"""The figures of a run, and the limits that they are held against."""

from dataclasses import dataclass
from statistics import mean, median, quantiles

from bench.streams import EVENTS

_CORES = 2  # for which the limit of events is set


@dataclass(frozen=True, slots=True)
class Limits:
    """What the gateway promises of its own weight beside nginx's proxy_pass, the fastest plain
    proxy at hand: it must vanish beside a model that takes 200 ms to its first word. On Fastly,
    where an execution has 50 ms of CPU: a tenth of that for a request.

    `least_share` of nginx's requests a second; `most_added_ms` to the p50 at one connection;
    `most_added_to_chunk_ms` to an event of a single stream, median, and
    `most_added_to_translated_ms` where it is translated; `least_translated` events a second that
    two cores have the time for; `most_judging_ms` of the embedded classifier, p50 and p99;
    `most_vcpu_ms` of a classified request on Viceroy, p50.
    """

    least_share: float = 1 / 25
    most_added_ms: float = 1.5
    most_added_to_chunk_ms: float = 2.0
    most_added_to_translated_ms: float = 3.0
    least_translated: float = 5_000
    most_judging_ms: tuple[float, float] = (0.3, 1.5)
    most_vcpu_ms: float = 5.0


@dataclass(frozen=True, slots=True)
class Pair:
    """The same measurement of both, run by run."""

    gateway: list[float]
    nginx: list[float]

    @property
    def added(self) -> float:
        return median(self.gateway) - median(self.nginx)

    @property
    def share(self) -> float:
        return median(self.gateway) / median(self.nginx)


@dataclass(frozen=True, slots=True)
class Translated:
    """Streams from a provider of one dialect to a client of another.

    `client`: whose dialect. `chunks`: the delay of every event of one stream. `cpu_ms`: what the
    gateway's process took for an event of many rushed streams, run by run.
    """

    client: str
    chunks: Pair
    cpu_ms: list[float]


@dataclass(frozen=True, slots=True)
class OnFastly:
    """What was measured on Fastly's local runtime, Viceroy.

    `viceroy`, `wasmtime`: the p50 of bypassed requests at one connection, milliseconds, run by run.
    The others: vCPU milliseconds of every request, as its decision record has them.
    """

    viceroy: list[float]
    wasmtime: list[float]
    bypassed: list[int]
    classified: list[int]
    streamed: list[int]


@dataclass(frozen=True, slots=True)
class Figures:
    """All that was measured. Milliseconds, MB; `throughput` in requests a second.

    `judging`: what the embedded classifier takes in the guest, each request. `chunks`: the delay of
    every event, by the number of streams at once. `memory`: the gateway's
    resident memory by the number of open streams. `fastly`: None where there is no Viceroy.
    """

    throughput: Pair
    latency: Pair
    classified: list[float]
    judging: list[float]
    chunks: dict[int, Pair]
    memory: dict[int, float]
    translated: list[Translated]
    fastly: OnFastly | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the report. `passed` is None where no limit is set."""

    name: str
    unit: str
    gateway: float
    nginx: float | None
    compared: str
    limit: str | None = None
    passed: bool | None = None


def judge(figures: Figures, limits: Limits) -> list[Line]:
    """The report, those with a limit first; then Fastly's, in the same order."""
    throughput, latency, one = figures.throughput, figures.latency, figures.chunks[1]
    return [
        Line(
            "throughput, 16 connections",
            "req/s",
            median(throughput.gateway),
            median(throughput.nginx),
            f"1/{1 / throughput.share:.1f} of nginx's",
            f"at least 1/{1 / limits.least_share:g}",
            throughput.share >= limits.least_share,
        ),
        Line(
            "p50, one connection",
            "ms",
            median(latency.gateway),
            median(latency.nginx),
            _added(latency.added),
            f"at most {limits.most_added_ms:+g} ms",
            latency.added <= limits.most_added_ms,
        ),
        Line(
            "chunk of 1 stream, median",
            "ms",
            median(one.gateway),
            median(one.nginx),
            _added(one.added),
            f"at most {limits.most_added_to_chunk_ms:+g} ms",
            one.added <= limits.most_added_to_chunk_ms,
        ),
        _p99_line(1, one),
        *(line for found in figures.translated for line in _translated(found, limits)),
        *(
            line
            for count, pair in figures.chunks.items()
            if count > 1
            for line in _more(count, pair)
        ),
        Line(
            "p50 classified, one connection",
            "ms",
            median(figures.classified),
            None,
            f"{_added(median(figures.classified) - median(latency.gateway))} to bypassed",
        ),
        *_judging(figures.judging, limits),
        *_memory(figures.memory),
        *(_fastly(figures.fastly, limits) if figures.fastly else ()),
    ]


def _translated(found: Translated, limits: Limits) -> list[Line]:
    chunks, cpu_ms = found.chunks, median(found.cpu_ms)
    carried = _CORES * 1000 / cpu_ms
    return [
        Line(
            f"chunk translated for {found.client}, median",
            "ms",
            median(chunks.gateway),
            median(chunks.nginx),
            _added(chunks.added),
            f"at most {limits.most_added_to_translated_ms:+g} ms",
            chunks.added <= limits.most_added_to_translated_ms,
        ),
        Line(
            f"events translated for {found.client}",
            "/s",
            carried,
            None,
            f"{cpu_ms:.2f} ms of CPU each",
            f"at least {limits.least_translated:,.0f} /s of 2 cores",
            carried >= limits.least_translated,
        ),
    ]


def _more(count: int, pair: Pair) -> list[Line]:
    name = f"chunk of {count} streams, median"
    middle = Line(name, "ms", median(pair.gateway), median(pair.nginx), _added(pair.added))
    return [middle, _p99_line(count, pair)]


def _p99_line(count: int, pair: Pair) -> Line:
    name = f"chunk of {count} stream{'s' if count > 1 else ''}, p99"
    gateway, nginx = _p99(pair.gateway), _p99(pair.nginx)
    return Line(name, "ms", gateway, nginx, _added(gateway - nginx))


def _judging(ms: list[float], limits: Limits) -> list[Line]:
    name = "judged by the embedded classifier"
    found = (("p50", median(ms)), ("p99", _p99(ms)))
    return [
        Line(f"{name}, {which}", "ms", value, None, "", f"at most {most:g} ms", value <= most)
        for (which, value), most in zip(found, limits.most_judging_ms, strict=True)
    ]


def _memory(memory: dict[int, float]) -> list[Line]:
    lines: list[Line] = []
    fewest = min(memory)
    for count, megabytes in memory.items():
        compared = ""
        if count > fewest:
            each = (megabytes - memory[fewest]) / (count - fewest)
            compared = f"{each:.2f} MB a stream"
        name = f"memory, {count} open stream{'s' if count > 1 else ''}"
        lines.append(Line(name, "MB", megabytes, None, compared))
    return lines


def _fastly(figures: OnFastly, limits: Limits) -> list[Line]:
    p50, streamed = median(figures.classified), median(figures.streamed)
    viceroy, wasmtime = median(figures.viceroy), median(figures.wasmtime)
    times = f"{_added(viceroy - wasmtime)}, {viceroy / wasmtime:.1f} x wasmtime"
    return [
        Line(
            "classified on Viceroy, p50 of all",
            "vCPU ms",
            p50,
            None,
            _of_all(figures.classified),
            f"at most {limits.most_vcpu_ms:g} ms",
            p50 <= limits.most_vcpu_ms,
        ),
        Line(
            "bypassed on Viceroy, p50 of all",
            "vCPU ms",
            median(figures.bypassed),
            None,
            _of_all(figures.bypassed),
        ),
        Line(
            f"stream of {EVENTS} events on Viceroy",
            "vCPU ms",
            streamed,
            None,
            f"{streamed / EVENTS:.2f} ms a chunk",
        ),
        Line("p50 on Viceroy, one connection", "ms", viceroy, None, times),
        Line("p50 on wasmtime, in turn with it", "ms", wasmtime, None, ""),
    ]


def _of_all(spent: list[int]) -> str:
    # Cold ones are a sandbox's first. The mean shows them, and more digits than whole milliseconds.
    return f"mean {mean(spent):.1f}, cold ones too"


def _p99(values: list[float]) -> float:
    return quantiles(values, n=100, method="inclusive")[98]


def _added(ms: float) -> str:
    return f"{ms:+.2f} ms"
