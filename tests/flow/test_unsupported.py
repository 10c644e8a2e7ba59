"""What a target cannot carry: another target, an honest refusal, or left out and named."""

import json
from typing import Any

import pytest

from gateway.hosts.memory import Canned
from tests.core.samples import provider, target
from tests.flow.exchanges import ANSWERS, REQUESTS
from tests.flow.test_dialects import path_of, whole
from tests.flow.world import Got, World, world

CHAT = REQUESTS["openai-chat"]
MARKED = {
    **REQUESTS["anthropic-messages"],
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
}


def two_targets(*upstreams: Canned, second: str = "openai-chat", **changes: Any) -> World:  # noqa: ANN401
    """A tier with a target of Gemini's dialect, then one of another."""
    targets = [target("one/m-1"), target("two/m-2", 0)]
    rows = {
        "one": provider("one", dialect="gemini", key=None),
        "two": provider("two", dialect=second, key=None),
    }
    tiers = [{"name": "only", "description": "d", "targets": targets}]
    settings: dict[str, Any] = {"default_tier": "only", "models": {}, "prices": {}, **changes}
    return world(*upstreams, providers=rows, tiers=tiers, **settings)


def ask(gateway: World, client: str, request: dict[str, Any], model: str = "auto") -> Got:
    path, _ = path_of(client, is_stream=False, model=model)
    return gateway.ask(json.dumps(request).encode(), path=path)


def test_a_target_that_can_say_it_is_asked() -> None:
    """A target that cannot carry a parameter is skipped while another can."""
    gateway = two_targets(whole(ANSWERS["openai-chat"]))
    got = ask(gateway, "openai-chat", {**CHAT, "user": "u-1"})
    assert got.status == 200
    assert gateway.asked == ["two.test"]
    assert got.headers["x-tiergate-attempts"] == "1", "who cannot serve it is no failed attempt"


def test_a_parameter_that_nobody_can_say() -> None:
    """With no target that can, the client is told which member of its own request it is."""
    gateway = two_targets(second="anthropic-messages")
    got = ask(gateway, "openai-chat", {**CHAT, "metadata": {"a": "b"}})
    assert got.status == 400
    assert (got.error["code"], got.error["param"]) == ("unsupported_by_targets", "metadata")
    assert "'metadata'" in got.error["message"]
    assert gateway.asked == []


def test_a_parameter_may_be_left_out() -> None:
    """Where the policy allows it a parameter is left out, and header and record name it."""
    gateway = two_targets(whole(ANSWERS["gemini"]), on_unsupported="drop")
    got = ask(gateway, "anthropic-messages", {**MARKED, "metadata": {"user_id": "u"}})
    assert got.status == 200
    assert gateway.asked == ["one.test"]
    assert got.headers["x-tiergate-dropped"].split(", ") == [
        "system[0].cache_control",
        "metadata.user_id",
    ]
    assert gateway.record["dropped"] == ["system[0].cache_control", "metadata.user_id"]
    assert "cache_control" not in gateway.http.requests[0].body.decode()


def test_nothing_is_said_to_be_left_out_where_it_was_not() -> None:
    """Who was told all of it has no such header, whatever another target would not have been."""
    gateway = two_targets(
        Canned(503, {}, [b"{}"]), whole(ANSWERS["openai-chat"]), on_unsupported="drop"
    )
    got = ask(gateway, "openai-chat", {**CHAT, "user": "u-1"})
    assert gateway.asked == ["one.test", "two.test"]
    assert "x-tiergate-dropped" not in got.headers
    assert "dropped" not in gateway.record


@pytest.mark.parametrize(
    ("client", "member"),
    [
        ("openai-chat", {"messages": [{"role": "user", "content": [{"type": "video"}]}]}),
        ("openai-responses", {"tools": [{"type": "web_search"}]}),
        ("anthropic-messages", {"tools": [{"type": "web_search_20250305", "name": "web_search"}]}),
    ],
)
def test_content_is_never_left_out(client: str, member: dict[str, Any]) -> None:
    """What is said, and what the model may use, is not left out under any policy."""
    gateway = two_targets(second="gemini", on_unsupported="drop")
    got = ask(gateway, client, {**REQUESTS[client], **member})
    assert got.status == 400
    assert gateway.asked == []


