"""Providers of a policy: what a table leaves out, what each dialect brings with it."""

import json
from datetime import date

import pytest

from gateway.core.dialects import DIALECTS
from gateway.core.policy import Policy
from gateway.core.providers import PROVIDERS
from gateway.operator.compile import compile_text
from gateway.operator.problems import PolicyInvalid
from gateway.operator.schema import json_schema
from tests.operator.policies import SMALL

TODAY = date(2026, 1, 1)


def policy_with(provider: str, *, model: str = "house/m", more: str = "") -> Policy:
    """The small policy with this provider's table, its one target there."""
    text = more + SMALL.replace("ollama/llama3", model) + provider
    return compile_text(text, "p.toml", TODAY).policy


def problem_of(provider: str, *, model: str = "house/m", more: str = "") -> str:
    with pytest.raises(PolicyInvalid) as caught:
        policy_with(provider, model=model, more=more)
    return "\n".join(map(str, caught.value.problems))


HOUSE = '[providers.house]\nbase_url = "http://127.0.0.1:9/v1"\nkey = "HOUSE_KEY"\n'


@pytest.mark.parametrize(
    ("dialect", "header", "prefix", "headers"),
    [
        ("openai-chat", "authorization", "Bearer ", ()),
        ("openai-responses", "authorization", "Bearer ", ()),
        ("anthropic-messages", "x-api-key", "", ("anthropic-version: 2023-06-01",)),
        ("gemini", "x-goog-api-key", "", ()),
    ],
)
def test_a_provider_of_ones_own(
    dialect: str, header: str, prefix: str, headers: tuple[str, ...]
) -> None:
    """A name, an address and a dialect are enough: where the key goes follows from the dialect."""
    row = policy_with(HOUSE + f'dialect = "{dialect}"\n').providers["house"]
    assert (row.dialect, row.key_header, row.key_prefix) == (dialect, header, prefix)
    assert (row.headers, row.key, row.other_dialects) == (headers, "HOUSE_KEY", ())


def test_a_bearer_for_anthropics_dialect() -> None:
    """A key in `authorization` is a bearer, whatever the dialect's own place for it."""
    row = policy_with(
        HOUSE + 'dialect = "anthropic-messages"\nkey_header = "authorization"\n'
    ).providers["house"]
    assert (row.key_header, row.key_prefix) == ("authorization", "Bearer ")


def test_every_column_can_be_said() -> None:
    """A provider can be written entirely in the policy."""
    row = policy_with(
        HOUSE
        + """\
dialect = "openai-chat"
other_dialects = ["openai-responses"]
key_header = "api-key"
key_prefix = ""
signing = "key"
headers = ["x-house: one"]
passes = ["x-request-source"]
path = "/deployments/{model}"
query = "api-version=1"
refuses = ["models"]
sends_usage_on_request = false
limit_member = "max_tokens"
has_developer = false
"""
    ).providers["house"]
    assert row.other_dialects == ("openai-responses",)
    assert (row.path, row.query, row.headers) == (
        "/deployments/{model}",
        "api-version=1",
        ("x-house: one",),
    )
    assert (row.limit_member, row.has_developer, row.manner.asks_usage) == (
        "max_tokens",
        False,
        False,
    )


def test_azure_needs_its_address() -> None:
    """Each account has its own: without it the policy is refused with the remedy."""
    assert "must have a `base_url`" in problem_of(
        '[providers.azure-openai]\nkey = "A_KEY"\n', model="azure-openai/gpt"
    )
    address = '[providers.azure-openai]\nbase_url = "https://x.openai.azure.com/openai"\n'
    row = policy_with(address, model="azure-openai/gpt").providers["azure-openai"]
    assert row.query == PROVIDERS["azure-openai"].query
    assert row.key == "AZURE_OPENAI_API_KEY"


