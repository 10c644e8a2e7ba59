"""Who may call: keys of clients, origins of browsers."""

import pytest

from tests.flow.world import CHAT, KEYS, body, whole, world

RIGHT = {"authorization": f"Bearer {KEYS['CLIENT_KEY']}"}
ORIGIN = {"origin": "https://app.test"}


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {KEYS['CLIENT_KEY']}",
        f"bearer {KEYS['CLIENT_KEY']}",
        f"BEARER   {KEYS['CLIENT_KEY']} ",
        f"Bearer {KEYS['OTHER_KEY']}",
    ],
)
def test_a_right_key(value: str) -> None:
    """Any of the policy's keys opens the gateway; the scheme's case does not matter."""
    gateway = world(whole(), client_keys=["CLIENT_KEY", "OTHER_KEY"])
    assert gateway.ask(headers={"authorization": value}).status == 200


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer wrong",
        KEYS["CLIENT_KEY"],
        f"Basic {KEYS['CLIENT_KEY']}",
        "Bearer CLIENT_KEY",
        f"Bearer {KEYS['ALPHA_KEY']}",
        f"Bearer {KEYS['CLIENT_KEY'][:-1]}",
        f"Bearer {KEYS['CLIENT_KEY']}x",
        "Bearer \xe9\xff",
        "Bearer None",
    ],
)
@pytest.mark.parametrize("path", [CHAT, "/v1/route", "/v1/models"])
def test_a_wrong_key(path: str, value: str | None) -> None:
    """Without a right key there is a 401 that says what to send, and nobody is asked."""
    gateway = world(whole(), client_keys=["CLIENT_KEY", "UNSET_KEY"])
    headers = {} if value is None else {"authorization": value}
    got = gateway.ask(headers=headers, path=path, method="GET" if "models" in path else "POST")
    assert got.status == 401
    assert (got.error["type"], got.error["code"]) == ("authentication_error", "invalid_api_key")
    assert gateway.asked == []


def test_an_unset_key_opens_nothing() -> None:
    """A key that the policy names and nobody set is not the empty key."""
    for secrets in ({}, {"CLIENT_KEY": ""}):
        gateway = world(whole(), secrets=secrets, client_keys=["CLIENT_KEY"])
        assert gateway.ask(headers={"authorization": "Bearer "}).status == 401
    assert world(client_keys=[]).ask(headers={"authorization": "Bearer "}).status == 401


def test_the_key_comes_before_the_body() -> None:
    """A caller without a key learns nothing about its request."""
    gateway = world(client_keys=["CLIENT_KEY"])
    assert gateway.ask(b"not json").status == 401
    assert gateway.ask(b"", over_limit=1).status == 401


def test_the_clients_key_stays_here() -> None:
    """The client's key goes to no provider; the provider gets ours."""
    gateway = world(whole(), client_keys=["CLIENT_KEY"])
    gateway.ask(headers=RIGHT)
    headers = dict(gateway.http.requests[0].headers)
    assert headers["authorization"] == f"Bearer {KEYS['ALPHA_KEY']}"
    assert KEYS["CLIENT_KEY"] not in repr(gateway.http.requests)


@pytest.mark.parametrize("path", [CHAT, "/v1/route", "/v1/models"])
@pytest.mark.parametrize("keys", [None, ["CLIENT_KEY"]])
def test_pages_are_refused_unless_listed(path: str, keys: list[str] | None) -> None:
    """CORS is off by default: a browser's page is refused, even by an open gateway."""
    gateway = world(whole(), client_keys=keys)
    method = "GET" if "models" in path else "POST"
    got = gateway.ask(headers={**RIGHT, **ORIGIN}, path=path, method=method)
    assert (got.status, got.error["code"]) == (403, "origin_not_allowed")
    assert not [name for name in got.headers if name.startswith("access-control")]
    preflight = gateway.ask(b"", ORIGIN, path, "OPTIONS")
    assert preflight.status == 403
    assert gateway.asked == []


@pytest.mark.parametrize("origins", [["https://app.test"], ["https://other.test", "*"]])
def test_listed_pages(origins: list[str]) -> None:
    """A listed page may call and read the answer, its headers and its errors."""
    gateway = world(whole(), cors_origins=origins, client_keys=["CLIENT_KEY"])
    got = gateway.ask(headers={**RIGHT, **ORIGIN})
    assert got.status == 200
    assert got.headers["access-control-allow-origin"] == "https://app.test"
    assert got.headers["vary"] == "origin"
    assert got.headers["access-control-expose-headers"] == "*"
    refused = gateway.ask(b"{}", {**RIGHT, **ORIGIN})
    assert refused.status == 400
    assert refused.headers["access-control-allow-origin"] == "https://app.test"
    unauthorized = gateway.ask(headers=ORIGIN)
    assert unauthorized.status == 401
    assert unauthorized.headers["access-control-allow-origin"] == "https://app.test"


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/v1/route"])
def test_preflight(path: str) -> None:
    """A browser's question beforehand needs no key and lets it send what it asks to."""
    gateway = world(cors_origins=["https://app.test"], client_keys=["CLIENT_KEY"])
    asked = {
        **ORIGIN,
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization, x-stainless-os",
    }
    got = gateway.ask(b"", asked, path, "OPTIONS")
    assert (got.status, got.body) == (204, b"")
    assert got.headers["access-control-allow-origin"] == "https://app.test"
    assert got.headers["access-control-allow-headers"] == "authorization, x-stainless-os"
    assert "POST" in got.headers["access-control-allow-methods"]
    assert int(got.headers["access-control-max-age"]) > 0
    assert gateway.records == []


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.test.evil.test",
        "http://app.test",
        "https://app.test:8443",
        "null",
        "",
        "https://evil.test",
        "HTTPS://APP.TEST",
    ],
)
def test_other_pages(origin: str) -> None:
    """An origin is listed letter by letter or not at all."""
    gateway = world(whole(), cors_origins=["https://app.test"])
    got = gateway.ask(headers={"origin": origin})
    assert got.status == 403
    assert "access-control-allow-origin" not in got.headers


def test_without_an_origin() -> None:
    """A client that is no browser is not asked for an origin, nor told about them."""
    got = world(whole(), cors_origins=["https://app.test"]).ask(body())
    assert got.status == 200
    assert "access-control-allow-origin" not in got.headers
