"""`tiergate fastly serve` and the Viceroy it runs on: which, how installed, with what.

Most tests have a stand-in for Viceroy, which answers /readyz from the store that it was given and
writes down how it was called. The last one runs the real one, where it is installed.
"""

import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner, Result

from gateway.operator.cli import app
from gateway.operator.compile import compile_text
from gateway.operator.fastly import KV_LINK, SECRETS_LINK
from gateway.operator.stores import DirectoryStore, publish, rollback
from gateway.operator.viceroy import (
    SeedStore,
    find_viceroy,
    manifest,
)
from tests.operator.policies import SMALL, TWO_TIERS, changed

ROOT = Path(__file__).parents[2]
DEMO = ROOT / "policies" / "demo.toml"
SCRIPT = ROOT / "scripts" / "viceroy.sh"
COMPONENT = ROOT / "build" / "tiergate-fastly.wasm"

STAND_IN = f"""\
#!{sys.executable}
import http.server, json, os, signal, sys, tomllib
if sys.argv[1:] == ["--version"]:
    print("viceroy 0.22.0"); sys.exit()
here = os.path.dirname(os.path.abspath(__file__))
config = sys.argv[sys.argv.index("-C") + 1]
host, port = sys.argv[sys.argv.index("--addr") + 1].rsplit(":", 1)
folder = os.path.dirname(config)
files = {{name: open(os.path.join(folder, name)).read() for name in os.listdir(folder)}}
with open(here + "/called.json", "w") as file:
    called = {{"argv": sys.argv, "pid": os.getpid(), "folder": folder, "files": files}}
    json.dump(called, file)
if os.path.exists(here + "/dies"):
    print("Error: it broke", file=sys.stderr); sys.exit(1)
local = tomllib.loads(files["fastly.toml"])["local_server"]
policy = json.loads(json.load(open(local["kv_stores"]["tiergate"]["file"]))["policy/active"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("x-tiergate-policy", policy["name"] + "@" + policy["version"])
        self.end_headers()
        self.wfile.write(b"{{}}")
        if self.path == "/talk":
            print('tiergate :: {{"event": "request"}}', flush=True)
            print("INFO request completed", flush=True)
            print("ERROR it trapped", file=sys.stderr, flush=True)
        if self.path == "/leave":
            sys.stderr.write("\\nthread 'worker' (7) panicked at downstream.rs:72:14:\\n"
                "response receiver is open: SendError\\nnote: run with `RUST_BACKTRACE=1`\\n"
                "ERROR WebAssembly trapped: wasm backtrace:\\n    0: 0x1 - main\\n")
    def log_message(self, *args): pass
signal.signal(signal.SIGINT, lambda *_: sys.exit(0))
http.server.HTTPServer((host, int(port)), Handler).serve_forever()
"""

CARGO = """\
#!/bin/sh
[ "$1" = --version ] && echo "cargo 1.95.0" && exit
[ -n "$FAILS" ] && echo "error: no network" >&2 && exit 101
echo "$*" >> "$BUILDS"
sleep "$BUILD_SECONDS"
while [ "$1" != --root ]; do shift; done
mkdir -p "$2/bin"
printf '#!/bin/sh\\necho viceroy 0.22.0\\n' > "$2/bin/viceroy"
chmod +x "$2/bin/viceroy"
"""


def run(*arguments: str, env: dict[str, str | None] | None = None) -> Result:
    return CliRunner().invoke(app, ["fastly", "serve", *arguments], env=env or {})


def program(path: Path, text: str) -> Path:
    """An executable file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


def said(version: str) -> str:
    """A program that only says this."""
    return f"#!/bin/sh\necho '{version}'\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    file = tmp_path / "policy.toml"
    file.write_text(SMALL)
    return file


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The stand-in's folder; it is the Viceroy that is found."""
    viceroy = program(tmp_path / "bin" / "viceroy", STAND_IN)
    monkeypatch.setenv("VICEROY", str(viceroy))
    (tmp_path / "app.wasm").write_bytes(b"")
    return viceroy.parent


