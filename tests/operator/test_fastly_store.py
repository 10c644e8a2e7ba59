"""Fastly's KV Store as a store of policies: what is asked of its API, and what its failures say."""

import json
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from gateway.operator.cli import app
from gateway.operator.compile import compile_text
from gateway.operator.fastly.api import TRIES, FastlyApi
from gateway.operator.fastly.store import FastlyStore, open_fastly
from gateway.operator.policystore import StoreError
from gateway.operator.stores import HISTORY, open_store, publish, rollback
from gateway.policies import ACTIVE, GOOD
from tests.operator.fastly_api import TOKEN, FakeFastly, Kv, Trouble, serving
from tests.operator.policies import SMALL, TWO_TIERS, changed

ROOT = Path(__file__).parents[2]
KEYED = f'{SMALL}\n[client]\nkeys = ["OP_TEST_CLIENT_KEY"]\n'


@pytest.fixture
def fastly() -> Iterator[FakeFastly]:
    with serving(FakeFastly(kv={"kv1": Kv("other"), "kv2": Kv("tiergate")})) as fake:
        yield fake


def environment(fastly: FakeFastly) -> dict[str, str]:
    return {"FASTLY_API_TOKEN": TOKEN, "FASTLY_API_ENDPOINT": fastly.url}


def store_at(fastly: FakeFastly, name: str = "tiergate") -> FastlyStore:
    return open_fastly(name, environment(fastly))


def api_at(fastly: FakeFastly, pauses: list[float]) -> FastlyApi:
    return FastlyApi(TOKEN, fastly.url, sleep=pauses.append)


def run(fastly: FakeFastly, *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=environment(fastly))


def policy(name: str) -> bytes:
    return compile_text(changed(KEYED, '"small"', f'"{name}"'), "p.toml").data


def test_a_store_keeps_values_under_encoded_keys(fastly: FakeFastly) -> None:
    """A key is one part of the path, slashes encoded; what was written is read, until deleted."""
    store = store_at(fastly)
    assert store.read(ACTIVE) is None
    store.write(ACTIVE, b"\x00value")
    assert fastly.asked[-1] == ("PUT", "/resources/stores/kv/kv2/keys/policy%2Factive")
    assert store.read(ACTIVE) == store_at(fastly).read(ACTIVE) == b"\x00value"
    store.delete(ACTIVE)
    store.delete(ACTIVE)
    assert store.read(ACTIVE) is store_at(fastly).read(ACTIVE) is None


@pytest.mark.parametrize("key", ["", "..", "policy/../x", "policy//x"])
def test_no_key_is_another_address(fastly: FakeFastly, key: str) -> None:
    """What would lead to another path of the API is refused unsent."""
    store = store_at(fastly)
    asked = len(fastly.asked)
    for ask in (store.read, store.delete):
        with pytest.raises(StoreError, match="is not a key"):
            ask(key)
    assert len(fastly.asked) == asked


def test_the_time_of_writing_is_in_the_metadata(fastly: FakeFastly) -> None:
    """When a value was written is read back, and not known where another program wrote it."""
    before = datetime.now(UTC) - timedelta(seconds=1)
    store_at(fastly).write(ACTIVE, b"x")
    fastly.kv["kv2"].items[GOOD] = b"x", "by hand"
    store = store_at(fastly)
    written = store.written(ACTIVE)
    assert written
    assert before <= written <= datetime.now(UTC)
    assert store.written(GOOD) is store.written("policy/none") is None


def test_lists_are_read_to_their_end(fastly: FakeFastly) -> None:
    """Stores and keys come in parts; all of them are followed, of the prefix only."""
    fastly.page = 3
    fastly.kv = {f"id{number}": Kv(f"store{number}") for number in range(8)}
    kv = fastly.kv["id7"]
    kv.items = {f"{HISTORY}{number:06d}": (b"x", "") for number in range(1, 8)}
    kv.items[ACTIVE] = b"x", ""
    keys = store_at(fastly, "store7").keys(HISTORY)
    assert keys == [f"{HISTORY}{number:06d}" for number in range(1, 8)]
    assert all("consistency=strong" in path for _, path in fastly.asked if "prefix" in path)


