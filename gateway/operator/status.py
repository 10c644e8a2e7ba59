"""`tiergate status`: what a running gateway says of itself, by its own /readyz."""

import os
from typing import Annotated, Any

import typer

from gateway.operator.console import Refused, reported, say, say_json

TIMEOUT_SECONDS = 10.0


def status(
    url: Annotated[
        str, typer.Option(metavar="URL", help="The gateway's address.")
    ] = "http://127.0.0.1:8080",
    *,
    key: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="The environment variable that has the gateway's key, if it asks."
        ),
    ] = "TIERGATE_KEY",
    as_json: Annotated[bool, typer.Option("--json", help="One line of JSON, for scripts.")] = False,
) -> None:
    """Show which policy a running gateway serves, what it lacks, and which targets it leaves alone.

    Exit code 1 if it is not ready or cannot be reached.

    Example: tiergate status --url http://127.0.0.1:8080
    """
    with reported(as_json=as_json):
        found = readiness(url, os.environ.get(key))
        if as_json:
            say_json(found)
        else:
            _show(found, url, key)


def readiness(url: str, key: str | None) -> dict[str, Any]:
    """What `GET /readyz` answers. Raises Refused."""
    import httpx  # noqa: PLC0415 - most commands need none, and start faster without

    headers = {"authorization": f"Bearer {key}"} if key else {}
    try:
        answer = httpx.get(
            f"{url.rstrip('/')}/readyz", headers=headers, timeout=TIMEOUT_SECONDS, trust_env=False
        )
        found = answer.json()
    except httpx.InvalidURL:
        raise Refused(f"{url} is no address: write it like http://127.0.0.1:8080") from None
    except httpx.UnsupportedProtocol:
        raise Refused(f"{url} must begin with http:// or https://") from None
    except httpx.HTTPError as error:
        raise Refused(f"no gateway answers at {url}: {error}") from None
    except ValueError:
        raise Refused(f"what answers at {url} is no Tiergate gateway") from None
    if answer.status_code != 200 or not isinstance(found, dict) or "status" not in found:
        problem = found.get("error", {}).get("message") if isinstance(found, dict) else None
        raise Refused(f"the gateway at {url} is not ready: {problem or answer.status_code}")
    return found


def _show(found: dict[str, Any], url: str, key: str) -> None:
    policy = found.get("policy")
    if policy is None:
        say(f"ready  {url}", "bold green")
        say(f"It tells more to those with its key: export {key}, or name its variable with --key.")
        return
    say(f"ready  {url}, policy {policy['name']}@{policy['version']}", "bold green")
    if found["problem"]:
        say(f"not the newest policy: {found['problem']}", "yellow")
    for name in found["missing_secrets"]:
        say(f"missing key  {name}", "yellow")
    for target in found["unusable_targets"]:
        say(f"no key       {target}", "yellow")
    for item in found["open_targets"]:
        say(f"failing      {item['target']}, left alone until {item['open_until']}", "yellow")
    if not (found["missing_secrets"] or found["unusable_targets"] or found["open_targets"]):
        say("all keys are there, and no target keeps failing")
