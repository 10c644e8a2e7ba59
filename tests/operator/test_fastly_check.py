"""`tiergate fastly check`: what a service lacks is named, each thing with the command for it.

The manifest that creates a service is held against the same names.
"""

import json
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.operator.cli import app
from gateway.operator.compile import compile_file, compile_text
from gateway.operator.fastly import KV_LINK, LOG_ENDPOINT, SECRETS_LINK
from gateway.operator.fastly.account import LOG_KINDS
from gateway.operator.fastly.backends import wanted
from gateway.policies import ACTIVE
from tests.operator.fastly_api import (
    SERVICE,
    TOKEN,
    FakeFastly,
    Kv,
    Service,
    Trouble,
    serving,
)
from tests.operator.policies import SMALL, changed

ROOT = Path(__file__).parents[2]
MANIFEST = ROOT / "deploy/fastly/fastly.toml"

POLICY = """\
name = "edge"
default_tier = "all"

[client]
keys = ["TIERGATE_KEY"]

[classifier]
model = "judge/small"

[providers.judge]
base_url = "http://judge.example.com:8080/v1"
key = "JUDGE_KEY"

[timeouts]
total_ms = 90_000
first_content_ms = 30_000
between_bytes_ms = 30_000

[[tiers]]
name = "all"
description = "Everything"
targets = ["openai/gpt-4o-mini", "groq/llama-3.1-8b-instant"]
"""
SECRETS = ["TIERGATE_KEY", "GROQ_API_KEY", "JUDGE_KEY", "OPENAI_API_KEY"]


def backend(name: str, host: str, port: int, **changes: object) -> dict[str, object]:
    """A static backend as the API shows it, patient enough for POLICY."""
    made = {
        "name": name,
        "address": host,
        "port": port,
        "use_ssl": port == 443,
        "connect_timeout": 1000,
        "first_byte_timeout": 90_000,
        "between_bytes_timeout": 30_000,
    }
    return {**made, **changes}


def complete() -> FakeFastly:
    """An account in which nothing is missing for POLICY, whose lists come two at a time."""
    active = compile_text(POLICY, "edge.toml").data
    backends = [
        backend("api.openai.com", "api.openai.com", 443),
        backend("api.groq.com", "api.groq.com", 443),
        backend("judge.example.com:8080", "judge.example.com", 8080),
    ]
    service = Service(
        links={KV_LINK: "kv1", SECRETS_LINK: "s1", "other": "kv9"},
        backends=backends,
        logs={"s3": ["cold"], "splunk": ["other", LOG_ENDPOINT]},
    )
    return FakeFastly(
        kv={"kv9": Kv("a"), "kv8": Kv("b"), "kv1": Kv("policies", {ACTIVE: (active, "")})},
        secrets={"s8": ("a", []), "s9": ("b", []), "s1": ("keys", [*SECRETS])},
        services={SERVICE: service},
        page=2,
    )


@pytest.fixture
def fastly() -> Iterator[FakeFastly]:
    with serving(complete()) as fake:
        yield fake


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "edge.toml"
    file.write_text(POLICY)
    return file


def check(fastly: FakeFastly, file: Path, *more: str, token: str = TOKEN) -> Result:
    """The command, at the stand-in."""
    return CliRunner().invoke(
        app,
        ["fastly", "check", "--policy", str(file), "--service", SERVICE, *more],
        env={"FASTLY_API_TOKEN": token, "FASTLY_API_ENDPOINT": fastly.url},
    )


def found(fastly: FakeFastly, file: Path) -> dict[str, dict[str, str]]:
    """The findings that are not ok, by what they are about."""
    findings = json.loads(check(fastly, file, "--json").stdout)["findings"]
    return {item["about"]: item for item in findings if item["state"] != "ok"}