def test_a_list_without_end_is_an_error(fastly: FakeFastly) -> None:
    """A cursor that comes twice ends the command; it does not ask for ever."""
    page = {"data": [], "meta": {"next_cursor": "again"}}
    fastly.troubles = [Trouble(200, body=page), Trouble(200, body=page)]
    with pytest.raises(StoreError, match="has no end"):
        store_at(fastly)


def test_a_store_is_found_by_name_or_id(fastly: FakeFastly) -> None:
    """Either opens it; by its name it is called after."""
    assert str(open_fastly("kv2", environment(fastly))) == "fastly:tiergate"
    assert str(store_at(fastly)) == "fastly:tiergate"


def test_an_unknown_store_names_those_there_are(fastly: FakeFastly) -> None:
    """A mistyped store is answered with the account's stores and the command to make one."""
    with pytest.raises(
        StoreError, match=r"there are: other, tiergate.*kv-store create --name ' x'"
    ):
        open_fastly(" x", environment(fastly))


@pytest.mark.parametrize("name", ["a\nb", "\x1b[31m", "x" * 256])
def test_what_names_no_store_is_refused_unasked(fastly: FakeFastly, name: str) -> None:
    """A name that no store can have is not sent, and no command is made of it."""
    with pytest.raises(StoreError, match="takes the name of a KV Store") as raised:
        open_fastly(name, environment(fastly))
    assert name not in str(raised.value)
    assert fastly.asked == []


@pytest.mark.parametrize("name", ["a b", "größe", "a/b", "..", "it's", "$(id)", "-h"])
def test_a_store_may_have_any_name(fastly: FakeFastly, name: str) -> None:
    """Whatever a store is called, it is found, and suggested commands have its name as one word."""
    fastly.kv["kv2"].name = name
    store = f"fastly:{name}"
    publish(store_at(fastly, name), policy("a"))
    assert json.loads(run(fastly, "policy", "show", "--from", store, "--json").stdout)
    said = run(fastly, "policy", "rollback", "zzz", "--from", store).stderr
    command = said.partition("`")[2].partition("`")[0]
    assert shlex.split(command)[-4:] == ["policy", "history", "--from", store]


def test_one_connection_and_no_key_read_twice(fastly: FakeFastly) -> None:
    """Publishing and the history read each value once, over one connection."""
    for name in "abc":
        publish(store_at(fastly), policy(name))
    fastly.asked.clear()
    fastly.connections.clear()
    assert run(fastly, "policy", "history", "--from", "fastly:tiergate").exit_code == 0
    read = [path for _, path in fastly.asked if "/keys/" in path]
    assert len(read) == len(set(read)) == 4
    assert len(fastly.connections) == 1


def test_publishing_writes_history_first_and_active_last(fastly: FakeFastly) -> None:
    """Here as in a folder, what is active is on record and `good` is never behind it."""
    publish(store_at(fastly), policy("a"))
    written = [path.rpartition("/")[2] for method, path in fastly.asked if method == "PUT"]
    assert written == ["policy%2Fhistory%2F000001", "policy%2Fgood", "policy%2Factive"]


@pytest.mark.parametrize(
    ("headers", "pause"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({}, 1.0),
        ({"Retry-After": format_datetime(datetime.now(UTC) - timedelta(1), usegmt=True)}, 0.0),
        ({"Retry-After": "soon"}, 1.0),
    ],
)
def test_too_many_requests_are_tried_again(
    fastly: FakeFastly, headers: dict[str, str], pause: float
) -> None:
    """After 429 the value is written again after the pause that was asked for, or a second."""
    fastly.troubles = [Trouble(429, headers)]
    pauses: list[float] = []
    answer = api_at(fastly, pauses).send("GET", "/tokens/self", "look")
    assert answer
    assert pauses == [pause]


