"""The bench measures what it says, and its limits can be broken."""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from bench import fastly
from bench.judge import Figures, Limits, OnFastly, Pair, Translated, judge
from bench.load import LoadError, read_wrk, run_wrk
from bench.nginx import CHAT
from bench.payloads import (
    BYPASS,
    MESSAGES_TIER,
    RUSH_MESSAGES_TIER,
    RUSH_TIER,
    STREAMED,
    chat_request,
    completion,
    in_tier,
)
from bench.report import Conditions, print_table, to_json
from bench.rig import Rig, missing_tools, running
from bench.streams import EVENTS, StreamError, rushed_streams, timed_streams
from bench.wire import CHAT as CHAT_WIRE
from bench.wire import MESSAGES as MESSAGES_WIRE
from bench.wire import Wire
from gateway.operator.console import Refused
from gateway.operator.listening import is_listening
from gateway.operator.serve import find_component

FIGURES = Figures(
    throughput=Pair([900.0, 1000.0, 1100.0], [20_000.0, 21_000.0, 19_000.0]),
    latency=Pair([1.2, 1.3, 9.0], [0.1, 0.1, 0.2]),
    classified=[3.0],
    judging=[0.2] * 90 + [0.9] * 10,
    chunks={1: Pair([1.0] * 100, [0.4] * 100), 16: Pair([2.0] * 100, [0.5] * 100)},
    memory={1: 60.0, 16: 90.0, 64: 123.0},
    translated=[
        Translated("Anthropic's", Pair([2.0] * 100, [0.4] * 100), [0.25, 0.2, 0.9]),
        Translated("OpenAI's", Pair([2.5] * 100, [0.4] * 100), [0.2]),
    ],
    fastly=OnFastly(
        viceroy=[4.0, 4.2, 9.0],
        wasmtime=[1.4, 1.3, 1.5],
        bypassed=[8, 2, 1, 1],
        classified=[12, 3, 3, 2],
        streamed=[46, 48, 44],
    ),
)
CONDITIONS = Conditions(3, 10, 2, (0.1, 2.0), "wasmtime 49", "3.13", "viceroy 0.22.0")
LIMITED = [
    "throughput, 16 connections",
    "p50, one connection",
    "chunk of 1 stream, median",
    "chunk translated for Anthropic's, median",
    "events translated for Anthropic's",
    "chunk translated for OpenAI's, median",
    "events translated for OpenAI's",
    "judged by the embedded classifier, p50",
    "judged by the embedded classifier, p99",
    "classified on Viceroy, p50 of all",
]


@pytest.mark.parametrize(
    ("limits", "broken"),
    [
        (Limits(), []),
        (Limits(least_share=1 / 19), LIMITED[:1]),
        (Limits(most_added_ms=1.1), LIMITED[1:2]),
        (Limits(most_added_to_chunk_ms=0.5), LIMITED[2:3]),
        (Limits(most_added_to_translated_ms=2.0), LIMITED[5:6]),
        (Limits(least_translated=9_000), LIMITED[4:5]),
        (Limits(most_judging_ms=(0.1, 1.5)), LIMITED[7:8]),
        (Limits(most_judging_ms=(0.3, 0.8)), LIMITED[8:9]),
        (Limits(most_vcpu_ms=2.9), LIMITED[9:]),
    ],
)
def test_each_limit_fails_its_own_line(limits: Limits, broken: list[str]) -> None:
    lines = judge(FIGURES, limits)
    assert [line.name for line in lines if line.passed is not None] == LIMITED
    assert [line.name for line in lines if line.passed is False] == broken
    assert to_json(lines, CONDITIONS)["ok"] is not bool(broken)


