"""Runs the component under wasmtime on this machine.

Rules: secrets reach the guest by name only (`--env NAME`), so that no value is in the process list;
nothing listens beyond loopback unless clients need a key.
"""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import ClassVar

from gateway.core.policy import Policy
from gateway.core.providers import PROVIDERS
from gateway.operator import wasmtime
from gateway.operator.console import Refused
from gateway.operator.fields import is_loopback
from gateway.operator.processes import HostProcess

# Requests an instance serves before it is made anew: making one costs a request 10 to 20 ms, so
# as good as never; what it has learnt in the meantime (the parsed policy) stays.
MAX_INSTANCE_REUSE = 100_000
# Requests at the same time in one instance, wasmtime's own default: an instance is one thread.
MAX_INSTANCE_CONCURRENCY = 16
# How long an idle instance is kept, where wasmtime's default is a second.
IDLE_INSTANCE = "60s"

# The name of the clients' key in policies/production.toml and in what `serve` advises: passed on
# though this policy may not ask for it, as one published later may.
CLIENT_KEY = "TIERGATE_KEY"
# Other machines reach the gateway. The guest then refuses a policy without [client] keys, so that
# no later publish or rollback opens to all what was started for holders of a key.
EXPOSED = "TIERGATE_EXPOSED"


def find_component(
    given: Path | None, built: str = "build/tiergate.cwasm", target: str = "component"
) -> Path:
    """The component to run: the given one, or the one that `make target` has built. Raises
    Refused."""
    if given is not None:
        if not given.is_file():
            raise Refused(f"{given} is not there: `make {target}` builds {built}")
        return given
    for path in (Path(built), Path(__file__).parents[2] / built):
        if path.is_file():
            return path
    raise Refused(f"{built} is not there: `make {target}` builds it (or --component PATH)")


def wasmtime_command(
    component: Path,
    kv: Path,
    address: str,
    policy: Policy,
    environment: Mapping[str, str],
    secrets: Iterable[str] = (),
) -> list[str]:
    """The command line that serves at `address`, like 127.0.0.1:8080. `secrets` are names beside
    those of the policy and of known providers. Raises NoWasmtime."""
    rows = (row.key for row in PROVIDERS.values() if row.key)
    names = dict.fromkeys([*policy.secret_names(), *rows, CLIENT_KEY, *secrets])
    known = [name for name in names if environment.get(name) and name != EXPOSED]
    exposed = [] if is_loopback(f"http://{address}") else [f"--env={EXPOSED}=1"]
    return [
        str(wasmtime.find()),
        "serve",
        "--allow-precompiled",
        "-Scli",
        "-Sp3",
        "-Wcomponent-model-async",
        f"--addr={address}",
        f"--dir={kv}::/kv",
        *(f"--env={name}" for name in known),
        *exposed,
        "--no-logging-prefix",
        f"--idle-instance-timeout={IDLE_INSTANCE}",
        f"--max-instance-reuse-count={MAX_INSTANCE_REUSE}",
        f"--max-instance-concurrent-reuse-count={MAX_INSTANCE_CONCURRENCY}",
        str(component),
    ]


_OTHER_VERSION = "Another wasmtime compiled it: delete build/tiergate.cwasm and `make component`"


class Wasmtime(HostProcess):
    """A running wasmtime. It writes the gateway's log to our stdout itself."""

    name = "wasmtime"
    hints: ClassVar = {"compiled with": _OTHER_VERSION, "incompatible": _OTHER_VERSION}

    def take(self, line: str) -> bool:
        if not self.port and (match := re.match(r"Serving HTTP on http://.*:(\d+)/", line)):
            self.port = int(match[1])
        return False
