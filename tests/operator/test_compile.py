"""A policy file becomes what the gateway loads, or problems that say how to put it right."""

import json
from datetime import date
from pathlib import Path

import pytest

from gateway.core.compiled import load, version_of
from gateway.core.policy import Price
from gateway.core.providers import PROVIDERS
from gateway.operator.compile import MAX_COMPILED_BYTES, compile_file, compile_text
from gateway.operator.prices import NoPrice, known_price
from gateway.operator.problems import PolicyInvalid, Problem
from tests.operator.policies import SMALL, TWO_TIERS, changed

TODAY = date(2026, 11, 1)
A_REAL_KEY = "sk-proj-Zm9vYmFyYmF6cXV4MTIzNDU2Nzg5MA"


def problems_of(text: str) -> list[Problem]:
    with pytest.raises(PolicyInvalid) as caught:
        compile_text(text, "p.toml", TODAY)
    return caught.value.problems


def only_problem(text: str) -> str:
    (problem,) = problems_of(text)
    return str(problem)


def test_compiled_policy_is_what_the_gateway_loads() -> None:
    """Every field of the file arrives in the Policy that the gateway's own `load` gives."""
    compiled = compile_text(TWO_TIERS, "p.toml", TODAY)
    policy = load(compiled.data)
    assert policy == compiled.policy
    assert (policy.name, policy.default_tier, policy.max_attempts) == ("two", "low", 4)
    assert policy.client_keys == ("OP_TEST_CLIENT_KEY",)
    assert policy.permissions.bypass == "ignore"
    assert policy.classifier.target is not None
    assert policy.classifier.target.id == "house/judge"
    assert policy.timeouts.first_content_ms == 60_000
    assert policy.timeouts.whole_ms == 300_000
    assert policy.providers["house"].base_url == "http://127.0.0.1:9/v1"
    assert policy.providers["house"].key_prefix == ""
    assert [target.weight for target in policy.tiers["low"].targets] == [1, 0]
    assert policy.tiers["high"].targets[0].model == "b/with/slashes"
    assert policy.models["house/c"].images is False


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("", (300_000, 600_000)),
        ("[timeouts]\nwhole_ms = 9000\n", (300_000, 9_000)),
        ("[timeouts]\nfirst_content_ms = 9000\n", (9_000, 600_000)),
    ],
)
def test_a_tier_that_thinks(said: str, expected: tuple[int, int]) -> None:
    """A tier named `reasoning` has more time, unless the file says how much."""
    text = SMALL.replace('"all"', '"reasoning"') + said
    timeouts = compile_text(text, "p.toml", TODAY).policy.tiers["reasoning"].timeouts
    assert (timeouts.first_content_ms, timeouts.whole_ms) == expected


def test_compiled_form_is_canonical_with_its_version_inside() -> None:
    """The same policy written differently (order, comments, 5 or 5.0) has the same version."""
    prices = '[prices."ollama/llama3"]\ninput = {}\noutput = 1\n'
    one = compile_text(SMALL + prices.format("5"), "p.toml", TODAY)
    other = compile_text("# a comment\n" + SMALL + prices.format("5.0"), "q.toml", TODAY)
    assert one.data == other.data
    value = json.loads(one.data)
    assert value["version"] == version_of(value) == one.policy.version


def test_only_providers_in_use_are_compiled() -> None:
    """A known provider that nothing refers to is not in the compiled policy."""
    assert set(compile_text(SMALL, "p.toml", TODAY).policy.providers) == {"ollama"}


def test_known_row_is_the_default_for_what_a_provider_table_leaves_out() -> None:
    """[providers.mistral] with one field keeps the other columns of the known row."""
    text = changed(SMALL, "ollama/llama3", "mistral/m") + '[providers.mistral]\nkey = "OTHER"\n'
    row = compile_text(text, "p.toml", TODAY).policy.providers["mistral"]
    assert row.key == "OTHER"
    assert row.base_url == PROVIDERS["mistral"].base_url
    assert row.sends_usage_on_request is False


def test_classifier_off_is_compiled_without_its_model() -> None:
    """With mode off the judge's provider is not in use, so its key is not missed either."""
    off = changed(TWO_TIERS, "[classifier]\n", '[classifier]\nmode = "off"\n')
    policy = compile_text(off, "p.toml", TODAY).policy
    assert (policy.classifier.mode, policy.classifier.target) == ("off", None)