def test_a_pause_is_announced(fastly: FakeFastly) -> None:
    """What is waited for longer than a second is said, why and how long, on stderr; a shorter
    pause is not worth a line."""
    fastly.troubles = [Trouble(429, {"Retry-After": "1"}), Trouble(429, {"Retry-After": "9"})]
    said: list[str] = []
    pauses: list[float] = []
    api = FastlyApi(TOKEN, fastly.url, sleep=pauses.append, say=said.append)
    assert api.send("GET", "/tokens/self", "look")
    assert pauses == [1.0, 9.0]
    assert said == ["Fastly answers 429: waiting 9 s"]
    fastly.troubles = [Trouble(429, {"Retry-After": "2"})]
    result = run(fastly, "policy", "history", "--from", "fastly:tiergate", "--json")
    assert result.stdout == "[]\n"
    assert result.stderr == "warning: Fastly answers 429: waiting 2 s\n"


def test_a_long_pause_is_left_to_the_operator(fastly: FakeFastly) -> None:
    """When the hour's requests are used up, the command ends and says how long to wait."""
    reset = str(int(time.time()) + 1800)
    headers = {"Fastly-RateLimit-Remaining": "0", "Fastly-RateLimit-Reset": reset}
    fastly.troubles = [Trouble(429, headers)]
    pauses: list[float] = []
    with pytest.raises(StoreError, match=r"429; it asks for a pause of 1[78]\d\d s"):
        api_at(fastly, pauses).send("GET", "/tokens/self", "look")
    assert pauses == []


@pytest.mark.parametrize(("status", "said"), [(503, "Fastly answers 503"), (0, "does not answer")])
def test_what_does_not_pass_ends_after_a_few_tries(
    fastly: FakeFastly, status: int, said: str
) -> None:
    """A fault that stays is tried again with longer pauses, then said with how often."""
    fastly.troubles = [Trouble(status)] * 50
    pauses: list[float] = []
    with pytest.raises(StoreError, match=f"cannot look: .*{said}.*; tried {TRIES} times"):
        api_at(fastly, pauses).send("GET", "/tokens/self", "look")
    assert pauses == [1.0, 2.0, 4.0]
    assert len(fastly.asked) == TRIES


def test_an_address_where_nobody_is_is_said() -> None:
    """No answer at all is one line that names the host."""
    pauses: list[float] = []
    with pytest.raises(StoreError, match=r"127\.0\.0\.1 does not answer \(ConnectError\)"):
        FastlyApi(TOKEN, "http://127.0.0.1:1", sleep=pauses.append).send("GET", "/x", "look")


@pytest.mark.parametrize(
    ("trouble", "remedy"),
    [
        (Trouble(401), "does not know the token in FASTLY_API_TOKEN"),
        (Trouble(403, body={"msg": "no", "detail": "You may not"}), r"no: You may not.*engineer"),
        (Trouble(400, body={"title": "bad name"}), r"answers 400 \(bad name\)"),
        (Trouble(302, {"location": "http://127.0.0.1:1/"}), "answers 302"),
        (Trouble(200, body={"unknown": "shape"}), "something else than its documentation"),
    ],
)
def test_a_refusal_is_not_tried_again_and_says_what_to_do(
    fastly: FakeFastly, trouble: Trouble, remedy: str
) -> None:
    """Wrong token, missing right, bad request, redirect, foreign answer: asked once, one line."""
    fastly.troubles = [trouble]
    with pytest.raises(StoreError, match=remedy):
        store_at(fastly)
    assert len(fastly.asked) == 1


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"FASTLY_API_TOKEN": " "}, "FASTLY_API_TOKEN is not set"),
        ({"FASTLY_API_TOKEN": f"{TOKEN}\nx: y"}, "FASTLY_API_TOKEN is no API token"),
        ({"FASTLY_API_TOKEN": f"{TOKEN}é"}, "FASTLY_API_TOKEN is no API token"),
        ({"FASTLY_API_ENDPOINT": "http://api.fastly.com"}, "FASTLY_API_ENDPOINT must be"),
        ({"FASTLY_API_ENDPOINT": "https://u:p@api.fastly.com"}, "FASTLY_API_ENDPOINT must be"),
        ({"FASTLY_API_ENDPOINT": "https://api.fastly.com:x"}, "FASTLY_API_ENDPOINT must be"),
        ({"FASTLY_API_ENDPOINT": "api.fastly.com"}, "FASTLY_API_ENDPOINT must be"),
    ],
)
def test_a_wrong_environment_is_said_before_anything_is_sent(
    fastly: FakeFastly, changes: dict[str, str], said: str
) -> None:
    """No token, one that no header can have, an address without TLS: each is named, unsent."""
    with pytest.raises(StoreError, match=said) as raised:
        open_fastly("tiergate", {**environment(fastly), **changes})
    assert TOKEN not in str(raised.value)
    assert fastly.asked == []