def test_the_median_run_is_judged_and_memory_is_by_the_stream() -> None:
    lines = {line.name: line for line in judge(FIGURES, Limits())}
    assert lines["throughput, 16 connections"].compared == "1/20.0 of nginx's"
    assert lines["p50, one connection"].compared == "+1.20 ms"
    assert lines["memory, 16 open streams"].compared == "2.00 MB a stream"
    assert lines["memory, 64 open streams"].compared == "1.00 MB a stream"


def test_translated_events_are_by_the_cpu_that_they_take() -> None:
    """Of two cores, whatever else the machine does: the median run's."""
    lines = {line.name: line for line in judge(FIGURES, Limits())}
    events = lines["events translated for Anthropic's"]
    assert (events.gateway, events.compared) == (8_000, "0.25 ms of CPU each")
    assert lines["chunk translated for OpenAI's, median"].compared == "+2.10 ms"


def test_on_fastly_the_median_is_judged_and_a_stream_is_by_the_chunk() -> None:
    """What a sandbox's first requests cost is in the mean; both runtimes' p50 are told."""
    lines = {line.name: line for line in judge(FIGURES, Limits())}
    classified = lines["classified on Viceroy, p50 of all"]
    assert classified.gateway == 3
    assert classified.compared == "mean 5.0, cold ones too"
    assert lines["stream of 100 events on Viceroy"].compared == "0.46 ms a chunk"
    viceroy = lines["p50 on Viceroy, one connection"]
    assert (viceroy.gateway, viceroy.compared) == (4.2, "+2.80 ms, 3.0 x wasmtime")
    assert lines["p50 on wasmtime, in turn with it"].gateway == 1.4


def test_without_viceroy_one_line_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    """The other figures are as they were; the table says what is missing, and how to get it."""
    lines = judge(replace(FIGURES, fastly=None), Limits())
    assert lines == judge(FIGURES, Limits())[: len(lines)]
    assert len(lines) == len(judge(FIGURES, Limits())) - 5
    print_table(lines, CONDITIONS)
    assert "make viceroy" not in capsys.readouterr().out
    print_table(lines, replace(CONDITIONS, viceroy=None))
    assert capsys.readouterr().out.count("make viceroy") == 1


def test_only_whole_answers_of_that_decision_count() -> None:
    """What was cut, refused or decided otherwise cost something else."""

    def record(decision: str, vcpu_ms: int, *outcomes: str) -> str:
        attempts = [{"outcome": outcome} for outcome in outcomes]
        return json.dumps({"decision": decision, "vcpu_ms": vcpu_ms, "attempts": attempts})

    lines = [
        record("bypass", 1, "answered"),
        record("model", 2, "answered"),
        record("bypass", 4, "rate_limited", "answered"),
        record("bypass", 8, "client_gone"),
        record("bypass", 16),
        json.dumps({"event": "policy_loaded"}),
    ]
    assert fastly.read_spent(lines, "bypass") == [1, 4]


def test_the_table_has_a_line_for_each_figure(capsys: pytest.CaptureFixture[str]) -> None:
    lines = judge(replace(FIGURES, latency=Pair([2.0], [0.1])), Limits())
    print_table(lines, CONDITIONS)
    printed = capsys.readouterr().out
    assert all(line.name in printed for line in lines)
    assert "FAIL" in printed


@pytest.mark.parametrize("fault", ["bad_status", "broken", "requests"])
def test_a_run_with_a_bad_answer_is_no_figure(fault: str) -> None:
    good = {"requests": 10, "seconds": 2, "p50_ms": 1, "p99_ms": 2, "bad_status": 0, "broken": 0}
    assert read_wrk(f"Running\n{json.dumps(good)}\n", "url").per_second == 5
    bad = {**good, fault: 0 if fault == "requests" else 1}
    with pytest.raises(LoadError):
        read_wrk(json.dumps(bad), "url")


def test_bodies_are_of_ordinary_size() -> None:
    assert 1200 < len(chat_request()) < 1500
    assert 1200 < len(completion()) < 1500