def test_openai_elsewhere_speaks_one_dialect() -> None:
    """What stands at another address need not have OpenAI's newer API."""
    known = policy_with("", model="openai/gpt-4o-mini").providers["openai"]
    assert known.other_dialects == ("openai-responses",)
    moved = policy_with(
        '[providers.openai]\nbase_url = "http://127.0.0.1:9/v1"\n', model="openai/m"
    ).providers["openai"]
    assert moved.other_dialects == ()


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('dialect = "smoke"', "openai-chat"),
        ('headers = ["no colon"]', "name: value"),
        ('headers = ["Authorization: Bearer x"]', "lower case"),
        ('headers = ["authorization: Bearer x"]', "another header"),
        ('headers = ["x-a: b\\r\\nx-c: d"]', "printable"),
        ('path = "deployments"', "/deployments/{model}"),
        ('path = "/a/../b?c"', "/deployments/{model}"),
        ('query = "?a=b"', "without the '?'"),
        ('query = "a b"', "api-version"),
        ('limit_member = "tokens"', "max_tokens"),
        ('signing = "magic"', "key"),
    ],
)
def test_what_a_column_cannot_be(line: str, word: str) -> None:
    """A wrong value is refused with what to write instead."""
    assert word in problem_of(f"{HOUSE}{line}\n")


def test_embeddings() -> None:
    """Their targets keep their order, and must speak OpenAI's dialect."""
    table = '[embeddings]\ntargets = ["house/small", "ollama/small"]\n'
    policy = policy_with(HOUSE + table)
    assert [target.id for target in policy.embeddings] == ["house/small", "ollama/small"]
    assert "house/small" not in policy.listed
    assert "openai-chat" in problem_of(
        HOUSE + 'dialect = "gemini"\n' + table.replace(', "ollama/small"', "")
    )
    assert "twice" in problem_of(HOUSE + '[embeddings]\ntargets = ["house/a", "house/a"]\n')


def test_prices_of_embeddings() -> None:
    """A model that writes nothing has a price too."""
    policy = policy_with(
        '[embeddings]\ntargets = ["openai/text-embedding-3-small"]\n', model="ollama/m"
    )
    price = policy.prices["openai/text-embedding-3-small"]
    assert price.input > 0
    assert price.output == 0


def test_the_schema_knows_each_dialect() -> None:
    """What operators may write is what the gateway speaks."""

    found = json.loads(json_schema())["$defs"]["ProviderTable"]["properties"]["dialect"]
    assert found["anyOf"][0]["enum"] == list(DIALECTS)


# --- failover ------------------------------------------------------------------------


def test_a_tiers_own_deadlines() -> None:
    """A tier has the file's deadlines but for its own; one named `reasoning` may think for long."""
    text = """\
name = "t"
default_tier = "fast"
stream_guard = "full"

[timeouts]
total_ms = 100000

[[tiers]]
name = "fast"
description = "Easy"
targets = ["ollama/a"]
stream_guard = "content"

[[tiers]]
name = "reasoning"
description = "Hard"
targets = ["ollama/b"]
timeouts = { between_bytes_ms = 5000 }
"""
    policy = compile_text(text, "p.toml", TODAY).policy
    fast, reasoning = policy.tiers.values()
    assert (fast.timeouts.first_content_ms, fast.timeouts.between_bytes_ms) == (60_000, 20_000)
    assert (reasoning.timeouts.first_content_ms, reasoning.timeouts.between_bytes_ms) == (
        300_000,
        5_000,
    )
    assert reasoning.timeouts.total_ms == 100_000
    assert (fast.stream_guard, reasoning.stream_guard) == ("content", "full")
    said = text.replace("total_ms = 100000", "first_content_ms = 7000")
    tiers = compile_text(said, "p.toml", TODAY).policy.tiers
    assert tiers["reasoning"].timeouts.first_content_ms == 7_000


def test_windows_of_known_models() -> None:
    """How much a model takes is filled in where it is known, unless the file says it."""
    policy = policy_with("", model="openai/gpt-4o-mini")
    assert policy.models["openai/gpt-4o-mini"].context == 128_000
    own = '[models."openai/gpt-4o-mini"]\ncontext = 9\n'
    policy = policy_with(own, model="openai/gpt-4o-mini")
    assert policy.models["openai/gpt-4o-mini"].context == 9


@pytest.mark.parametrize(
    ("table", "word"),
    [
        ("[health]\nfailure_share = 0.0\n", "greater than 0"),
        ("[health]\nfailure_share = 2.0\n", "must be at most 1"),
        ("[timeouts]\nmin_tokens_per_second = -1.0\n", "must be at least 0"),
    ],
)
def test_health_that_makes_no_sense(table: str, word: str) -> None:
    """A share is a share."""
    assert word in problem_of(table, model="ollama/m")