def test_a_complete_service_is_ok(fastly: FakeFastly, file: Path) -> None:
    """One line an item, each ok, exit code 0; and nothing was changed."""
    result = check(fastly, file)
    assert (result.exit_code, result.stderr) == (0, "")
    *lines, last = result.stdout.splitlines()
    assert last == "nothing is missing"
    assert all(line.startswith("ok ") for line in lines)
    assert [line.split(": ")[0].split(maxsplit=1)[1] for line in lines] == [
        *("token", "service", "KV Store", "policy", "Secret Store"),
        *(f"secret {name}" for name in SECRETS),
        *("log", "backend api.openai.com", "backend api.groq.com"),
        "backend judge.example.com:8080",
    ]
    assert {method for method, _ in fastly.asked} == {"GET"}


def test_the_result_is_one_line_of_json(fastly: FakeFastly, file: Path) -> None:
    """Scripts get the same findings, and whether all is well."""
    good = check(fastly, file, "--json")
    assert (good.exit_code, good.stdout.count("\n")) == (0, 1)
    assert json.loads(good.stdout)["ok"] is True
    fastly.secrets["s1"][1].remove("JUDGE_KEY")
    bad = check(fastly, file, "--json")
    assert bad.exit_code == 1
    assert json.loads(bad.stdout)["ok"] is False


Change = Callable[[FakeFastly], object]


def service_of(fastly: FakeFastly) -> Service:
    return fastly.services[SERVICE]


def without_links(fastly: FakeFastly) -> None:
    fastly.kv["kv7"] = Kv(KV_LINK)
    service_of(fastly).links = {"other": "kv9"}


def with_active(data: bytes) -> Change:
    return lambda fastly: fastly.kv["kv1"].items.update({ACTIVE: (data, "")})


def with_backend(name: str, **changes: object) -> Change:
    def change(fastly: FakeFastly) -> None:
        (item,) = [item for item in service_of(fastly).backends if item["name"] == name]
        item.update(changes)

    return change


@pytest.mark.parametrize(
    ("change", "about", "text", "remedy"),
    [
        (lambda it: it.services.clear(), "service", "none with the ID", "fastly compute publish"),
        (lambda it: setattr(service_of(it), "type", "vcl"), "service", "no Compute", "publish"),
        (
            lambda it: setattr(service_of(it), "is_active", False),
            *("service", "no active version", f"publish --service-id {SERVICE}"),
        ),
        (
            without_links,
            *("KV Store", "version 3 links none as tiergate", ""),
        ),
        (
            without_links,
            "KV Store",
            "",
            "--autoclone --resource-id kv7 --name tiergate && fastly service version activate",
        ),
        (
            without_links,
            "Secret Store",
            "links none as tiergate-secrets, and the account has none of that name",
            "fastly secret-store create --name tiergate-secrets",
        ),
        (
            lambda it: service_of(it).links.update({KV_LINK: "s1"}),
            *("KV Store", "links none as tiergate", "fastly kv-store create --name tiergate"),
        ),
        (
            lambda it: it.secrets["s1"][1].remove("JUDGE_KEY"),
            "secret JUDGE_KEY",
            "is not in keys",
            "fastly secret-store-entry create --store-id s1 --name JUDGE_KEY",
        ),
        (
            lambda it: it.kv["kv1"].items.clear(),
            *("policy", "none is published", "policy publish"),
        ),
        (with_active(b"torn"), "policy", "does not load", "--to fastly:policies"),
        (
            with_active(compile_text(SMALL, "p.toml").data),
            *("policy", "without client keys", "--to fastly:policies"),
        ),
        (
            with_backend("api.groq.com", use_ssl=False),
            *("backend api.groq.com", "with TLS", "fastly service backend update"),
        ),
        (
            with_backend("api.groq.com", address="api.groq.example"),
            *("backend api.groq.com", "not api.groq.com, port 443", "--address api.groq.com"),
        ),
        (
            with_backend("judge.example.com:8080", port=80),
            *("backend judge.example.com:8080", "port 8080, without TLS", "--port 8080"),
        ),
    ],
)
def test_each_thing_missing_is_named_with_its_remedy(
    fastly: FakeFastly, file: Path, change: Change, about: str, text: str, remedy: str
) -> None:
    """What is taken away is what is said, with the command for it, and the exit code is 1."""
    change(fastly)
    item = found(fastly, file)[about]
    assert item["state"] == "missing"
    assert text in item["text"]
    assert remedy in item["remedy"]
    result = check(fastly, file)
    assert result.exit_code == 1
    assert re.search(r"tiergate: \d things? (is|are) missing\n$", result.stderr)
    assert f"missing {about}: " in result.stdout


