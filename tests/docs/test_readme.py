"""What the README and the docs tell a reader to do is done here, in a folder of its own."""

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", ROOT / "bench" / "README.md"]
DOCS += [*sorted((ROOT / "docs").glob("*.md")), ROOT / "policies" / "README.md"]


def blocks(language: str) -> list[str]:
    """The README's code blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def commands() -> list[str]:
    """The README's shell commands, continued lines joined."""
    text = "".join(blocks("sh")).replace("\\\n", " ")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that looks to the commands like the checkout, with a store of its own."""
    folder = tmp_path_factory.mktemp("checkout")
    for name in (".venv", "build", "policies"):
        (folder / name).symlink_to(ROOT / name)
    return folder


@pytest.fixture(scope="module")
def port(folder: Path) -> Iterator[int]:
    """`make serve`, as the Makefile spells it, on a free port."""
    planned = subprocess.run(
        ["make", "-n", "serve"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()[-1]
    assert planned == ".venv/bin/tiergate serve --policy policies/demo.toml --port 8080"
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
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


def run(command: str, folder: Path, port: int) -> str:
    """What a command prints; it must succeed."""
    done = subprocess.run(
        ["sh", "-c", command.replace("8080", str(port))],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def test_the_first_curl_of_the_readme_is_answered_as_it_says(folder: Path, port: int) -> None:
    """The curl line gets a chat completion, with every header that the README shows."""
    (command,) = [line for line in commands() if line.startswith("curl")]
    head, _, body = run(f"{command} -sS", folder, port).partition("\n\n")
    assert json.loads(body)["object"] == "chat.completion"
    shown = re.findall(
        r"^(x-tiergate-[\w-]+|server-timing): (.*)$", "".join(blocks("text")), re.MULTILINE
    )
    assert len(shown) >= 6
    got = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    for name, value in shown:
        assert name in got, name
        if name not in {"server-timing", "x-tiergate-cost-usd"}:
            assert got[name].strip() == value


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
    """check, publish, history, rollback and explain succeed while the gateway runs.

    There is nothing to go back to after the first publishing, so a second one is made before it.
    """
    lines = [line for line in commands() if line.startswith(".venv/bin/tiergate")]
    assert [line.split()[1:3] for line in lines] == [
        ["policy", "check"],
        ["policy", "publish"],
        ["policy", "history"],
        ["policy", "rollback"],
        ["explain", "--policy"],
    ]
    for line in lines:
        if line.endswith("rollback"):
            changed = folder / "changed.toml"
            changed.write_text((ROOT / "policies/demo.toml").read_text() + "\n[timeouts]\n")
            text = changed.read_text().replace('default_tier = "balanced"', 'default_tier = "fast"')
            changed.write_text(text)
            run(f".venv/bin/tiergate policy publish {changed}", folder, port)
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
