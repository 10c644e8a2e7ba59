"""What is sent and answered: a chat of a few turns, an answer of ordinary length, a policy."""

import json

# A fresh TCP connection for each request to an upstream leaves its port in TIME_WAIT for a minute.
# Linux has 28,000 of them towards one address, so more than 470 requests a second would run out:
# the same upstream listens at eight addresses.
ADDRESSES = tuple(f"127.0.1.{n}" for n in range(1, 9))

TIER = "balanced"  # whole answers
STREAM_TIER = "streamed"  # the same number of targets, which stream
MESSAGES_TIER = "messages"  # the same in Anthropic's dialect
RUSH_TIER, RUSH_MESSAGES_TIER = "rush", "rush-messages"  # as fast as they are taken

RUSH = "/rush"  # before the path of those that rush


def in_tier(name: str) -> dict[str, str]:
    """The header that asks for a tier."""
    return {"x-tiergate-tier": name}


BYPASS = {"x-tiergate-bypass": "true"}
STREAMED = in_tier(STREAM_TIER)

_QUESTION = (
    "We run a small bakery with two shops and one kitchen. Orders from restaurants come in by "
    "phone until ten in the evening, the dough for the next day is started at eleven, and about "
    "one order in twelve is changed after that. Compare three ways of handling the late changes: "
    "a fixed deadline, a surcharge, and a buffer of dough for the five most common products. Say "
    "what each costs us in work and in goodwill, and which one you would try first for a month. "
    "Our night shift is two people and neither of them likes the telephone. The restaurants are "
    "eighteen, half of them within a short walk, and the largest buys a quarter of all we bake. "
    "Last year we lost one of them over a late change that nobody had written down."
)
_ANSWER = (
    "I would try the buffer first. A fixed deadline is the cheapest in work, but it moves the cost "
    "to the restaurants, who plan their menus late for good reasons; expect two or three of them "
    "to test another supplier within the month. A surcharge is fair and easy to explain, yet it "
    "needs somebody to apply it at night and to argue about it in the morning. A buffer of dough "
    "for the five most common products costs you flour and an hour of oven time on slow days, and "
    "nothing in goodwill. Keep it small: one twelfth of the usual amount is what your own numbers "
    "suggest. Write down each late change and whether the buffer covered it. After four weeks you "
    "know the share it saves, and a surcharge on the rest is then easy to justify."
)


_SYSTEM = "You advise small businesses. Be concrete and brief."
_MESSAGES = [
    {"role": "user", "content": "How do we find out which of our breads sell in which shop?"},
    {"role": "assistant", "content": "Count what is left at closing time, by bread and shop."},
    {"role": "user", "content": "Done: rye sells by the river, wheat at the station."},
    {"role": "assistant", "content": "Then bake for each shop, and move what is left at noon."},
    {"role": "user", "content": _QUESTION},
]


def chat_request(*, stream: bool = False) -> bytes:
    """A client's request, about 1.3 KB."""
    messages = [{"role": "system", "content": _SYSTEM}, *_MESSAGES]
    options: dict[str, object] = {"temperature": 0.3, "max_tokens": 600, "user": "bakery-17"}
    return json.dumps({"model": "auto", "messages": messages, "stream": stream, **options}).encode()


def messages_request() -> bytes:
    """The same for a stream in Anthropic's dialect."""
    about = {"model": "auto", "system": _SYSTEM, "max_tokens": 600, "stream": True}
    return json.dumps({**about, "messages": _MESSAGES, "temperature": 0.3}).encode()


def completion(content: str = _ANSWER) -> str:
    """A provider's whole answer, about 1.3 KB with the default content."""
    message = {"role": "assistant", "content": content, "refusal": None}
    return json.dumps(
        {
            "id": "chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG",
            "object": "chat.completion",
            "created": 1741570283,
            "model": "some-model-2025-04-14",
            "choices": [
                {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
            ],
            "usage": {
                "prompt_tokens": 231,
                "completion_tokens": 187,
                "total_tokens": 418,
                "prompt_tokens_details": {"cached_tokens": 128},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
            "service_tier": "default",
        }
    )


def judgement() -> str:
    """The classifier's answer."""
    return completion(json.dumps({"tier": TIER}))


def policy(*, whole_port: int, stream_port: int, mode: str = "model") -> str:
    """The gateway's policy, in TOML: each tier has one target at each address. `mode`: who
    judges."""
    judge = _provider("judge", ADDRESSES[0], whole_port, "/judge/v1")
    return f"""
name = "bench"
default_tier = "{TIER}"
headers = {{ bypass = "allow", tier = "allow" }}
classifier = {{ mode = "{mode}", model = "judge/judge" }}
{judge}
{_providers("b", whole_port)}
{_providers("s", stream_port)}
{_providers("m", stream_port, dialect=_ANTHROPIC)}
{_providers("rs", stream_port, f"{RUSH}/v1")}
{_providers("rm", stream_port, f"{RUSH}/v1", dialect=_ANTHROPIC)}
{_tier(TIER, "b", "Everyday questions: explaining, comparing, planning.")}
{_tier(STREAM_TIER, "s", "Long answers to hard questions, read while they are written.")}
{_tier(MESSAGES_TIER, "m", "The same, in other words.")}
{_tier(RUSH_TIER, "rs", "What is in a hurry.")}
{_tier(RUSH_MESSAGES_TIER, "rm", "What is in a hurry, in other words.")}
"""


_ANTHROPIC = "anthropic-messages"


def _providers(prefix: str, port: int, path: str = "/v1", *, dialect: str = "openai-chat") -> str:
    return "".join(
        _provider(f"{prefix}{n}", at, port, path, dialect) for n, at in enumerate(ADDRESSES, 1)
    )


def _provider(
    name: str, address: str, port: int, path: str = "/v1", dialect: str = "openai-chat"
) -> str:
    base_url = f"http://{address}:{port}{path}"
    return f'providers.{name} = {{ base_url = "{base_url}", dialect = "{dialect}" }}\n'


def _tier(name: str, prefix: str, description: str) -> str:
    targets = ", ".join(f'"{prefix}{n}/some-model"' for n in range(1, len(ADDRESSES) + 1))
    return f"""
[[tiers]]
name = "{name}"
description = "{description}"
targets = [{targets}]
"""
