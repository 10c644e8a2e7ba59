"""Policies in TOML that the tests of the operator's side share."""

SMALL = """\
name = "small"
default_tier = "all"

[[tiers]]
name = "all"
description = "Everything"
targets = ["ollama/llama3"]
"""

TWO_TIERS = """\
name = "two"
default_tier = "low"

[client]
keys = ["OP_TEST_CLIENT_KEY"]

[classifier]
model = "house/judge"

[providers.house]
base_url = "http://127.0.0.1:9/v1/"
key = "OP_TEST_HOUSE_KEY"
key_prefix = ""

[[tiers]]
name = "low"
description = "Easy"
targets = ["house/a", { model = "openai/gpt-4o-mini", weight = 0 }]

[[tiers]]
name = "high"
description = "Hard"
targets = [{ model = "house/b/with/slashes", weight = 3 }, "groq/llama-3.1-8b-instant"]

[models."house/c"]
images = false
"""


def changed(text: str, old: str, new: str) -> str:
    """The text with one place changed; that place must be there."""
    assert text.count(old) == 1
    return text.replace(old, new)
