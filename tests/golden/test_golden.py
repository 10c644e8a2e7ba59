"""Each golden folder through the whole flow: what is sent, what comes back, however it is cut."""

import json
import re
from typing import Any
from urllib.parse import quote

import pytest

from gateway.core.dialects import DIALECTS
from gateway.hosts.memory import Canned
from tests.core.samples import provider, target
from tests.flow.exchanges import PATHS
from tests.flow.world import Got, World, world
from tests.golden.cases import CASES, Case, events

STREAMED = [case for case in CASES if case.read("upstream.sse") is not None]
LEAST_OF_A_SIDE = 20
LEAST_OF_A_PAIR = 4


def ask(case: Case, chunks: list[bytes]) -> tuple[World, Got]:
    """The gateway's answer to the case's client, the provider's bytes coming in these chunks."""
    settings = case.settings
    model = settings.get("model", "m-1")
    kind = "text/event-stream" if case.read("upstream.sse") is not None else "application/json"
    headers = {"content-type": kind, **settings.get("retry", {})}
    row = provider("up", dialect=case.provider, key=None, **settings.get("provider", {}))
    gateway = world(
        Canned(settings.get("upstream_status", 200), headers, chunks),
        providers={"up": row},
        tiers=[{"name": "only", "description": "d", "targets": [target(f"up/{model}")]}],
        default_tier="only",
        models={},
        prices={},
        **settings.get("policy", {}),
    )
    asked_model = settings.get("ask", "auto")
    path, _, query = (
        PATHS[case.client][settings.get("stream", case.is_stream)]
        .format(model=quote(asked_model, safe="/"))
        .partition("?")
    )
    request = case.read("client_request.json")
    assert request is not None
    return gateway, gateway.ask(request, path=path, query=query)


def as_sent(case: Case) -> list[bytes]:
    """A whole answer at once, a stream event by event: an error behind the first content in the
    same chunk would be an attempt that failed, since nothing of it was shown yet."""
    return [part for part in re.split(rb"(?<=\n\n)", case.upstream) if part]


def check_answer(case: Case, gateway: World, got: Got, upstream: bytes) -> None:
    """Status, body, headers and usage are what the case says."""
    settings = case.settings
    assert got.status == settings.get("status", 200), got.body.decode()
    if (stream := case.read("client.sse")) is not None:
        assert events(got.body) == events(stream)
    elif (whole := case.read("client.json")) is not None:
        assert json.loads(got.body) == json.loads(whole)
    else:
        assert got.body == upstream
    for name, value in settings.get("headers", {}).items():
        assert got.headers.get(name) == value
    if "usage" in settings:
        assert gateway.record["usage"] == settings["usage"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_exchange(case: Case) -> None:
    """The provider gets exactly the request of the folder, the client exactly its answer."""
    gateway, got = ask(case, as_sent(case))
    check_answer(case, gateway, got, case.upstream)
    expected = case.read("upstream_request.json")
    if expected is None:
        assert gateway.http.requests == []
        return
    [sent] = gateway.http.requests
    assert json.loads(sent.body) == json.loads(expected)
    if case.client == case.provider:
        assert keys(json.loads(sent.body)) == keys(json.loads(expected)), "their order is kept"


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("case", STREAMED, ids=lambda case: case.name)
def test_a_stream_cut_at_every_byte(case: Case, ending: bytes) -> None:
    """A stream that comes byte by byte, in the middle of UTF-8 too, and with any line ends, is the
    same answer."""
    upstream = case.upstream.replace(b"\n", ending)
    gateway, got = ask(case, [upstream[at : at + 1] for at in range(len(upstream))])
    check_answer(case, gateway, got, upstream)


def keys(value: object) -> object:
    """The names in a JSON value in their order."""
    if isinstance(value, dict):
        return [(name, keys(item)) for name, item in value.items()]
    return [keys(item) for item in value] if isinstance(value, list) else None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_a_folder_says_of_itself(case: Case) -> None:
    """Each folder has its rule in a sentence, and cites where its facts come from."""
    about: Any = case.settings["about"]
    assert about.endswith(".")
    assert " " in about
    facts = case.settings["facts"]
    assert facts
    assert all(fact.startswith("https://") for fact in facts)
    known = {
        "case.toml", "client_request.json", "upstream_request.json", "upstream.json",
        "upstream.sse", "client.json", "client.sse",
    }  # fmt: skip
    assert {path.name for path in case.folder.iterdir()} <= known


@pytest.mark.parametrize("name", DIALECTS)
def test_there_are_enough(name: str) -> None:
    """At least 20 folders have a dialect as the client's, 20 as the provider's, and 4 lie between
    it and each other one, whole and streamed."""
    assert len([case for case in CASES if case.client == name]) >= LEAST_OF_A_SIDE
    assert len([case for case in CASES if case.provider == name]) >= LEAST_OF_A_SIDE
    for other in DIALECTS:
        if other != name:
            pair = [case for case in CASES if (case.client, case.provider) == (name, other)]
            assert len(pair) >= LEAST_OF_A_PAIR, other
            assert {case.is_stream for case in pair} == {True, False}, other