def test_a_name_that_no_header_can_carry() -> None:
    """A client may write any name: what cannot stand in a header is shown as `?`, and cut."""
    gateway = two_targets(whole(ANSWERS["gemini"]), on_unsupported="drop")
    got = ask(gateway, "openai-chat", {**CHAT, "é\r\nx-evil: 1,": 1, "n" * 300: 1})
    first, second = got.headers["x-tiergate-dropped"].split(", ")
    assert first == "???x-evil:?1?"
    assert second == "n" * 80


def test_many_names_are_counted() -> None:
    """The header stays short, however many members a client invents."""
    gateway = two_targets(whole(ANSWERS["gemini"]), on_unsupported="drop")
    got = ask(gateway, "openai-chat", {**CHAT, **{f"own_{number}": 1 for number in range(500)}})
    assert got.headers["x-tiergate-dropped"].endswith("own_19, +480")


@pytest.mark.parametrize(
    ("client", "member", "param"),
    [
        ("openai-responses", {"previous_response_id": "resp_1"}, "previous_response_id"),
        ("openai-responses", {"conversation": {"id": "conv_1"}}, "conversation"),
        (
            "openai-responses",
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            "openai-responses",
            {"input": [{"type": "item_reference", "id": "msg_1"}]},
            "input[0].id",
        ),
        (
            "openai-chat",
            {
                "messages": [
                    {"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}
                ]
            },
            "messages[0].content[0].file.file_id",
        ),
        (
            "anthropic-messages",
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "document", "source": {"type": "file", "file_id": "f"}}
                        ],
                    }
                ]
            },
            "messages[0].content[0].source.file_id",
        ),
        ("gemini", {"cachedContent": "cachedContents/1"}, "cachedContent"),
        (
            "gemini",
            {
                "contents": [
                    {
                        "parts": [
                            {
                                "file_data": {
                                    "file_uri": "https://generativelanguage.googleapis.com/v1beta/files/1"
                                }
                            }
                        ]
                    }
                ]
            },
            "contents[0].parts[0].fileData.fileUri",
        ),
    ],
)
def test_what_one_provider_keeps(client: str, member: dict[str, Any], param: str) -> None:
    """A reference to what one provider keeps needs a model by name: then it goes there untouched,
    else it is a 400 that says so."""
    request = {**REQUESTS[client], **member}
    gateway = two_targets(whole(ANSWERS[client]), second=client)
    got = ask(gateway, client, request)
    assert got.status == 400
    assert param in got.body.decode()
    assert "provider/model" in got.json["error"]["message"]
    assert gateway.asked == []
    direct = "two/m-2"
    got = ask(gateway, client, {**request, "model": direct}, direct)
    assert got.status == 200, got.body
    assert gateway.asked == ["two.test"]


def test_members_of_a_tools_arguments_refer_to_nothing() -> None:
    """A `file_id` among a tool's arguments is the application's own."""
    call = {"type": "tool_use", "id": "t1", "name": "read", "input": {"file_id": "f"}}
    result = {"type": "tool_result", "tool_use_id": "t1", "content": "ok"}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": [call]},
        {"role": "user", "content": [result]},
    ]
    gateway = two_targets(whole(ANSWERS["gemini"]))
    got = ask(gateway, "anthropic-messages", {**MARKED, "system": "s", "messages": messages})
    assert got.status == 200, got.body


def test_a_value_that_one_dialect_cannot_say() -> None:
    """Where only writing it shows that a target cannot be told, the next one is asked."""
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "not json"}}
    messages = [
        {"role": "user", "content": "go"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "x"},
    ]
    gateway = two_targets(whole(ANSWERS["openai-chat"]))
    got = ask(gateway, "openai-chat", {**CHAT, "messages": messages})
    assert got.status == 200
    assert gateway.asked == ["two.test"]
    assert got.headers["x-tiergate-fallback"] == "one/m-1;refused"
    assert gateway.record["attempts"][0]["outcome"] == "refused"
    alone = two_targets(second="gemini")
    got = ask(alone, "openai-chat", {**CHAT, "messages": messages})
    assert (got.status, got.error["code"]) == (400, "invalid_tool_arguments")