def test_all_problems_are_found_at_once() -> None:
    """A file with several mistakes names each of them with its path, in one go."""
    text = (
        'name = "a b"\nmax_attempts = 0\ndefault_tier = "x"\n'
        '[[tiers]]\nname = "X"\ndescription = "d"\n'
        'targets = ["ollama/a", { model = "ollama/b", weight = -1 }]\n'
    )
    assert {problem.path for problem in problems_of(text)} == {
        "name",
        "max_attempts",
        "default_tier",
        "tiers[0].name",
        "tiers[0].targets[1].weight",
    }


def test_problem_names_file_path_value_and_remedy() -> None:
    """One line holds all that is needed to put the mistake right."""
    text = changed(TWO_TIERS, "weight = 3", "weight = -3")
    assert only_problem(text) == (
        "p.toml: tiers[1].targets[0].weight (tier high): must be at least 0 (it is -3)"
    )


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ('name = "small"', 'name = "small"\nmax_atempts = 2', "did you mean 'max_attempts'?"),
        ("ollama/llama3", "olama/llama3", "did you mean 'ollama'?"),
        ('default_tier = "all"', 'default_tier = "al"', "did you mean 'all'?"),
        ("ollama/llama3", "zzz/llama3", "add [providers.zzz]"),
    ],
)
def test_unknown_names_get_a_suggestion(old: str, new: str, hint: str) -> None:
    """An unknown field, provider or tier is answered with the closest one there is."""
    assert hint in only_problem(changed(SMALL, old, new))


@pytest.mark.parametrize(
    ("addition", "expected"),
    [
        ('[classifier]\nmode = "hybrid"\n', "must have a `model`"),
        ('[classifier]\nmode = "local"\nweights = "a\\u0000b"\n', "cannot read"),
        ('[[rules]]\nname = "a"\nto = "all"\nwhen = {}\n', "must have a condition"),
        ('[[rules]]\nname = "a"\nto = "all"\nwhen = { languages = [] }\n', "a condition"),
        ('[[rules]]\nname = "a"\nto = "none"\nwhen = { tools = true }\n', "the name of a tier"),
        (
            '[[rules]]\nname = "a"\nto = "all"\nwhen = { headers = { authorization = "x" } }\n',
            "a secret's value",
        ),
        ('[classifier]\nmode = "local"\nweights = "none.weights"\n', "No such file"),
        ('[classifier]\nmode = "model"\n', "must have a `model`"),
        ('[classifier]\nmodel = "ollama/x"\noptions = { messages = [] }\n', "must not have"),
        ("[client]\nkeys = []\n", "must not be empty"),
        ('[cors]\norigins = ["https://a.example/path"]\n', 'must be "*" or an origin'),
        ('[headers]\nbypass = "alow"\n', "did you mean 'allow'?"),
        ("[providers.mine]\n", "must have a `base_url`"),
        ('[providers.tiergate]\nbase_url = "https://a.example"\n', "must have another name"),
        ('[providers.p]\nbase_url = "ftp://a.example"\n', "must be an address like"),
        ('[providers.p]\nbase_url = "https://a.example/?q"\n', "without '?'"),
        ('[providers.p]\nbase_url = "https://a.example:0/"\n', "must be an address like"),
        ('[providers.p]\nbase_url = "https://a.example:/v1"\n', "a port after its ':'"),
        (
            '[providers.p]\nbase_url = "https://a.example/v1/chat/completions"\n',
            "leave out /chat/completions,",
        ),
        (
            '[providers.p]\nbase_url = "https://a.example/v1/completions/"\n',
            "leave out /completions,",
        ),
        ('[providers.ollama]\npasses = ["authorization"]\n', "must be another header"),
        ('[providers.ollama]\nkey_header = "host"\n', "must be a header for keys"),
        ('[providers.ollama]\ndialect = "gopher"\n', "must be one of openai-chat"),
        ('[prices."ollama/llama3"]\ninput = -1\noutput = 1\n', "must be at least 0"),
        ('[prices."ollama/llama3"]\ninput = inf\noutput = 1\n', "must be a finite number"),
        ('[prices."ollama/llama3"]\ninput = 1\n', "is missing; for example: output ="),
        ("[timeouts]\nconnect_ms = 0\n", "must be at least 1"),
        ("[timeouts]\nconnect_ms = 1.5\n", "must be a whole number"),
    ],
)
def test_each_rule_refuses_what_breaks_it(addition: str, expected: str) -> None:
    """What a field's rule forbids is refused with a sentence that says what to write."""
    assert expected in only_problem(SMALL + addition)