@pytest.mark.parametrize(
    "troubles",
    [
        [Trouble(401, body={"msg": f"{TOKEN} is wrong"})],
        [Trouble(403, body={"msg": f"{TOKEN} may not"})],
        [Trouble(400, body={"msg": TOKEN, "detail": TOKEN})],
        [Trouble(200, body=[TOKEN])],
        [Trouble(503, {"Retry-After": "0"}, {"msg": TOKEN})] * TRIES,
        [Trouble(429, {"Retry-After": "9999"}, {"msg": TOKEN})],
        [],
    ],
)
def test_the_token_is_never_shown(fastly: FakeFastly, troubles: list[Trouble]) -> None:
    """Whatever fails, even where the server repeats it: no output and no error has the token."""
    fastly.troubles = list(troubles)
    result = run(fastly, "policy", "show", "--from", "fastly:tiergate")
    assert result.exit_code == 1
    assert set(fastly.tokens) == {TOKEN}
    assert TOKEN not in result.output


def test_the_token_is_in_no_traceback_and_no_object(fastly: FakeFastly) -> None:
    """What Python or a debugger prints of a failed request, its errors and objects has it not."""
    api = api_at(fastly, [])
    answer = api.send("GET", "/tokens/self", "look")
    assert answer
    assert TOKEN not in repr([api, vars(api), answer.request, answer.request.headers])
    fastly.troubles = [Trouble(400, body={"msg": TOKEN})]
    with pytest.raises(StoreError) as raised:
        api.send("GET", "/tokens/self", "look")
    shown = traceback.TracebackException.from_exception(raised.value, capture_locals=True)
    of_ours = [frame for frame in shown.stack if "fastly/api.py" in frame.filename]
    assert of_ours
    assert TOKEN not in repr([str(shown), [frame.locals for frame in of_ours]])


def test_a_failed_program_shows_no_token(fastly: FakeFastly, tmp_path: Path) -> None:
    """The program as users run it says what failed, and nothing of the token."""
    fastly.troubles = [Trouble(403, body={"msg": TOKEN})]
    file = tmp_path / "p.toml"
    file.write_text(KEYED)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "gateway.operator", "policy", "publish", str(file)),
            *("--to", "fastly:tiergate"),
        ],
        cwd=ROOT,
        env=environment(fastly),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("tiergate: cannot read the list of KV Stores: Fastly answers 403")
    assert TOKEN not in done.stderr


