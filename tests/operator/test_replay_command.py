"""`tiergate replay` on the command line: what it reads, what it prints, what it says is wrong."""

import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from gateway.operator.cli import app
from gateway.operator.compile import compile_file
from gateway.operator.replay.records import MAX_LINE, Log, record_in
from gateway.policies import ACTIVE, GOOD
from tests.core.samples import policy
from tests.flow.world import body, whole, world
from tests.operator.policies import changed
from tests.operator.test_replay import HYBRID, PROMPTS, RULES, line, replayed

TOML = """\
name = "now"
default_tier = "fast"

[classifier]
mode = "local"
lean = 0.0

[[tiers]]
name = "fast"
description = "Easy"
targets = ["ollama/small"]

[[tiers]]
name = "quality"
description = "Hard"
targets = ["ollama/large"]

[prices."ollama/small"]
input = 1.0
output = 1.0

[prices."ollama/large"]
input = 10.0
output = 10.0
"""
RULE = """
[[rules]]
name = "team"
when = { headers = { x-team = "a" } }
to = "quality"
"""


def run(*arguments: str | Path, stdin: bytes | None = None) -> Result:
    return CliRunner().invoke(app, ["replay", *map(str, arguments)], input=stdin)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Two policies, the second leaning to the better tier, and the log of a gateway with the
    first."""
    a, b, log = (tmp_path / name for name in ("a.toml", "b.toml", "gateway.log"))
    a.write_text(TOML)
    b.write_text(changed(TOML, "lean = 0.0", "lean = 1.0") + RULE)
    gateway = world()
    compiled = compile_file(a)
    gateway.kv.values |= {ACTIVE: compiled.data, GOOD: compiled.data}
    for prompt in PROMPTS:
        gateway.http.upstreams.append(whole())
        gateway.ask(body(messages=[{"role": "user", "content": prompt}]))
    assert {record["policy"] for record in gateway.records} == {compiled.policy.label}
    log.write_text("hello\n" + "".join(f"stdout [0] :: {text}\n" for text in gateway.log.lines))
    return [a, b, log]


def test_summary(files: list[Path]) -> None:
    """People read what moved where, what rules catch, what it costs, and what is not known."""
    a, b, log = files
    result = run("--policy", a, "--against", b, log)
    assert result.exit_code == 0, result.output
    for words in ("15 requests", "moved up", "moved down    0", "from \\ to", "team", "USD ->"):
        assert words in result.stdout
    assert "lines that are no decision records: 1" in result.stdout
    assert "no record has" in result.stdout


def test_json_and_moved_agree(files: list[Path]) -> None:
    """The object for scripts counts the very requests that --moved lists."""
    a, b, log = files
    found = json.loads(run("--policy", a, "--against", b, log, "--json").stdout)
    listed = run("--policy", a, "--against", b, log, "--moved")
    moved = [json.loads(text) for text in listed.stdout.splitlines()]
    assert found["requests"] == sum(found["changes"].values()) == 15
    assert found["changes"]["up"] == len(moved) > 0
    assert sum(row["requests"] for row in found["matrix"]) == 15
    assert found["rules"] == [{"name": "team", "caught": 0, "could_have_caught": 15}]
    assert found["cost"]["against_usd"] > found["cost"]["policy_usd"] > 0
    assert found["records"]["of_policy"] == 15
    assert found["records"]["other_lines"] == 1
    for each in moved:
        assert set(each) == {"request_id", "from", "to", "change", "why"}
        assert (each["from"], each["to"]) == ("fast", "quality")
    assert listed.stderr == f"{len(moved)} of 15 requests moved\n"


def test_several_files_and_stdin(files: list[Path]) -> None:
    """Records of several logs are one; `-` is what is piped in."""
    a, b, log = files
    piped = log.read_bytes()
    result = run("--policy", a, "--against", b, log, log, "-", "--json", stdin=piped)
    assert json.loads(result.stdout)["requests"] == 45


def test_what_cannot_be_replayed(files: list[Path], tmp_path: Path) -> None:
    """A missing file, a wrong policy, a log without records: exit code 1 and the reason."""
    a, b, log = files
    empty = tmp_path / "empty.log"
    empty.write_text('{"event": "policy_loaded"}\n')
    only_refused = tmp_path / "refused.log"
    only_refused.write_text(line(decision=None))
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(changed(TOML, "lean = 0.0", "lean = 2.0"))
    cases: list[tuple[list[str | Path], str]] = [
        (["--policy", a, "--against", b, log, "no/such.log"], "no/such.log: No such file"),
        (["--policy", a, "--against", b, tmp_path], "Is a directory"),
        (["--policy", a, "--against", "no.toml", log], "no.toml: No such file"),
        (["--policy", a, "--against", wrong, log], "classifier.lean"),
        (["--policy", a, "--against", b, empty], "tee gateway.log"),
        (["--policy", a, "--against", b, only_refused], "none of the 1 decision records"),
    ]
    for arguments, words in cases:
        result = run(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert words in result.stderr
        assert "Traceback" not in result.stderr
        scripted = run(*arguments, "--json")
        assert scripted.exit_code == 1
        assert json.loads(scripted.stdout)["ok"] is False


def test_moved_has_no_summary(files: list[Path]) -> None:
    """Two kinds of output at once are a wrong command line."""
    a, b, log = files
    assert run("--policy", a, "--against", b, log, "--json", "--moved").exit_code == 2


def test_memory_does_not_grow_with_the_log() -> None:
    """Records are read one by one: a log is never held, however long."""
    read: list[int] = []

    class Endless(io.RawIOBase):
        def readline(self, size: int | None = -1, /) -> bytes:
            read.append(size or -1)
            return line().encode() + b"\n"

    records = Log().read(Endless())  # type: ignore[arg-type]
    assert [next(records).request_id for _ in range(3)] == ["r", "r", "r"]
    assert read == [MAX_LINE] * 3


# --- reading -----------------------------------------------------------------


def test_records_are_found_among_other_lines() -> None:
    """A prefix is passed over; other events, torn, foreign and endless lines are only counted."""
    lines = [
        line(),
        f"tiergate :: {line(request_id='prefixed')}",
        f"stdout [0] {{x}} :: {line(request_id='braces')} trailing",
        json.dumps(dict(reversed(json.loads(line(request_id="reordered")).items()))),
        '{"event": "policy_loaded"}',
        "",
        line()[:-5],
        line(schema=2),
        '{"event": "request", "x": ' + "[" * 100_000,
        '\udcff\x00"request"',
        line(request_id="x" * MAX_LINE),
        line(request_id="long") + " " * MAX_LINE + line(request_id="of the same line"),
        line(decision=None),
        line(endpoint="embeddings"),
        line(decision=["x"], endpoint={}),
        line(request_id="last"),
    ]
    log = Log()
    data = "\n".join(lines).encode(errors="surrogateescape")
    found = [seen.request_id for seen in log.read(io.BytesIO(data))]
    assert found == ["r", "prefixed", "braces", "reordered", "long", "last"]
    assert (log.records, log.other_lines, log.undecided) == (9, 6, 3)


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists, max_leaves=4))
def test_any_value_in_any_member(value: object) -> None:
    """Records that no gateway wrote are read as far as they make sense, and never raise."""
    a, b = policy(rules=RULES, **HYBRID), policy(classifier__mode="local")
    for name in json.loads(line()):
        replayed([line(**{name: value})], a, b)
    assert record_in(line().encode())