@pytest.mark.parametrize(
    ("change", "about", "text", "remedy"),
    [
        (
            lambda it: service_of(it).logs.clear(),
            *("log", "no endpoint is named tiergate", "fastly service logging https create"),
        ),
        (
            with_active(compile_text(changed(POLICY, '"edge"', '"older"'), "p.toml").data),
            *("policy", "older@", "policy publish"),
        ),
        (
            lambda it: service_of(it).backends.pop(0),
            *(
                "backend api.openai.com",
                "cannot be seen from outside",
                "fastly service backend create",
            ),
        ),
        (
            with_backend("api.groq.com", first_byte_timeout=15_000),
            *("backend api.groq.com", "shorter than the policy's", "--first-byte-timeout 90000"),
        ),
        (
            with_backend("api.groq.com", between_bytes_timeout=10_000),
            *("backend api.groq.com", "shorter than the policy's", "--between-bytes-timeout 30000"),
        ),
    ],
)
def test_what_may_be_as_wanted_is_a_warning(
    fastly: FakeFastly, file: Path, change: Change, about: str, text: str, remedy: str
) -> None:
    """No log, another active policy, an unseen dynamic backend, short patience: exit code 0."""
    change(fastly)
    items = found(fastly, file)
    assert list(items) == [about]
    assert items[about]["state"] == "warning"
    assert text in items[about]["text"]
    assert remedy in items[about]["remedy"]
    assert check(fastly, file).exit_code == 0


def test_a_provider_on_this_machine_is_a_warning(fastly: FakeFastly, file: Path) -> None:
    """A loopback address is out of Fastly's reach, and no command would help."""
    file.write_text(POLICY.replace("http://judge.example.com:8080", "http://127.0.0.1:8080"))
    item = found(fastly, file)["backend 127.0.0.1:8080"]
    assert (item["state"], "cannot reach" in item["text"]) == ("warning", True)


def test_more_secrets_than_a_request_may_read_are_pointed_out(
    fastly: FakeFastly, file: Path
) -> None:
    """Fastly's limit of five reads a request is said where the policy names more."""
    keys = '["TIERGATE_KEY", "TIERGATE_KEY_2", "TIERGATE_KEY_3"]'
    file.write_text(changed(POLICY, '["TIERGATE_KEY"]', keys))
    fastly.secrets["s1"][1].extend(["TIERGATE_KEY_2", "TIERGATE_KEY_3"])
    items = found(fastly, file)
    assert items["secrets"]["state"] == "warning"
    assert "names 6, and Fastly lets a request read 5" in items["secrets"]["text"]


def test_no_command_has_a_hole_in_it(fastly: FakeFastly, file: Path) -> None:
    """Commands for what is missing run as they stand, one after the other: a link to a store that
    there is not yet comes with the check after the store was made."""
    without_links(fastly)
    fastly.kv.pop("kv7")
    remedies = [item["remedy"] for item in found(fastly, file).values() if item["remedy"]]
    assert remedies
    assert not any("STORE_ID" in remedy for remedy in remedies)
    fastly.secrets["s7"] = SECRETS_LINK, []
    remedy = found(fastly, file)["Secret Store"]["remedy"]
    assert remedy.startswith("fastly service resource-link create ")
    assert "--resource-id s7 --name tiergate-secrets" in remedy