class Serving:
    """A running `tiergate fastly serve` over the component of this path."""

    def __init__(
        self,
        component: Path,
        *arguments: str,
        env: dict[str, str] | None = None,
        stderr: int = subprocess.PIPE,
    ) -> None:
        self.process = subprocess.Popen(
            [
                *(sys.executable, "-m", "gateway.operator", "fastly", "serve"),
                *("--component", str(component), "--port", "0", *arguments),
            ],
            cwd=ROOT,
            env={**os.environ, **(env or {})},
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
        )

    def line(self) -> str:
        assert self.process.stdout
        line = self.process.stdout.readline()
        assert line, self.process.communicate()
        return line

    def ready(self) -> dict[str, Any]:
        """The line of --json; the log may have others before it."""
        while "ready" not in (answer := json.loads(self.line())):
            pass
        assert isinstance(answer, dict)
        return answer

    def introduction(self) -> str:
        lines = [self.line()]
        while "Ctrl-C" not in lines[-1]:
            lines.append(self.line())
        return "".join(lines)

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


def called(stand_in: Path) -> dict[str, Any]:
    value = json.loads((stand_in / "called.json").read_text())
    assert isinstance(value, dict)
    return value


# --- What Viceroy is given ----------------------------------------------------


def test_the_seed_is_what_publish_writes(tmp_path: Path) -> None:
    """The same publishing leaves the same keys and bytes in the seed file as in a folder."""
    seed, folder = SeedStore(tmp_path / "kv.json"), DirectoryStore(tmp_path / "kv")
    first = compile_text(changed(SMALL, "Everything", "Größe, 漢字, 🦀"), "p.toml").data
    second = compile_text(TWO_TIERS, "p.toml").data
    for store in (seed, folder):
        publish(store, first)
        publish(store, second)
        rollback(store)
    kept = json.loads((tmp_path / "kv.json").read_text())
    files = {key: folder.read(key) for key in folder.keys("")}
    assert {key: text.encode() for key, text in kept.items()} == files
    assert files["policy/active"] == first
    assert [seed.read(key) for key in seed.keys("policy/history/")] == [first, second, first]


def test_the_manifest_names_secrets_and_no_value() -> None:
    """Viceroy reads each secret from the variable of its name; without any the store is there."""
    local = tomllib.loads(manifest(Path("/tmp/gräße 🦀/kv.json"), ["A_KEY", "B_KEY"]))  # noqa: S108
    assert local["local_server"] == {
        "kv_stores": {KV_LINK: {"file": "/tmp/gräße 🦀/kv.json", "format": "json"}},  # noqa: S108
        "secret_stores": {
            SECRETS_LINK: [
                {"key": "A_KEY", "env": "A_KEY"},
                {"key": "B_KEY", "env": "B_KEY"},
            ]
        },
    }
    without = tomllib.loads(manifest(Path("kv.json"), []))
    assert without["local_server"]["secret_stores"] == {SECRETS_LINK: []}