@pytest.fixture(scope="module")
def rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    if problem := missing_tools():
        pytest.skip(f"bench: {problem}")
    try:
        find_component(None)
    except Refused as error:
        pytest.skip(str(error))
    with running(tmp_path_factory.mktemp("bench")) as found:
        yield found


def test_wrk_measures_both(rig: Rig) -> None:
    for url, headers in ((rig.gateway_url, BYPASS), (rig.nginx_url, {})):
        load = run_wrk(url, rig.body, headers, connections=2, seconds=1)
        assert load.per_second > 10
        assert 0 < load.p50_ms <= load.p99_ms
    assert rig.memory_mb() > 10


def test_wrk_says_so_when_answers_are_errors(rig: Rig, tmp_path: Path) -> None:
    body = tmp_path / "bad.json"
    body.write_text("{")
    with pytest.raises(LoadError, match="status of 400"):
        run_wrk(rig.gateway_url, body, BYPASS, connections=1, seconds=1)


def test_every_event_of_a_stream_is_timed(rig: Rig) -> None:
    async def both() -> tuple[list[float], list[float]]:
        return await asyncio.gather(
            timed_streams(rig.gateway_port, CHAT, STREAMED, 2),
            timed_streams(rig.nginx_port, f"/stream{CHAT}", {}, 2),
        )

    for delays in asyncio.run(both()):
        assert len(delays) == 2 * EVENTS
        assert min(delays) > 0


@pytest.mark.parametrize(
    ("wire", "paced", "rushed"),
    [
        (MESSAGES_WIRE, STREAMED, in_tier(RUSH_TIER)),
        (CHAT_WIRE, in_tier(MESSAGES_TIER), in_tier(RUSH_MESSAGES_TIER)),
    ],
    ids=["anthropic client", "openai client"],
)
def test_translated_streams_are_whole(
    rig: Rig, wire: Wire, paced: dict[str, str], rushed: dict[str, str]
) -> None:
    """Every event of the other dialect comes, in time or as fast as it can, and takes CPU time."""
    delays = asyncio.run(timed_streams(rig.gateway_port, wire.path, paced, 1, wire))
    assert len(delays) == EVENTS
    assert min(delays) > 0
    before = rig.cpu_ms()
    asyncio.run(rushed_streams(rig.gateway_port, rushed, 1, wire))
    assert rig.cpu_ms() > before


def test_an_answer_that_is_no_stream_is_no_figure(rig: Rig) -> None:
    with pytest.raises(StreamError, match="0 events"):
        asyncio.run(timed_streams(rig.nginx_port, CHAT, {}, 1))


def test_nothing_is_left_running(tmp_path: Path) -> None:
    if problem := missing_tools():
        pytest.skip(f"bench: {problem}")
    with pytest.raises(KeyboardInterrupt), running(tmp_path) as found:
        raise KeyboardInterrupt
    assert not Path(f"/proc/{found.gateway_pid}").exists()


def test_viceroy_is_measured_and_ended(rig: Rig, tmp_path: Path) -> None:
    """The shipped component runs there with the bench's policy, and says what a request costs."""
    try:
        runtime = fastly.find_runtime()
    except Refused as error:
        pytest.skip(str(error))
    if runtime is None:
        pytest.skip("there is no Viceroy")
    with fastly.serving(tmp_path, runtime, rig.policy) as gateway:
        run_wrk(f"{gateway.url}{CHAT}", rig.body, BYPASS, connections=1, seconds=1)
        asyncio.run(timed_streams(gateway.port, CHAT, STREAMED, 1))
        assert len(gateway.spent("bypass", 2)) > 10
        assert len(gateway.spent("forced")) == 1
        assert gateway.spent("model")
        status = Path(f"/proc/{gateway._process.pid}/status")
        with gateway.paused():
            time.sleep(0.1)
            assert "\nState:\tT" in status.read_text()
    assert not is_listening(fastly.ADDRESS, gateway.port)