def test_a_backend_command_can_be_pasted(fastly: FakeFastly, file: Path) -> None:
    """The command for a static backend names it, where it is, with TLS and patience."""
    service_of(fastly).backends.clear()
    remedy = found(fastly, file)["backend api.openai.com"]["remedy"]
    command = shlex.split(remedy)
    assert command[: command.index("&&")] == [
        *("fastly", "service", "backend", "create", "--service-id", SERVICE),
        *("--version", "latest", "--autoclone", "--name", "api.openai.com"),
        *("--address", "api.openai.com", "--port", "443", "--override-host", "api.openai.com"),
        *("--use-ssl", "--ssl-sni-hostname", "api.openai.com"),
        *("--ssl-cert-hostname", "api.openai.com"),
        *("--first-byte-timeout", "90000", "--between-bytes-timeout", "30000"),
    ]
    remedy = found(fastly, file)["backend judge.example.com:8080"]["remedy"]
    assert "--use-ssl" not in remedy


def test_a_wrong_token_ends_it(fastly: FakeFastly, file: Path) -> None:
    """Nothing else is asked with a token that Fastly does not know, and it is not shown."""
    result = check(fastly, file, token="another-token")
    assert result.exit_code == 1
    assert "missing token: cannot read the token" in result.stdout
    assert "another-token" not in result.output
    assert len(fastly.asked) == 1


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        (Trouble(429, {"Retry-After": "99"}), "asks for a pause of 99 s"),
        (Trouble(503, {"Retry-After": "0"}), "tried 4 times"),
        (Trouble(400, body={"msg": "no"}), "answers 400"),
    ],
)
def test_no_answer_about_the_token_is_no_wrong_token(
    fastly: FakeFastly, file: Path, trouble: Trouble, said: str
) -> None:
    """An API that cannot answer now says nothing of the token: it is not to be set anew."""
    for more in ([], ["--json"]):
        fastly.troubles = [trouble] * 4
        result = check(fastly, file, *more)
        assert result.exit_code == 1
        assert "set FASTLY_API_TOKEN" not in result.output
        if more:
            answer = json.loads(result.stdout)
            assert (answer["ok"], answer["findings"]) == (False, [])
            assert said in answer["problem"]
        else:
            assert said in result.stderr


def test_a_service_without_any_version(fastly: FakeFastly, file: Path) -> None:
    """A service to which nothing was ever deployed is named as that, and all that it lacks."""
    empty: object = {"name": "gateway", "type": "wasm", "active_version": None, "versions": []}
    fastly.troubles = [Trouble(200, body={"scope": "global"}), Trouble(200, body=empty)]
    items = found(fastly, file)
    assert "no active version" in items["service"]["text"]
    assert {items[about]["state"] for about in ("service", "KV Store", "Secret Store")} == {
        "missing"
    }


@pytest.mark.parametrize("token", ["", "tab\tin it"])
def test_scripts_are_told_what_stopped_it(fastly: FakeFastly, file: Path, token: str) -> None:
    """With --json whatever ends the command is one line of JSON too, not only words on stderr."""
    result = check(fastly, file, "--json", token=token)
    assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert answer["problem"].startswith("FASTLY_API_TOKEN is n")
    assert answer["problem"] in result.stderr


def test_without_a_token_it_says_where_one_comes_from(fastly: FakeFastly, file: Path) -> None:
    """An environment without a token is one line, and nothing is asked."""
    result = check(fastly, file, token="")
    assert result.exit_code == 1
    assert "FASTLY_API_TOKEN is not set" in result.stderr
    assert fastly.asked == []