@pytest.mark.parametrize("character", [*"<>`\"' \\{}|^", "%", "%4", "é", "\t"])
def test_a_path_of_other_characters_is_refused(character: str) -> None:
    """A base URL's path has RFC 3986's characters only: others would reach the provider raw."""
    address = json.dumps(f"https://a.example/v1{character}", ensure_ascii=True)
    text = f"{SMALL}[providers.p]\nbase_url = {address}\n"
    assert "must be an address like" in only_problem(text)


@pytest.mark.parametrize("path", ["", "/", "/openai/v1", "/a-b_c.~/%7Bx%7D/v1;k=1,2:@!$&()*+/"])
def test_a_path_of_rfc_3986_is_taken(path: str) -> None:
    """It arrives as it is written, without the slash at its end."""
    text = f'{SMALL}[providers.ollama]\nbase_url = "https://a.example{path}"\n'
    row = compile_text(text, "p.toml", TODAY).policy.providers["ollama"]
    assert row.base_url == f"https://a.example{path}".rstrip("/")


@pytest.mark.parametrize(
    ("new", "expected"),
    [
        ('name = "auto"', "'auto' is what clients send"),
        ('name = "All"', "lower-case letters"),
        ('name = "all"\ntypo = 1', "is not a field"),
    ],
)
def test_tier_names_are_checked(new: str, expected: str) -> None:
    """A tier's name must be one that a client can ask for without being mistaken."""
    text = changed(SMALL, '[[tiers]]\nname = "all"', f"[[tiers]]\n{new}")
    assert any(expected in str(problem) for problem in problems_of(text))


def test_two_tiers_of_one_name_are_refused() -> None:
    """Both tiers of the same name are named."""
    second = '[[tiers]]\nname = "all"\ndescription = "d"\ntargets = ["ollama/x"]\n'
    assert [problem.path for problem in problems_of(SMALL + second)] == [
        "tiers[0].name",
        "tiers[1].name",
    ]


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ("[]", "must not be empty"),
        ('["ollama/a", "ollama/a"]', "lists ollama/a twice"),
        ('[{ model = "ollama/a", weight = 0 }]', "a weight above 0"),
        ('["llama3"]', "must be written provider/model"),
        ('["ollama/mod el"]', "must be written provider/model"),
        ("[3]", 'must be "provider/model", or a table'),
    ],
)
def test_targets_must_be_pickable(targets: str, expected: str) -> None:
    """A tier has at least one target that can be drawn, and none twice."""
    assert expected in only_problem(changed(SMALL, '["ollama/llama3"]', targets))


@pytest.mark.parametrize(
    "addition",
    [
        f'[client]\nkeys = ["{A_REAL_KEY}"]\n',
        f'[providers.ollama]\nkey = "{A_REAL_KEY}"\n',
        f'[providers.ollama]\napi_key = "{A_REAL_KEY}"\n',
        f'[providers.ollama]\nkey_prefix = "Bearer {A_REAL_KEY}"\n',
        f'[providers.ollama]\nbase_url = "https://me:{A_REAL_KEY}@a.example/v1"\n',
        f'[providers.ollama]\nbase_url = "https://a.example/v1?key={A_REAL_KEY}"\n',
        f'[classifier]\nmodel = "{A_REAL_KEY}"\n',
        f'[headers]\nbypass = "{A_REAL_KEY}"\n',
        f'key = "{A_REAL_KEY}\n',
    ],
)
def test_a_pasted_key_is_never_shown(addition: str) -> None:
    """Wherever an operator pastes the key itself, no problem repeats it."""
    for problem in problems_of(SMALL + addition):
        assert A_REAL_KEY not in json.dumps(problem.to_json())
        assert A_REAL_KEY not in str(problem)


@pytest.mark.parametrize(
    "addition",
    [
        '[client]\nkeys = ["hunter2"]\n',
        '[providers.ollama]\nkey = "hunter2"\n',
        '[providers.ollama]\nkey_prefix = "hunter2"\n',
        '[providers.ollama]\napi_key = "hunter2"\n',
        '[providers.ollama]\nkey = { value = "hunter2" }\n',
        '[classifier]\nmodel = "ollama/x"\noptions = "hunter2"\n',
    ],
)
def test_a_short_password_is_never_shown_either(addition: str) -> None:
    """What stands in a field for secrets, or in one that does not exist, is not repeated."""
    assert "hunter2" not in only_problem(SMALL + addition)