def test_no_value_of_a_secret_is_written_anywhere(
    stand_in: Path, tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """Neither Viceroy's files nor its command line have one, and only those that are set are
    named."""
    policy.write_text(TWO_TIERS)
    set_ = ("OP_TEST_CLIENT_KEY", "OPENAI_API_KEY")
    env = {**dict.fromkeys(set_, "the-value"), "OP_TEST_HOUSE_KEY": " ", "GROQ_API_KEY": ""}
    serving = Serving(tmp_path / "app.wasm", "--policy", str(policy), "--json", env=env)
    servings.append(serving)
    ready = serving.ready()
    assert sorted(ready["missing_secrets"]) == ["GROQ_API_KEY", "OP_TEST_HOUSE_KEY"]
    assert "the-value" not in (stand_in / "called.json").read_text()
    local = tomllib.loads(called(stand_in)["files"]["fastly.toml"])["local_server"]
    named = [item["env"] for item in local["secret_stores"][SECRETS_LINK]]
    assert sorted(named) == sorted(set_)


# --- The command --------------------------------------------------------------


def test_the_help_has_an_example_and_says_what_cannot_change() -> None:
    """The help teaches with an example, and says that the policy stays as it was at the start."""
    text = " ".join(run("--help").stdout.split())
    assert "Example: tiergate fastly serve" in text
    assert "to change the policy, end this and start it again" in text


def test_it_refuses_other_machines_without_client_keys(policy: Path) -> None:
    """Beyond loopback the policy must name client keys; the refusal says what to add."""
    result = run("--policy", str(policy), "--host", "0.0.0.0")  # noqa: S104
    assert result.exit_code == 1
    assert 'keys = ["TIERGATE_KEY"]' in result.stderr


def test_it_says_how_to_build_the_component(policy: Path, tmp_path: Path) -> None:
    """A missing component is answered with the make target."""
    result = run("--policy", str(policy), "--component", str(tmp_path / "none.wasm"))
    assert result.exit_code == 1
    assert "`make fastly` builds build/tiergate-fastly.wasm" in result.stderr


@pytest.mark.usefixtures("machine")
def test_it_says_how_to_get_viceroy(policy: Path, tmp_path: Path) -> None:
    """Without Viceroy the command says how to install it, in one line."""
    (tmp_path / "app.wasm").write_bytes(b"")
    result = run("--policy", str(policy), "--component", str(tmp_path / "app.wasm"))
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "`make viceroy` installs it" in result.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_what_it_started(
    stand_in: Path, tmp_path: Path, servings: list[Serving], number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM end Viceroy and the mock provider, and its files go, with exit code 0."""
    port = free_port()
    file = tmp_path / "demo.toml"
    file.write_text(DEMO.read_text().replace("127.0.0.1:9900", f"127.0.0.1:{port}"))
    serving = Serving(tmp_path / "app.wasm", "--policy", str(file), "--json")
    servings.append(serving)
    ready = serving.ready()
    assert (ready["ready"], ready["mock"]) == (True, f"http://127.0.0.1:{port}/v1")
    socket.create_connection(("127.0.0.1", port)).close()

    code, _, err = serving.end(number)
    assert (code, err) == (0, "")
    with pytest.raises(ProcessLookupError):
        os.kill(called(stand_in)["pid"], 0)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    assert not Path(called(stand_in)["folder"]).exists()


@pytest.mark.usefixtures("stand_in")
def test_the_log_is_told_from_viceroys_own_words(
    tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """Lines of the log endpoint are plain JSON on stdout; everything else goes to stderr."""
    serving = Serving(tmp_path / "app.wasm", "--policy", str(policy), "--json")
    servings.append(serving)
    httpx.get(f"{serving.ready()['url']}/talk", trust_env=False)
    assert serving.line() == '{"event": "request"}\n'
    assert serving.process.stderr
    others = [serving.process.stderr.readline() for _ in range(2)]
    assert sorted(others) == ["ERROR it trapped\n", "INFO request completed\n"]
    assert serving.end()[1:] == ("", "")


@pytest.mark.usefixtures("stand_in")
def test_a_client_that_leaves_is_one_line(
    tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """Viceroy's panic at a client that has left is told in brief; a trap behind it is whole."""
    serving = Serving(tmp_path / "app.wasm", "--policy", str(policy), "--json")
    servings.append(serving)
    httpx.get(f"{serving.ready()['url']}/leave", trust_env=False)
    assert serving.process.stderr
    assert [serving.process.stderr.readline() for _ in range(3)] == [
        "Viceroy: a client has left before its answer\n",
        "ERROR WebAssembly trapped: wasm backtrace:\n",
        "    0: 0x1 - main\n",
    ]
    assert serving.end()[2] == ""


COMPILES = "Viceroy compiles the component, 10 to 60 s"


@pytest.mark.usefixtures("stand_in")
def test_it_says_what_takes_so_long(tmp_path: Path, policy: Path, servings: list[Serving]) -> None:
    """That Viceroy compiles is said in one plain line on stderr, and not to scripts."""
    serving = Serving(tmp_path / "app.wasm", "--policy", str(policy))
    servings.append(serving)
    assert serving.process.stderr
    assert serving.process.stderr.readline() == f"{COMPILES} ...\n"
    serving.introduction()
    assert serving.end()[2] == ""
    script = Serving(tmp_path / "app.wasm", "--policy", str(policy), "--json")
    servings.append(script)
    script.ready()
    assert script.end()[2] == ""


@pytest.mark.usefixtures("stand_in")
def test_on_a_terminal_it_shows_how_long_it_takes(
    tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """There the line counts the time, and is wiped out when the gateway answers."""
    ours, theirs = os.openpty()
    serving = Serving(
        *(tmp_path / "app.wasm", "--policy", str(policy)), env={"TERM": "xterm"}, stderr=theirs
    )
    servings.append(serving)
    os.close(theirs)
    serving.introduction()
    shown = ""
    while select.select([ours], [], [], 1)[0]:  # a terminal gives 4 KiB at a time
        shown += os.read(ours, 65536).decode(errors="replace")
    os.close(ours)
    assert COMPILES in shown
    assert "0:00:0" in shown
    assert shown.rindex("\x1b[2K") > shown.rindex(COMPILES)


@pytest.mark.usefixtures("stand_in")
def test_it_says_how_to_use_it(tmp_path: Path, policy: Path, servings: list[Serving]) -> None:
    """For people: the address, the policy, a request, and how the policy is changed here."""
    serving = Serving(tmp_path / "app.wasm", "--policy", str(policy))
    servings.append(serving)
    text = serving.introduction()
    assert "Tiergate serves http://127.0.0.1:" in text
    assert "policy small@" in text
    assert "curl -i http://127.0.0.1:" in text
    assert "for another policy start again" in text
    assert "--to fastly:tiergate" in text


def test_it_gives_the_last_words_of_viceroy(
    stand_in: Path, tmp_path: Path, policy: Path, servings: list[Serving]
) -> None:
    """If Viceroy dies its last lines are shown, and the exit code is 1."""
    (stand_in / "dies").touch()
    serving = Serving(tmp_path / "app.wasm", "--policy", str(policy))
    servings.append(serving)
    _, err = serving.process.communicate(timeout=20)
    assert serving.process.returncode == 1
    assert "Viceroy ended with exit code 1:\n  Error: it broke\n" in err


# --- Which Viceroy, and how it is installed -----------------------------------


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without Viceroy whose cargo builds one in no time; its folder."""
    program(tmp_path / "bin" / "cargo", CARGO)
    program(tmp_path / "bin" / "rustc", said("rustc 1.95.0 (abc 2026-01-01)"))
    for name in ("VICEROY", "CARGO_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("BUILDS", str(tmp_path / "builds"))
    monkeypatch.setenv("BUILD_SECONDS", "0")
    return tmp_path


def install() -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        ["sh", SCRIPT, "--install"], capture_output=True, text=True, check=False, timeout=30
    )


def test_viceroy_is_looked_for_in_this_order(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """$VICEROY alone if it is set; else PATH if it is new enough, else the cached one."""
    assert find_viceroy() is None
    cached = program(machine / "cache/tiergate/viceroy-0.22.0/bin/viceroy", said("viceroy 0.22.0"))
    assert find_viceroy() == cached
    on_path = program(machine / "bin" / "viceroy", said("viceroy 0.21.9"))
    assert find_viceroy() == cached
    for version in ("0.22.1", "0.100.0", "1.0.0"):
        on_path.write_text(said(f"viceroy {version}"))
        assert find_viceroy() == on_path
    mine = program(machine / "mine", said("viceroy 0.22.0"))
    monkeypatch.setenv("VICEROY", str(mine))
    assert find_viceroy() == mine
    mine.write_text(said("something else"))
    assert find_viceroy() is None


def test_it_is_installed_once(machine: Path) -> None:
    """The first install builds the pinned version and says how long it takes; the next has it."""
    first, second = install(), install()
    path = machine / "cache/tiergate/viceroy-0.22.0/bin/viceroy"
    assert (first.returncode, first.stdout) == (0, f"{path}\n")
    assert "10 to 20 minutes" in first.stderr
    assert (second.stdout, second.stderr) == (first.stdout, "")
    (build,) = (machine / "builds").read_text().splitlines()
    assert build.startswith("install viceroy --version 0.22.0 --locked")


@pytest.mark.skipif(shutil.which("flock") is None, reason="the lock is flock's")
def test_of_two_installs_one_builds(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second waits for the first and uses what that has built."""
    monkeypatch.setenv("BUILD_SECONDS", "1")
    command = ["sh", str(SCRIPT), "--install"]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        for _ in range(2)
    ]
    outputs = [one.communicate(timeout=30)[0] for one in both]
    assert outputs[0] == outputs[1] != b""
    assert len((machine / "builds").read_text().splitlines()) == 1


def test_an_interrupted_install_can_be_done_again(
    machine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed build leaves no Viceroy that looks finished and no lock."""
    monkeypatch.setenv("BUILD_SECONDS", "60")
    killed = subprocess.Popen(
        ["sh", str(SCRIPT), "--install"], start_new_session=True, stderr=subprocess.DEVNULL
    )
    while not (machine / "builds").exists():
        assert killed.poll() is None
        time.sleep(0.02)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(10)
    assert find_viceroy() is None
    monkeypatch.setenv("BUILD_SECONDS", "0")
    assert install().returncode == 0


def test_without_rust_it_says_how_to_get_it(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No cargo, or a Rust that is too old, is one clear line; a failed build shows its errors."""
    program(machine / "bin" / "rustc", said("rustc 1.85.0 (Debian)"))
    old = install()
    program(machine / "bin" / "cargo", "#!/bin/sh\nexit 127\n")
    none = install()
    assert (old.returncode, old.stderr) == (none.returncode, none.stderr)
    assert "cargo and Rust 1.95 or newer" in old.stderr
    assert old.stderr.count("\n") == 1
    program(machine / "bin" / "rustc", said("rustc 2.0.0"))
    program(machine / "bin" / "cargo", CARGO)
    monkeypatch.setenv("FAILS", "1")
    failed = install()
    assert (failed.returncode, failed.stdout) == (1, "")
    assert "error: no network" in failed.stderr


# --- The real one -------------------------------------------------------------


@pytest.mark.skipif(find_viceroy() is None, reason="there is no Viceroy: `make viceroy`")
def test_a_request_is_served_by_the_real_viceroy(tmp_path: Path, servings: list[Serving]) -> None:
    """The built component answers a chat under Viceroy and writes its decision record to stdout;
    a client's key is taken from the environment."""
    port = free_port()
    file = tmp_path / "demo.toml"
    text = DEMO.read_text().replace("127.0.0.1:9900", f"127.0.0.1:{port}")
    file.write_text(f'{text}\n[client]\nkeys = ["OP_TEST_CLIENT_KEY"]\n')
    env = {"OP_TEST_CLIENT_KEY": "the-client-key"}
    serving = Serving(COMPONENT, "--policy", str(file), "--json", env=env)
    servings.append(serving)
    ready = serving.ready()
    asked = {"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}
    with httpx.Client(base_url=ready["url"], trust_env=False, timeout=30) as client:
        refused = client.post("/v1/chat/completions", json=asked)
        header = {"authorization": "Bearer the-client-key"}
        answer = client.post("/v1/chat/completions", json=asked, headers=header)
    assert (refused.status_code, answer.status_code) == (401, 200)
    assert answer.headers["x-tiergate-policy"] == f"demo@{ready['policy']['version']}"
    records = [json.loads(serving.line()) for _ in range(2)]
    assert [record["status"] for record in records] == [401, 200]
    code, out, err = serving.end(signal.SIGINT)
    assert (code, out) == (0, "")
    assert "the-client-key" not in err
