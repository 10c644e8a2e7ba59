"""What the README and the docs tell a reader to do is done here, in a folder of its own."""

import ast
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.operator.mock.faults import parse

ROOT = Path(__file__).parents[2]
MOCK = "http://127.0.0.1:9900"
EXPORT = 'export PATH="$PWD/.venv/bin:$PATH"'
README = (ROOT / "README.md").read_text()
DOCS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "bench" / "README.md",
    ROOT / "soak" / "README.md",
]
DOCS += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "policies" / "README.md"]


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The README's shell commands, continued lines joined."""
    text = "".join(blocks("sh")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def planned_serve(*variables: str) -> str:
    """The last command of `make serve`, not run. A make around the tests is not its parent."""
    passed_down = {"MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS", "POLICY", "PORT"}
    environment = {name: value for name, value in os.environ.items() if name not in passed_down}
    done = subprocess.run(
        ["make", "-n", "--no-print-directory", "serve", *variables],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env=environment,
    )
    return done.stdout.splitlines()[-1].rstrip()


@pytest.fixture(scope="module")
def mock_port() -> int:
    """Where this module's mock provider listens: on 9900 it may be somebody else's."""
    assert f'base_url = "{MOCK}/v1"' in (ROOT / "policies/demo.toml").read_text()
    return free_port()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mock_port: int) -> Path:
    """A folder that looks to the commands like the checkout, with a store and a mock of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "build"):
        (folder / name).symlink_to(ROOT / name)
    shutil.copytree(ROOT / "policies", folder / "policies")
    demo = folder / "policies/demo.toml"
    demo.write_text(demo.read_text().replace(":9900/", f":{mock_port}/"))
    return folder


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """`make serve`, as the Makefile spells it, on a free port."""
    planned = planned_serve()
    assert planned == ".venv/bin/tiergate serve --policy policies/demo.toml --port 8080"
    port = free_port()
    command = [*shlex.split(planned.replace("8080", str(port))), "--json"]
    keyless = {name: value for name, value in os.environ.items() if not name.endswith("_KEY")}
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.PIPE, text=True, env=keyless
    ) as process:
        try:
            assert process.stdout is not None
            assert json.loads(process.stdout.readline())["ready"] is True
            yield port
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=30)


def run(command: str, folder: Path, port: int, mock_port: int = 9900) -> str:
    """What a command prints; it must succeed. README's `export PATH` has been done."""
    script = command.replace("8080", str(port)).replace(":9900/", f":{mock_port}/")
    done = subprocess.run(
        ["sh", "-c", f"{EXPORT}\n{script}"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def exchanged(printed: str) -> tuple[dict[str, str], dict[str, Any]]:
    """The headers and the JSON body that `curl -i` has printed."""
    head, _, body = printed.partition("\n\n")
    pairs = (line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    return {name: value.strip() for name, value in pairs}, json.loads(body)


def headers_shown(number: int) -> dict[str, str]:
    """The response headers in one of the README's text blocks."""
    return dict(
        re.findall(
            r"^(x-tiergate-[\w-]+|server-timing): (.*)$", blocks("text")[number], re.MULTILINE
        )
    )


def test_the_first_curl_of_the_readme_is_answered_as_it_says(folder: Path, port: int) -> None:
    """The curl line gets a chat completion, with every header that the README shows."""
    command = next(line for line in commands() if line.startswith("curl"))
    got, body = exchanged(run(f"{command} -sS", folder, port))
    assert body["object"] == "chat.completion"
    shown = headers_shown(0)
    assert len(shown) >= 6
    for name, value in shown.items():
        assert name in got, name
        if name != "server-timing":
            assert got[name] == value


def test_what_the_readme_breaks_fails_over_and_is_mended(
    folder: Path, port: int, mock_port: int
) -> None:
    """The broken model's requests are answered by the other one, with the headers shown.

    The DELETE ends it. Three requests of four meet the fault, so that 30 all miss it once in 10^18.
    """
    _, broken, asked, mended = [line for line in commands() if line.startswith("curl")][:4]
    shown = headers_shown(1)
    assert "x-tiergate-fallback" in shown

    def fallbacks() -> list[str]:
        seen = []
        for _ in range(30):
            got, body = exchanged(run(f"{asked} -sS", folder, port))
            assert body["object"] == "chat.completion"
            if fallback := got.get("x-tiergate-fallback"):
                seen.append(fallback)
                assert {name: got[name] for name in shown} == shown
                break
        return seen

    assert fallbacks() == []
    run(f"{broken} -sSf", folder, port, mock_port)
    assert fallbacks() == [shown["x-tiergate-fallback"]]
    run(f"{mended} -sSf", folder, port, mock_port)
    assert fallbacks() == []


def test_every_fault_that_the_readme_names_is_one() -> None:
    """A fault in the README can be ordered from the mock provider."""
    specs = re.findall(r'{"fault": "([^"]+)"}', README)
    assert len(specs) >= 3
    for spec in specs:
        parse(spec)


def test_readyz_of_the_readme_names_the_policy(folder: Path, port: int) -> None:
    """Asked as the README does, /readyz says which policy serves and what is missing."""
    (command,) = [line for line in commands() if line.startswith("curl") and "/readyz" in line]
    answer = json.loads(run(f"{command} -sSf", folder, port))
    assert answer["policy"]["name"] == "demo"
    assert answer["missing_secrets"] == []


def test_the_options_of_serve_in_the_readme_are_there() -> None:
    """What ARGS hands to `make serve` reaches `tiergate serve`, which has each such option."""
    given = re.findall(r"ARGS='([^']+)'", README)
    assert len(given) == 2
    helped = subprocess.run(
        [".venv/bin/tiergate", "serve", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "COLUMNS": "200"},
    ).stdout
    for args in given:
        assert planned_serve(f"ARGS={args}").endswith(args)
        assert args.split()[0] in helped


def test_the_readmes_python_works(folder: Path, port: int) -> None:
    """The example of an OpenAI client prints an answer."""
    (source,) = blocks("python")
    done = subprocess.run(
        [sys.executable, "-c", source.replace("8080", str(port))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_readmes_policy_commands_work_in_their_order(folder: Path, port: int) -> None:
    """Each command of the README succeeds, in the order they stand in, while the gateway runs.

    There is nothing to go back to after the first publishing, so a second one is made before it.
    The log to replay holds the record that docs/decision-record.md shows.
    """
    page = (ROOT / "docs/decision-record.md").read_text()
    (example,) = re.findall(r"^```json\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    (folder / "gateway.log").write_text(json.dumps(json.loads(example)))
    assert EXPORT in commands()
    lines = [line for line in commands() if line.startswith("tiergate")]
    assert [line.split()[1:3] for line in lines] == [
        ["policy", "check"],
        ["policy", "publish"],
        ["policy", "history"],
        ["policy", "rollback"],
        ["explain", "--policy"],
        ["classify", "--prompt"],
        ["replay", "--policy"],
        ["status", "--url"],
    ]
    for line in lines:
        if line.endswith("rollback"):
            changed = folder / "changed.toml"
            changed.write_text((folder / "policies/demo.toml").read_text() + "\n[timeouts]\n")
            text = changed.read_text().replace('default_tier = "balanced"', 'default_tier = "fast"')
            changed.write_text(text)
            run(f"tiergate policy publish {changed}", folder, port)
        assert run(line, folder, port)


def test_every_make_target_in_the_docs_is_there() -> None:
    """A page never names a make target that the Makefile has not."""
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for path in DOCS:
        named = set(re.findall(r"(?:`|^)make ([a-z][\w-]*)", path.read_text(), re.MULTILINE))
        assert named <= targets, path
    assert {"serve", "test", "check", "bench", "help"} <= targets


def test_every_link_in_the_docs_leads_somewhere() -> None:
    """A relative link in a page is a file of the repository."""
    for path in DOCS:
        for link in re.findall(r"\]\(([^)#\s]+)", path.read_text()):
            if "://" not in link:
                assert (path.parent / link).exists(), (path, link)


def test_every_file_that_the_architecture_names_is_there() -> None:
    """docs/architecture.md names modules that exist."""
    text = (ROOT / "docs/architecture.md").read_text()
    names = re.findall(r"`((?:core|hosts|operator|tests)/[\w/]+\.py|[a-z_]+\.py)`", text)
    assert len(names) > 10
    for name in names:
        places = [ROOT / name, ROOT / "gateway" / name]
        places += [ROOT / "gateway/core/classifier" / name]
        assert any(place.exists() for place in places), name


def test_every_name_that_the_architecture_gives_is_there() -> None:
    """A single name in back quotes in docs/architecture.md is defined in gateway/."""
    defined: set[str] = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        defined.add(path.stem)
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(node.name)
    text = (ROOT / "docs/architecture.md").read_text()
    names = set(re.findall(r"`([A-Za-z_]\w*)`", text))
    assert len(names) > 3
    assert names <= defined