def test_publish_show_history_and_rollback(fastly: FakeFastly, tmp_path: Path) -> None:
    """The whole circle through the command line, with --json and without."""
    store, file = "fastly:tiergate", tmp_path / "policy.toml"
    file.write_text(KEYED)
    first = json.loads(run(fastly, "policy", "publish", str(file), "--to", store, "--json").stdout)
    assert (first["n"], first["changed"], first["store"]) == (1, True, store)
    assert first["missing_secrets"] is None
    again = run(fastly, "policy", "publish", str(file), "--to", store)
    assert "already active in fastly:tiergate" in again.stdout
    file.write_text(changed(KEYED, '"small"', '"second"'))
    said = run(fastly, "policy", "publish", str(file), "--to", store)
    assert "published second@" in said.stdout
    assert "to fastly:tiergate (number 2)" in said.stdout
    assert "OP_TEST_CLIENT_KEY" not in said.stderr

    shown = run(fastly, "policy", "show", "--from", store).stdout
    assert "second@" in shown
    assert "unknown time" not in shown
    listed = json.loads(run(fastly, "policy", "history", "--from", store, "--json").stdout)
    assert [(entry["n"], entry["name"], entry["active"]) for entry in listed] == [
        (2, "second", True),
        (1, "small", False),
    ]
    assert all(entry["published"] for entry in listed)
    back = run(fastly, "policy", "rollback", "--from", store).stdout
    assert "back to small@" in back
    assert json.loads(fastly.kv["kv2"].items[ACTIVE][0])["name"] == "small"
    assert fastly.kv["kv1"].items == {}


def test_an_empty_store_names_the_command_that_fills_it(fastly: FakeFastly) -> None:
    """What `show` and `history` suggest goes to the same store."""
    for command in ("show", "history"):
        result = run(fastly, "policy", command, "--from", "fastly:tiergate")
        assert " policy publish FILE --to fastly:tiergate" in result.stderr


@pytest.mark.parametrize(
    "command", [["show"], ["history"], ["rollback"], ["publish", "policies/production.toml"]]
)
def test_scripts_are_told_what_stopped_it(fastly: FakeFastly, command: list[str]) -> None:
    """With --json a failure is one line of JSON on stdout, and the same words on stderr."""
    fastly.troubles = [Trouble(401)]
    option = "--to" if command[0] == "publish" else "--from"
    result = run(fastly, "policy", *command, option, "fastly:tiergate", "--json")
    assert (result.exit_code, result.stdout.count("\n")) == (1, 1)
    answer = json.loads(result.stdout)
    assert answer["ok"] is False
    assert "does not know the token" in answer["problem"]
    assert result.stderr == f"tiergate: {answer['problem']}\n"


def test_a_policy_without_client_keys_is_refused(fastly: FakeFastly, tmp_path: Path) -> None:
    """A public service takes none: nothing is written, and the refusal says what to add."""
    file = tmp_path / "policy.toml"
    file.write_text(SMALL)
    result = run(fastly, "policy", "publish", str(file), "--to", "fastly:tiergate")
    assert result.exit_code == 1
    assert 'keys = ["TIERGATE_KEY"]' in result.stderr
    assert fastly.kv["kv2"].items == {}


def test_a_rollback_to_a_policy_without_client_keys_is_refused(fastly: FakeFastly) -> None:
    """Nor does one that came into the history by another way become active."""
    publish(store_at(fastly), policy("a"))
    keyless = compile_text(SMALL, "p.toml").data
    fastly.kv["kv2"].items[f"{HISTORY}000000"] = keyless, ""
    with pytest.raises(StoreError, match="lets anyone call"):
        rollback(store_at(fastly))


def test_a_provider_of_this_machine_is_pointed_out(fastly: FakeFastly, tmp_path: Path) -> None:
    """A loopback address is published with a warning that Fastly cannot reach it."""
    file = tmp_path / "policy.toml"
    file.write_text(TWO_TIERS)
    result = run(fastly, "policy", "publish", str(file), "--to", "fastly:tiergate")
    assert result.exit_code == 0
    assert "providers.house.base_url: http://127.0.0.1:9/v1 is this machine itself" in result.stderr
    assert "providers.groq" not in result.stderr


def test_a_fastly_store_is_opened_by_its_scheme(
    fastly: FakeFastly, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`fastly:NAME` is Fastly's; without a name it is no store."""
    for name, value in environment(fastly).items():
        monkeypatch.setenv(name, value)
    assert isinstance(open_store("fastly:tiergate"), FastlyStore)
    with pytest.raises(StoreError, match="fastly:STORE"):
        open_store("fastly:")
