"""No secret and no prompt text where none belongs; `world.check` holds it for every other test."""

import json
from collections.abc import Sequence

import pytest

from gateway.hosts.memory import Canned, MemoryHttp, Script, run
from gateway.ports import AttemptTimeouts, Cut, Unreachable
from tests.flow.world import (
    DONE,
    ERROR,
    FINISH,
    KEYS,
    PROMPT,
    ROLE,
    USAGE,
    World,
    answer,
    body,
    check_secrecy,
    judged,
    refusal,
    streamed,
    text,
    whole,
    world,
)

STREAM = body(stream=True)
CLIENT = {"authorization": f"Bearer {KEYS['CLIENT_KEY']}"}
ECHO = json.dumps({"error": {"message": PROMPT, "type": PROMPT, "code": PROMPT, "param": PROMPT}})

SCRIPTS: list[tuple[str, Sequence[Script]]] = [
    ("answered", [judged("fast"), whole()]),
    ("classifier dead", [Unreachable(), whole()]),
    ("classifier echoes", [Canned(200, {}, [answer(PROMPT)]), whole()]),
    ("classifier refuses", [Canned(400, {}, [ECHO.encode()]), whole()]),
    ("all dead", []),
    ("keys refused", [judged("fast"), refusal(401, KEYS["ALPHA_KEY"])]),
    ("refused", [judged("fast"), refusal(400, KEYS["ALPHA_KEY"])]),
    ("refused with the prompt", [judged("fast"), Canned(400, {}, [ECHO.encode()])]),
    ("cut", [judged("fast"), Canned(200, {}, [answer()[:40]], Cut())]),
]
STREAMS: list[tuple[str, Sequence[Script]]] = [
    ("streamed", [judged("fast"), streamed(ROLE, text(PROMPT), FINISH, USAGE, DONE)]),
    ("broken", [judged("fast"), streamed(ROLE, text(PROMPT), failure=Cut())]),
    ("error", [judged("fast"), streamed(ROLE, text(PROMPT), ERROR)]),
    (
        "malformed",
        [judged("fast"), streamed(ROLE, text(PROMPT), b"data: " + PROMPT.encode() + b"\n\n")],
    ),
]


def gateway_with(*upstreams: Script) -> World:
    return world(
        *upstreams,
        client_keys=["CLIENT_KEY", "OTHER_KEY"],
        classifier__mode="model",
        classifier__model="judge/mini",
    )


@pytest.mark.parametrize(("scripts", "data"), [
    *(pytest.param(scripts, body(), id=name) for name, scripts in SCRIPTS),
    *(pytest.param(scripts, STREAM, id=name) for name, scripts in STREAMS),
])  # fmt: skip
def test_records_hold_neither_prompt_nor_secret(scripts: Sequence[Script], data: bytes) -> None:
    """Whatever happens to a request, its record says nothing of its words and no key."""
    gateway = gateway_with(*scripts)
    gateway.ask(data, CLIENT)
    assert len(gateway.records) == 1
    check_secrecy(None, gateway)


@pytest.mark.parametrize(
    "data",
    [
        b"{" + PROMPT.encode(),
        body(model=PROMPT),
        body(model=f"tiergate/{PROMPT}"),
        body(messages=[{"role": PROMPT, "content": PROMPT}]),
        body(temperature=PROMPT),
        body(**{PROMPT: 1}),
        json.dumps({PROMPT: 1}).encode()[:-1] + f', "{PROMPT}": 2}}'.encode(),
    ],
)
def test_bad_requests_leave_no_words_in_the_log(data: bytes) -> None:
    """A request that is refused leaves its error's code in the log and none of its text."""
    gateway = gateway_with(judged("fast"), whole())
    gateway.ask(data, CLIENT)
    check_secrecy(None, gateway)


def test_words_in_headers_and_paths() -> None:
    """Neither headers nor paths of a client are logged."""
    gateway = gateway_with()
    gateway.ask(headers={**CLIENT, "x-tiergate-tier": PROMPT, "user-agent": PROMPT})
    gateway.ask(headers={"authorization": f"Bearer {PROMPT}"})
    gateway.ask(headers={**CLIENT, "origin": PROMPT})
    gateway.ask(path=f"/{PROMPT}")
    gateway.ask(method=PROMPT)
    assert len(gateway.records) == 5
    check_secrecy(None, gateway)


class Broken(MemoryHttp):
    """A host with a defect whose exception quotes what it was given."""

    async def open(self, request: object, timeouts: AttemptTimeouts) -> None:  # type: ignore[override]
        raise RuntimeError(f"{request} {timeouts} {KEYS}")


def test_a_defect_says_only_where() -> None:
    """A defect of ours is a 500 that says nothing, and a log line with its kind and place."""
    gateway = world(http=Broken())
    got = gateway.ask()
    assert (got.status, got.error["code"]) == (500, "internal_error")
    assert got.error["type"] == "server_error"
    [defect] = [line for line in gateway.news if line["event"] == "defect"]
    assert set(defect) == {"event", "where"}
    assert defect["where"].startswith("RuntimeError in Broken.open:")
    assert gateway.record["status"] == 500


def test_a_bad_policy_is_not_quoted() -> None:
    """The complaint about a policy names a place in it, not its content."""
    gateway = world(whole())
    gateway.kv.values["policy/active"] = f'{{"format": 1, "version": "{PROMPT}"}}'.encode()
    gateway.ask()
    assert gateway.news[0]["event"] == "policy_not_loaded"
    check_secrecy(None, gateway)


def test_what_is_printed_of_a_host() -> None:
    """Headers show their names only when printed: a repr may end in a log."""
    gateway = gateway_with(judged("fast"), streamed(ROLE, text("a"), FINISH, DONE))
    response = run(gateway.begin(STREAM, CLIENT))
    assert "SECRET" not in repr(response)
    assert not isinstance(response.body, bytes)
    run(response.body.aclose())