def test_toml_mistakes_have_line_and_column() -> None:
    """A syntax error says where, also when it is only noticed at the end of the file."""
    assert only_problem("a = 1\nb = = 2\n").startswith("p.toml: line 2, column 5: not TOML")
    assert only_problem('a = 1\nb = """x').startswith("p.toml: line 2, column 9: not TOML")


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    """Bytes that are not UTF-8 are a problem of the file, with their place."""
    file = tmp_path / "latin.toml"
    file.write_bytes(b'name = "caf\xe9"')
    with pytest.raises(PolicyInvalid, match="byte 11: not UTF-8"):
        compile_file(file)


def test_plain_http_to_another_machine_is_a_warning() -> None:
    """http:// is said to be readable on the way, unless it stays on this machine."""
    remote = SMALL + '[providers.ollama]\nbase_url = "http://10.0.0.7:11434/v1"\n'
    assert any("not encrypted" in text for text in compile_text(remote, "p", TODAY).warnings)
    assert compile_text(SMALL, "p", TODAY).warnings == []


def test_a_compiled_policy_has_a_size_limit() -> None:
    """A policy that no store would take is refused before it reaches one."""
    models = "".join(f'[models."ollama/{"m" * 150}{n}"]\nimages = false\n' for n in range(8000))
    message = only_problem(SMALL + models)
    assert f"{MAX_COMPILED_BYTES} is the limit" in message


def test_prices_of_two_known_models() -> None:
    """Prices missing in the file come from genai-prices, under the target's own name."""
    prices = compile_text(TWO_TIERS, "p.toml", TODAY).policy.prices
    assert prices["openai/gpt-4o-mini"] == Price(0.15, 0.6, 0.075)
    assert prices["groq/llama-3.1-8b-instant"] == Price(0.05, 0.08, None)


def test_a_price_in_the_file_wins() -> None:
    """An operator's own price is never replaced by the package's."""
    own = '[prices."openai/gpt-4o-mini"]\ninput = 1.5\noutput = 2\n'
    prices = compile_text(TWO_TIERS + own, "p.toml", TODAY).policy.prices
    assert prices["openai/gpt-4o-mini"] == Price(1.5, 2.0, None)


@pytest.mark.parametrize(
    ("base_url", "model", "reason"),
    [
        ("https://api.openai.com/v1", "gpt-99-nobody-knows", "does not know it"),
        ("https://api.openai.com.evil.example/v1", "gpt-4o-mini", "does not know it"),
        ("https://gateway.example/v1", "gpt-4o-mini", "does not know it"),
        ("https://api.openai.com/v1", "gpt-6-luna", "depends on the length of the prompt"),
        ("https://api.deepseek.com/v1", "deepseek-chat", "depends on the time of day"),
    ],
)
def test_no_price_is_invented(base_url: str, model: str, reason: str) -> None:
    """Unknown models, foreign addresses and prices that are not one number give no price."""
    price = known_price(base_url, model, TODAY)
    assert isinstance(price, NoPrice)
    assert reason in price.reason


def test_a_price_is_that_of_the_day() -> None:
    """A price that changed is taken as of the day of publishing."""
    url = "https://api.openai.com/v1"
    assert known_price(url, "o3", date(2025, 6, 9)) == Price(10.0, 40.0, 0.5)
    assert known_price(url, "o3", date(2025, 6, 10)) == Price(2.0, 8.0, 0.5)


def test_a_model_without_price_is_a_warning_not_a_zero() -> None:
    """What nobody knows is absent from the policy, and the operator is told."""
    compiled = compile_text(changed(SMALL, "ollama/llama3", "openai/gpt-99"), "p.toml", TODAY)
    assert compiled.policy.prices == {}
    assert 'add [prices."openai/gpt-99"]' in compiled.warnings[0]


@pytest.mark.parametrize("name", ["demo", "production"])
def test_the_shipped_policies_compile_without_a_warning(name: str) -> None:
    """policies/ holds what an operator starts from: valid, and with every price known."""
    compiled = compile_file(Path(__file__).parents[2] / "policies" / f"{name}.toml")
    assert compiled.warnings == []
    assert set(compiled.policy.tiers) == {"fast", "balanced", "quality", "reasoning"}
    assert set(compiled.policy.prices) >= set(compiled.policy.listed)


def test_production_has_a_stand_in_at_another_provider() -> None:
    """In production.toml one provider's outage leaves no tier without a target."""
    production = compile_file(Path(__file__).parents[2] / "policies" / "production.toml")
    for tier in production.policy.tiers.values():
        assert len({target.provider for target in tier.targets}) > 1, tier.name
