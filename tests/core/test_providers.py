"""The table of providers: each row can be used as it stands."""

import re

import pytest

from gateway.core.dialects import DIALECTS
from gateway.core.providers import PROVIDERS, Provider

NAMED = (
    "openai", "inception", "groq", "mistral", "deepseek", "xai", "together", "fireworks",
    "openrouter", "cerebras", "ollama", "vllm", "anthropic", "google", "azure-openai",
)  # fmt: skip


OF_ONES_OWN = {"azure-openai"}  # each account has an address of its own: a policy gives it


def test_the_promised_providers_are_there() -> None:
    """Every provider the documentation names is a row, under its own name."""
    assert set(NAMED) <= set(PROVIDERS)
    assert all(name == row.name for name, row in PROVIDERS.items())


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_rows(row: Provider) -> None:
    """An address without a final slash, a dialect we speak, a key by name, lower-case headers."""
    address = r"https?://[a-z0-9.-]+(:\d+)?(/[a-z0-9./]*[a-z0-9])?"
    assert re.fullmatch(address, row.base_url) or row.name in OF_ONES_OWN
    assert row.dialect in DIALECTS
    assert row.key is None or re.fullmatch(r"[A-Z0-9_]+_API_KEY", row.key)
    assert all(name == name.lower() for name in (row.key_header, *row.passes))
    assert re.fullmatch(r"[a-z0-9-]+", row.name), "it is the part of an id before the slash"


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_keys_travel_encrypted(row: Provider) -> None:
    """A provider that takes a key is only reached over TLS."""
    is_tls = row.base_url.startswith("https://") or row.name in OF_ONES_OWN
    assert row.key is None or is_tls


@pytest.mark.parametrize("row", PROVIDERS.values(), ids=lambda row: row.name)
def test_no_header_of_the_client_is_a_credential(row: Provider) -> None:
    """What passes from the client to a provider is never a key."""
    secret = {"authorization", "cookie", "api-key", "x-api-key", "proxy-authorization"}
    assert not secret & set(row.passes)


def test_each_key_is_asked_of_one_provider() -> None:
    """No provider is sent another one's key, and no two rows share an address."""
    keys = [row.key for row in PROVIDERS.values() if row.key]
    assert len(keys) == len(set(keys))
    addresses = [row.base_url for row in PROVIDERS.values()]
    assert len(addresses) == len(set(addresses))