def test_what_the_token_may_not_see_ends_it(fastly: FakeFastly, file: Path) -> None:
    """A refusal half way: what was found is said, then the refusal; and so in JSON."""
    ok = Trouble(200, body={"scope": "purge_all"})
    for more in ([], ["--json"]):
        fastly.troubles = [ok, Trouble(403, body={"msg": "Forbidden"})]
        result = check(fastly, file, *more)
        assert result.exit_code == 1
        assert "Forbidden" in (result.stdout if more else result.stderr)
        assert "purge_all" in result.stdout


@pytest.mark.parametrize("policy", [SMALL, POLICY.replace('[client]\nkeys = ["TIERGATE_KEY"]', "")])
def test_a_policy_without_client_keys_is_refused(
    fastly: FakeFastly, file: Path, policy: str
) -> None:
    """Such a policy never goes to a public service: it is refused before anything is asked."""
    file.write_text(policy)
    result = check(fastly, file)
    assert result.exit_code == 1
    assert 'keys = ["TIERGATE_KEY"]' in result.stderr
    assert fastly.asked == []


def test_a_service_is_named_by_its_id(fastly: FakeFastly, file: Path) -> None:
    """What is no ID is refused, and does not become part of an address."""
    result = check(fastly, file, "--service", "../tokens")
    assert result.exit_code == 1
    assert "letters and digits" in result.stderr
    assert fastly.asked == []


def test_its_help_teaches_with_an_example() -> None:
    """The help has an example of the command."""
    result = CliRunner().invoke(app, ["fastly", "check", "--help"])
    assert "Example: tiergate fastly check" in " ".join(result.stdout.split())


def test_the_docs_have_the_same_command_for_a_backend() -> None:
    """docs/fastly.md shows what the check prints for a policy with the default timeouts."""
    text = changed(
        POLICY,
        "[timeouts]\ntotal_ms = 90_000\nfirst_content_ms = 30_000\nbetween_bytes_ms = 30_000\n",
        "",
    )
    (openai,) = [
        item
        for item in wanted(compile_text(text, "edge.toml").policy)
        if item.name == "api.openai.com"
    ]
    shown = (ROOT / "docs/fastly.md").read_text().replace("\\\n  ", "")
    create = "fastly service backend create --service-id SERVICE_ID --version latest --autoclone"
    assert f"{create} {openai.options}\n" in shown


def test_the_manifest_makes_what_the_component_opens() -> None:
    """deploy/fastly/fastly.toml creates the stores under the names that are looked for."""
    manifest = tomllib.loads(MANIFEST.read_text())
    setup = manifest["setup"]
    assert list(setup["kv_stores"]) == [KV_LINK]
    assert list(setup["secret_stores"]) == [SECRETS_LINK]
    assert list(setup["log_endpoints"]) == [LOG_ENDPOINT]
    assert setup["log_endpoints"][LOG_ENDPOINT].get("provider", "https") in LOG_KINDS


def test_the_manifest_asks_for_the_secrets_of_the_production_policy() -> None:
    """Each secret that policies/production.toml names is asked for, and none has a value."""
    entries = tomllib.loads(MANIFEST.read_text())["setup"]["secret_stores"][SECRETS_LINK]["entries"]
    policy = compile_file(ROOT / "policies/production.toml").policy
    assert sorted(entries) == sorted(policy.secret_names())
    assert all(set(entry) == {"description"} for entry in entries.values())


def test_the_manifest_has_only_fields_that_there_are() -> None:
    """A name that Fastly's CLI does not know would be ignored without a word.

    https://www.fastly.com/documentation/reference/compute/fastly-toml
    """
    manifest = tomllib.loads(MANIFEST.read_text())
    assert set(manifest) <= {
        *("manifest_version", "name", "description", "authors", "language", "service_id"),
        *("scripts", "setup", "local_server"),
    }
    assert (manifest["manifest_version"], manifest["language"]) == (3, "other")
    assert set(manifest["scripts"]) <= {"build", "post_build", "post_init", "env_vars"}
    assert set(manifest["setup"]) <= {
        *("backends", "config_stores", "kv_stores", "secret_stores", "log_endpoints", "products"),
    }
