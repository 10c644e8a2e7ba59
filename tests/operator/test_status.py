"""`tiergate status`: what it says of a gateway that is well, is not, or is none."""

import json
from typing import Any

import pytest
from pytest_httpserver import HTTPServer
from typer.testing import CliRunner, Result

from gateway.operator.cli import app

WELL: dict[str, Any] = {
    "status": "ready",
    "policy": {"name": "demo", "version": "81027df528e1"},
    "problem": None,
    "missing_secrets": [],
    "unusable_targets": [],
    "open_targets": [],
}


def run(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(app, ["status", *arguments], env=environment)


def at(server: HTTPServer, status: int = 200, **changes: object) -> str:
    """The address of a gateway that answers so."""
    server.expect_request("/readyz").respond_with_json({**WELL, **changes}, status)
    return server.url_for("").rstrip("/")


def test_a_gateway_that_is_well(httpserver: HTTPServer) -> None:
    """Its policy is named, and that nothing is missing."""
    result = run("--url", at(httpserver), TIERGATE_KEY="k")
    assert result.exit_code == 0
    assert "demo@81027df528e1" in result.stdout
    assert "no target keeps failing" in result.stdout
    request, _ = httpserver.log[0]
    assert request.headers["authorization"] == "Bearer k"


def test_what_is_wrong_with_it(httpserver: HTTPServer) -> None:
    """Each missing key, each target without one, each target that rests, has a line."""
    url = at(
        httpserver,
        missing_secrets=["GROQ_API_KEY"],
        unusable_targets=["groq/m"],
        open_targets=[{"target": "mock/small", "open_until": "2026-03-01T09:30:00.125+00:00"}],
        problem="policy/active does not load",
    )
    said = run("--url", url).stdout
    for word in ("GROQ_API_KEY", "groq/m", "mock/small", "09:30:00", "does not load"):
        assert word in said


def test_json(httpserver: HTTPServer) -> None:
    """Scripts get what the gateway said, in one line."""
    result = run("--url", at(httpserver), "--json")
    assert json.loads(result.stdout) == WELL


def test_without_its_key(httpserver: HTTPServer) -> None:
    """Who has no key learns that it is alive, and how to learn more."""
    httpserver.expect_request("/readyz").respond_with_json({"status": "ready"})
    result = run("--url", httpserver.url_for(""), "--key", "OTHER_KEY")
    assert result.exit_code == 0
    assert "OTHER_KEY" in result.stdout


@pytest.mark.parametrize("url", ["127.0.0.1:1", "http://127.0.0.1:1", "ftp://x", "http://[", ""])
def test_no_gateway_there(url: str) -> None:
    """An address where nobody is, or that is none, is one line and exit code 1."""
    result = run("--url", url)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert "Traceback" not in result.stderr


def test_a_gateway_that_is_not_ready(httpserver: HTTPServer) -> None:
    """Its own words say why."""
    error = {"error": {"message": "There is no policy to serve by."}}
    httpserver.expect_request("/readyz").respond_with_json(error, 503)
    result = run("--url", httpserver.url_for(""))
    assert result.exit_code == 1
    assert "There is no policy to serve by." in result.stderr


def test_something_else_is_there(httpserver: HTTPServer) -> None:
    """A web page is no gateway."""
    httpserver.expect_request("/readyz").respond_with_data("<html>hello</html>")
    result = run("--url", httpserver.url_for(""))
    assert result.exit_code == 1
    assert "no Tiergate gateway" in result.stderr
