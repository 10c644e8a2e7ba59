"""Everything that runs while the bench measures, each in a process of its own, all on loopback."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from bench.nginx import CHAT, proxy_config, upstream_config
from bench.payloads import ADDRESSES, BYPASS, STREAMED, chat_request, policy
from gateway.operator.compile import compile_text
from gateway.operator.listening import is_listening
from gateway.operator.serve import find_component, wasmtime_command
from gateway.operator.stores import DirectoryStore, publish

READY_SECONDS = 30
# Debian keeps nginx where not everybody's PATH looks.
_PATH = f"{os.environ.get('PATH', os.defpath)}{os.pathsep}/usr/sbin"


class RigError(Exception):
    """Something does not run, or does not answer as it should; the message says what."""


@dataclass(frozen=True, slots=True)
class Rig:
    """What is measured. `body` is the file with the request; `policy` is what the gateway serves,
    compiled; `gateway_pid` is wasmtime's."""

    gateway_port: int
    nginx_port: int
    gateway_pid: int
    body: Path
    policy: bytes

    @property
    def gateway_url(self) -> str:
        return f"http://127.0.0.1:{self.gateway_port}{CHAT}"

    @property
    def nginx_url(self) -> str:
        return f"http://127.0.0.1:{self.nginx_port}{CHAT}"

    def memory_mb(self) -> float:
        """The resident memory of the gateway's process, in MB."""
        status = Path(f"/proc/{self.gateway_pid}/status").read_text()
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:"))
        return int(kib) * 1024 / 1e6

    def cpu_ms(self) -> float:
        """The CPU time that the gateway's process has taken, in milliseconds."""
        fields = Path(f"/proc/{self.gateway_pid}/stat").read_text().rpartition(")")[2].split()
        user, system = int(fields[11]), int(fields[12])  # utime and stime: proc_pid_stat(5)
        return (user + system) * 1000 / os.sysconf("SC_CLK_TCK")


def missing_tools() -> str | None:
    """One line on what has to be installed first, or None."""
    missing = [
        package
        for program, package in (("nginx", "nginx-light"), ("wrk", "wrk"))
        if shutil.which(program, path=_PATH) is None
    ]
    if missing:
        return f"it needs {' and '.join(missing)}: apt-get install {' '.join(missing)}"
    if not Path("/proc/self/status").is_file():
        return "it runs on Linux only: it reads /proc and listens at 127.0.1.1 to 127.0.1.8"
    return None


@contextmanager
def running(folder: Path, mode: str = "model") -> Iterator[Rig]:
    """Starts it all with its files in `folder`, and ends it. `mode`: who judges. Raises RigError,
    Refused."""
    whole_port, stream_port = _free_ports(ADDRESSES[0])
    nginx_port, gateway_port = _free_ports("127.0.0.1")
    folder.mkdir(exist_ok=True)
    body = folder / "request.json"
    body.write_bytes(chat_request())

    text = policy(whole_port=whole_port, stream_port=stream_port, mode=mode)
    compiled = compile_text(text, "bench")
    publish(DirectoryStore(folder / "kv"), compiled.data)
    commands = {
        "upstream": _nginx(folder / "upstream", upstream_config(whole_port)),
        "streams": [sys.executable, "-m", "bench.streams", str(stream_port)],
        "nginx": _nginx(
            folder / "nginx",
            proxy_config(nginx_port, whole_port=whole_port, stream_port=stream_port),
        ),
        "gateway": wasmtime_command(
            find_component(None),
            folder / "kv",
            f"127.0.0.1:{gateway_port}",
            compiled.policy,
            environment={},
        ),
    }
    processes: dict[str, subprocess.Popen[bytes]] = {}
    try:
        for name, command in commands.items():
            # The gateway's decision records go to a file, as a service manager would have it.
            with (folder / f"{name}.log").open("wb") as log:
                processes[name] = subprocess.Popen(command, stdout=log, stderr=log)
        for name, address, port in (
            ("upstream", ADDRESSES[-1], whole_port),
            ("streams", ADDRESSES[-1], stream_port),
            ("nginx", "127.0.0.1", nginx_port),
            ("gateway", "127.0.0.1", gateway_port),
        ):
            _wait_ready(processes[name], folder / f"{name}.log", address, port)
        rig = Rig(gateway_port, nginx_port, processes["gateway"].pid, body, compiled.data)
        check_gateway(rig.gateway_port, mode)
        _check_nginx(rig.nginx_port)
        yield rig
    finally:
        for process in reversed(processes.values()):
            process.terminate()
        for process in processes.values():
            process.wait(10)


def _free_ports(address: str) -> tuple[int, int]:
    with socket.create_server((address, 0)) as one, socket.create_server((address, 0)) as other:
        return one.getsockname()[1], other.getsockname()[1]


def _nginx(folder: Path, config: str) -> list[str]:
    folder.mkdir()
    (folder / "nginx.conf").write_text(config)
    program = shutil.which("nginx", path=_PATH) or "nginx"
    return [program, "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"]


def _wait_ready(process: "subprocess.Popen[bytes]", log: Path, address: str, port: int) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not is_listening(address, port):
        if process.poll() is not None or time.monotonic() > deadline:
            raise RigError(f"{log.stem} does not run: {log.read_text()[-1000:]}")
        time.sleep(0.05)


def check_gateway(port: int, mode: str = "model") -> None:
    """One request of each kind: what is measured must be what it is called. Raises RigError."""
    kinds: dict[str, dict[str, str]] = {mode: {}, "bypass": BYPASS, "forced": STREAMED}
    for decision, headers in kinds.items():
        answer = _post(port, CHAT, headers, stream=decision == "forced")
        decided = answer.getheader("x-tiergate-decision")
        if answer.status != 200 or decided != decision:
            raise RigError(f"the gateway answers {answer.status}, decided by {decided}: {headers}")


def _check_nginx(port: int) -> None:
    for path in (CHAT, f"/stream{CHAT}"):
        answer = _post(port, path, {}, stream=False)
        if answer.status != 200:
            raise RigError(f"nginx answers {answer.status} for {path}")


def _post(port: int, path: str, headers: dict[str, str], *, stream: bool) -> HTTPResponse:
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    fields = {"content-type": "application/json", **headers}
    try:
        connection.request("POST", path, chat_request(stream=stream), fields)
        return connection.getresponse()
    except (OSError, HTTPException) as error:
        raise RigError(f"port {port} does not answer: {error}") from None
    finally:
        connection.close()
