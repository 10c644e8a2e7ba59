"""What is shown of Viceroy's own words: known panics in brief, everything else as it came.

And what a test run says where there is no Viceroy.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.operator.viceroy import CLIENT_LEFT, with_known_panics_in_brief

HEAD = "\nthread 'tokio-rt-worker' (4711) panicked at src/sandbox/downstream.rs:72:14:\n"
KNOWN = "response receiver is open: SendError { .. }\n"
KNOWN_TOO = "Failed to buffer known-size body: hyper::Error(Body, Custom { kind: UnexpectedEof })\n"
OTHER = "index out of bounds: the len is 3 but the index is 7\n"
NOTE = "note: run with `RUST_BACKTRACE=1` environment variable to display a backtrace\n"
BACKTRACE = """\
stack backtrace:
   0: __rustc::rust_begin_unwind
             at /rustc/abc/library/std/src/panicking.rs:689:5
  12: viceroy_lib::sandbox::downstream::DownstreamResponseState::send
note: Some details are omitted, run with `RUST_BACKTRACE=full` for a verbose backtrace.
"""
TRAP = """\
2026-01-01T00:00:00Z ERROR request{id=3}: WebAssembly trapped: error while executing at wasm:
    0: 0x1f2a - python314.so!_PyEval_EvalFrameDefault
    1: 0x2b3c - libcomponentize.so!call

Caused by:
    wasm trap: call stack exhausted
"""
LEFT = f"{CLIENT_LEFT} before its answer\n"


def shown(text: str) -> str:
    return "".join(with_known_panics_in_brief(text.splitlines(keepends=True)))


@pytest.mark.parametrize("more", ["", NOTE, BACKTRACE])
@pytest.mark.parametrize(
    ("message", "brief"),
    [(KNOWN, LEFT), (KNOWN_TOO, f"{CLIENT_LEFT} before its request was whole\n")],
)
def test_a_known_panic_is_one_line(message: str, brief: str, more: str) -> None:
    """With a backtrace or without, once or twice, what is left of it is one line each."""
    assert shown(HEAD + message + more) == brief
    assert shown((HEAD + message + more) * 2) == brief * 2


@pytest.mark.parametrize(
    "before", ["", HEAD + KNOWN, HEAD + KNOWN + NOTE, HEAD + KNOWN + BACKTRACE]
)
@pytest.mark.parametrize("text", [TRAP, HEAD + OTHER + NOTE, HEAD + OTHER + BACKTRACE, HEAD, "\n"])
def test_everything_else_is_whole(text: str, before: str) -> None:
    """A trap and an unknown panic lose no line, also where a known panic stands before them."""
    assert shown(before + text) == (LEFT if before else "") + text


def test_a_trap_that_names_a_known_panic_is_whole() -> None:
    """The words of a known panic elsewhere in a line make nothing harmless."""
    text = TRAP.replace("call stack exhausted", "response receiver is open")
    assert shown(text) == text
    assert shown(f"{HEAD}the {KNOWN}{TRAP}") == f"{HEAD}the {KNOWN}{TRAP}"


@pytest.mark.parametrize(
    ("changes", "remedy"),
    [
        ({"VICEROY": "/none"}, "VICEROY=/none is not a Viceroy"),
        ({"VICEROY": ""}, "`make viceroy` installs it"),
    ],
)
def test_a_run_without_viceroy_says_so(
    tmp_path: Path, changes: dict[str, str], remedy: str
) -> None:
    """What was left out, why and how to have it run is one line of the summary."""
    homes = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "CARGO_HOME"), str(tmp_path))
    elsewhere = {**homes, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "--collect-only", "tests/fastly/test_errors.py"],
        cwd=Path(__file__).parents[2],
        env={**os.environ, **elsewhere, **changes},
        capture_output=True,
        text=True,
        check=False,
    )
    (line,) = [line for line in done.stdout.splitlines() if "Viceroy" in line]
    assert line.startswith("not run: the tests on Viceroy, Fastly's local runtime: ")
    assert remedy in line
