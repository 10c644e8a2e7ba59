"""What the `serve` commands do alike: guard the door, run the host, say how to use it."""

import os
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from pathlib import Path

from gateway.core.policy import Policy
from gateway.operator.compile import Compiled
from gateway.operator.console import (
    Refused,
    default_tier_line,
    missing_lines,
    missing_secrets,
    out,
    print_table,
    say,
    say_json,
    stress,
    tiers_table,
    waiting,
    warn,
)
from gateway.operator.listening import address_of, is_loopback_address
from gateway.operator.processes import HostProcess, Mock, Stop, mock_beside

_LOOK_SECONDS = 0.2  # How often it looks whether the host still runs.


def guarded_address(host: str, policy: Policy, file: Path) -> str:
    """The IP address of a host to listen at. Raises Refused if others could call without a key."""
    address = address_of(host)
    if not is_loopback_address(address) and policy.client_keys is None:
        raise Refused(
            f"--host {host} can be reached from other machines, and the policy lets anyone"
            f' call. Add to {file}:\n\n  [client]\n  keys = ["TIERGATE_KEY"]\n\n'
            "and set TIERGATE_KEY in the environment to the key that clients must send"
        )
    return address


def serve_until_stopped(
    start: Callable[[], HostProcess],
    compiled: Compiled,
    *,
    source: Iterable[str],
    change: Iterable[str],
    as_json: bool,
    starting: str | None = None,
) -> None:
    """Starts a host, and the mock provider if the policy has one; ends both with Ctrl-C.

    For the introduction: `source` says where the policy is from, `change` how it is changed, a
    line each, commands indented. `starting` is said while it starts, where that takes long. Raises
    Refused if the host does not start, or ends.
    """
    policy = compiled.policy
    stop = Stop()
    with mock_beside(policy) as mock:
        gateway = start()
        try:
            with waiting(starting) if starting and not as_json else nullcontext():
                serving = gateway.wait_ready(stop)
                if mock:
                    mock.wait_ready(stop)
            if stop.is_set():
                return
            missing = missing_secrets(policy, os.environ)
            if serving != policy.label:
                warn(f"it serves {serving}, not {policy.label}: see /readyz")
            if as_json:
                say_json(_ready(gateway.url, policy, missing, mock))
            else:
                for line in compiled.warnings:
                    warn(line)
                _introduce(gateway.url, policy, source, change, mock, missing)
            is_mock_alive = True
            while not stop.wait(_LOOK_SECONDS):
                gateway.check()
                if mock and is_mock_alive and mock.has_ended():
                    is_mock_alive = False
                    warn(f"the mock provider at {mock.base_url} has ended; the gateway runs on")
        finally:
            gateway.end()


def _ready(url: str, policy: Policy, missing: list[str], mock: Mock | None) -> dict[str, object]:
    return {
        "ready": True,
        "url": url,
        "policy": {"name": policy.name, "version": policy.version},
        "missing_secrets": missing,
        "mock": mock.base_url if mock and mock.is_needed else None,
    }


def _introduce(
    url: str,
    policy: Policy,
    source: Iterable[str],
    change: Iterable[str],
    mock: Mock | None,
    missing: list[str],
) -> None:
    say(f"Tiergate serves {url}/v1", "bold green")
    for line in source:
        say(line)
    if mock and mock.is_needed:
        say(f"mock provider beside it at {mock.base_url}")
    elif mock:
        say(f"uses the provider already at {mock.base_url}")
    say("")
    print_table(tiers_table(policy, missing))
    if missing:
        stress("", "")
        for text in missing_lines(policy, missing):
            stress(text, "yellow")
    key, condition = _client_key(policy, missing)
    say(f"\nTry it{condition}:")
    say(f"  {curl_line(url, key)}", "cyan")
    for line in change:
        say(line, "cyan" if line.startswith("  ") else "")
    say("\nOne decision record a request follows. Ctrl-C ends it.", "dim")
    if remedy := default_tier_line(policy, missing):
        stress(remedy, "bold red")
    out.file.flush()


def _client_key(policy: Policy, missing: list[str]) -> tuple[str | None, str]:
    """The name of the key to try it with, and what has to be done before."""
    if not policy.client_keys:
        return None, ""
    if name := next((name for name in policy.client_keys if name not in missing), None):
        return name, ""
    return policy.client_keys[0], f", after a new start with {policy.client_keys[0]} set"


def curl_line(url: str, key: str | None) -> str:
    """A request to try, for a shell that has the variable `key`."""
    header = f' -H "Authorization: Bearer ${key}"' if key else ""
    body = '{"model": "auto", "messages": [{"role": "user", "content": "What is 2 + 2?"}]}'
    return (
        f"curl -i {url}/v1/chat/completions{header} -H 'Content-Type: application/json' -d '{body}'"
    )
