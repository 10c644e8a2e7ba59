"""`tiergate explain`: what the gateway would do with a prompt, by the very flow that would do it.

Rules: nobody is called, except the classifier with --ask; the draw of weights is always the same,
so that the same policy and prompt explain the same way.
"""

import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from gateway.core.classifier.model import read_weights
from gateway.core.http import Headers, Outgoing, Request
from gateway.core.policy import Policy
from gateway.flow import respond
from gateway.hosts.memory import MemoryKv, memory_ports, run
from gateway.operator.compile import Compiled, compile_file
from gateway.operator.console import Refused, print_table, reported, say, say_json
from gateway.operator.judged import judged_by, say_judged
from gateway.operator.requests_file import excerpt_of
from gateway.policies import ACTIVE
from gateway.ports import AttemptTimeouts, Cut, Silent, Unreachable, Upstream
from gateway.weights import PREFIX as WEIGHTS
from gateway.weights import stored

_A_KEY = "explain"  # Stands for keys that are not set; goes nowhere.


def explain(
    *,
    policy: Annotated[Path, typer.Option(metavar="FILE", help="The policy, in TOML.")],
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What the user asks.")],
    ask: Annotated[
        bool, typer.Option("--ask", help="Call the classifier, as the gateway would.")
    ] = False,
    assume_keys: Annotated[
        bool, typer.Option("--assume-keys", help="Plan as if every provider's key were set.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")] = False,
) -> None:
    """Show which tier a prompt gets, why, and which targets would be tried. Forwards nothing.

    Without --ask nobody is called: where the classifier model would decide, the plan shown is the
    one for when it cannot, and the other tiers' plans are listed beside it.

    Where the policy's mode is local or hybrid, it also shows the probability of each level by the
    embedded model, and which words of the prompt (of a long one, which sentences) pulled towards
    the level that was chosen and which towards the next one, in log-odds: 0.7 halves or doubles
    the odds.

    Example: tiergate explain --policy policies/demo.toml --prompt "Prove it." --ask
    """
    with reported(as_json=as_json):
        compiled = compile_file(policy)
        route = route_of(
            compiled, prompt, is_asking=ask, assume_keys=assume_keys, environment=os.environ
        )
        if as_json:
            say_json(route)
        else:
            _show(compiled.policy, route, prompt)


def route_of(
    compiled: Compiled,
    prompt: str,
    *,
    is_asking: bool,
    assume_keys: bool,
    environment: Mapping[str, str],
) -> dict[str, Any]:
    """What `POST /v1/route` answers; `asked`: whether the classifier model was; `judged`: what the
    embedded model says, None where it was not consulted. Raises Refused."""
    policy = compiled.policy
    secrets = {name: value for name, value in environment.items() if value.strip()}
    if not is_asking and assume_keys:
        secrets |= dict.fromkeys(policy.secret_names(), _A_KEY)
    headers = [("content-type", "application/json")]
    if policy.client_keys:
        secrets[policy.client_keys[0]] = _A_KEY
        headers.append(("authorization", f"Bearer {_A_KEY}"))
    http = _AskingHttp() if is_asking else _SilentHttp()
    kept = {ACTIVE: compiled.data}
    if compiled.weights is not None:
        kept[f"{WEIGHTS}{policy.classifier.weights}"] = stored(compiled.weights)
    ports = replace(memory_ports(secrets=secrets), kv=MemoryKv(kept), http=http, clock=_RealClock())
    body = json.dumps({"model": "auto", "messages": [{"role": "user", "content": prompt}]})
    response = run(respond(Request("POST", "/v1/route", Headers(headers), body.encode()), ports))
    answer: dict[str, Any] = json.loads(response.body if isinstance(response.body, bytes) else b"")
    if response.status != 200:
        raise Refused(f"the gateway would answer {response.status}: {answer['error']['message']}")
    if not is_asking and http.was_needed:
        answer["decision"]["reason"] = "classifier_not_asked"
        answer["classifier"] = None
    asked = is_asking and http.was_needed
    return {**answer, "asked": asked, "judged": _judged(compiled, prompt, answer["decision"])}


def _judged(compiled: Compiled, prompt: str, decision: dict[str, Any]) -> dict[str, Any] | None:
    """What the embedded model says of the prompt, if the flow came as far as asking it."""
    settings = compiled.policy.classifier
    if settings.mode not in {"local", "hybrid"} or decision["by"] == "rule":
        return None
    weights = read_weights(compiled.weights) if compiled.weights else memory_ports().weights
    return judged_by(weights, excerpt_of(prompt), settings.lean)


class _SilentHttp:
    """Reaches nobody, and remembers whether the flow wanted to."""

    def __init__(self) -> None:
        self.was_needed = False

    async def open(self, request: Outgoing, timeouts: AttemptTimeouts) -> Upstream:  # noqa: ARG002
        raise Unreachable

    async def fetch(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        self.was_needed = True
        return self._exchange(request, timeout_ms, limit)

    def _exchange(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:  # noqa: ARG002
        raise Unreachable


class _AskingHttp(_SilentHttp):
    """Calls the classifier, blocking: there is nothing else to do meanwhile."""

    def _exchange(self, request: Outgoing, timeout_ms: int, limit: int) -> tuple[int, bytes]:
        import httpx  # noqa: PLC0415 - most commands need none, and start faster without

        url = f"{request.scheme}://{request.authority}{request.path}"
        deadline = time.monotonic() + timeout_ms / 1000
        has_head = False
        body = b""
        try:
            with (
                httpx.Client(trust_env=False, timeout=timeout_ms / 1000) as client,
                client.stream("POST", url, headers=request.headers, content=request.body) as answer,
            ):
                has_head = True
                for chunk in answer.iter_raw():
                    body += chunk
                    if time.monotonic() > deadline:
                        raise Silent
                    if len(body) > limit:
                        raise Cut
                return answer.status_code, body
        except httpx.TimeoutException:
            raise Silent from None
        except httpx.HTTPError:
            raise (Cut if has_head else Unreachable) from None


@dataclass(frozen=True, slots=True)
class _RealClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, ms: int) -> None:
        time.sleep(ms / 1000)  # noqa: ASYNC251 - it is driven step by step, without a loop

    def vcpu_ms(self) -> int | None:
        return None


def _show(policy: Policy, route: dict[str, Any], prompt: str) -> None:
    decision, call = route["decision"], route["classifier"]
    say(f"policy {policy.label}")
    say(f"prompt {prompt[:70]!r}{'...' if len(prompt) > 70 else ''}")
    reason = f" ({decision['reason']})" if decision["reason"] else ""
    say(f"tier   {decision['tier']}, decided by: {decision['by']}{reason}", "bold green")
    if route["judged"]:
        say_judged(route["judged"], policy)
    if call:
        say(f"judge  {call['target']}: {call['outcome']} in {call['ms']} ms")
    say("")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("try", "target", ""):
        table.add_column(column)
    for index, item in enumerate(route["plan"], 1):
        table.add_row(str(index), item["target"], "")
    for item in route["left_out"]:
        table.add_row("-", item["target"], f"left out: {item['reason']}", style="yellow")
    print_table(table)
    if decision["reason"] == "classifier_not_asked" and policy.classifier.target:
        say(f"\nThe classifier {policy.classifier.target.id} would choose (--ask asks it) among:")
        for tier in policy.tiers.values():
            say(f"  {tier.name}: {', '.join(target.id for target in tier.targets)}")
