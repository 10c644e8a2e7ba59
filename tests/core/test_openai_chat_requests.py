"""OpenAI Chat Completions, the client's side: what is refused, what is read, what is sent on."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.dialects.openai_chat.errors import error_body, error_event
from gateway.core.dialects.openai_chat.parsing import parse_request
from gateway.core.dialects.openai_chat.passing import encode_request
from gateway.core.errors import (
    BadRequest,
    ClientError,
    Forbidden,
    Internal,
    MethodNotAllowed,
    NotFound,
    NotReady,
    Rejected,
    TiergateError,
    TooLarge,
    Unauthorized,
    UpstreamError,
)
from tests.core.samples import body, chat

USER = {"role": "user", "content": "hi"}


@pytest.mark.parametrize(
    "data",
    [b"", b"nothing", b"[]", b'"a"', b"{", b'{"messages": [}', b"\xff", b"\x1f\x8b\x08\x00gzip"],
)
def test_not_a_json_object(data: bytes) -> None:
    """A body that is no JSON object is `invalid_json`, without quoting it."""
    with pytest.raises(BadRequest) as caught:
        parse_request(data)
    assert (caught.value.code, caught.value.param) == ("invalid_json", None)
    assert caught.value.status == 400


@pytest.mark.parametrize(
    "data", [b'{"messages": [], "messages": []}', b'{"messages": ' + b"[" * 200 + b"]" * 200 + b"}"]
)
def test_json_that_is_refused(data: bytes) -> None:
    """Duplicate keys and nesting over the limit are `invalid_json` too."""
    with pytest.raises(BadRequest) as caught:
        parse_request(data)
    assert caught.value.code == "invalid_json"


WRONG_TYPES: list[tuple[str, list[object]]] = [
    ("model", [1, True, [], {}]),
    ("stream", ["true", 1, []]),
    ("stream_options", [True, "x", []]),
    ("tools", [{}, "x", 1]),
    ("functions", [{}, "x"]),
    ("tool_choice", [1, True, []]),
    ("response_format", ["json_object", []]),
    ("stop", [1, {}]),
    ("metadata", [[], "x"]),
    ("user", [1, {}]),
    ("max_tokens", ["10", 1.5, True]),
    ("max_completion_tokens", ["10", 1.5, False]),
    ("n", ["1", True]),
    ("seed", ["1", 0.5]),
    ("temperature", ["0", True, []]),
    ("top_p", ["0", False]),
    ("presence_penalty", ["0"]),
    ("frequency_penalty", [{}]),
    ("messages", ["hi", {}, 1, True]),
]


@pytest.mark.parametrize(
    ("member", "value"), [(name, value) for name, values in WRONG_TYPES for value in values]
)
def test_wrong_types(member: str, value: object) -> None:
    """A member of the wrong type is refused by name."""
    with pytest.raises(BadRequest) as caught:
        chat(**{member: value})
    assert (caught.value.code, caught.value.param) == ("invalid_type", member)
    assert f"'{member}'" in caught.value.message


@pytest.mark.parametrize("member", [name for name, _ in WRONG_TYPES if name != "messages"])
def test_null_is_absent(member: str) -> None:
    """A member that is null is as good as not there, and is sent on as it is."""
    request = chat(**{member: None})
    assert request.source.values[member] is None
    assert (request.model, request.is_stream, request.has_tools) == (None, False, False)


@pytest.mark.parametrize(
    ("data", "code", "param"),
    [
        (b"{}", "missing_required_parameter", "messages"),
        (b'{"messages": null}', "missing_required_parameter", "messages"),
        (b'{"messages": []}', "empty_array", "messages"),
    ],
)
def test_no_messages(data: bytes, code: str, param: str) -> None:
    """A request without a message is refused."""
    with pytest.raises(BadRequest) as caught:
        parse_request(data)
    assert (caught.value.code, caught.value.param) == (code, param)


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("hi", "invalid_type", "messages[1]"),
        (None, "invalid_type", "messages[1]"),
        ([], "invalid_type", "messages[1]"),
        ({"content": "hi"}, "invalid_type", "messages[1].role"),
        ({"role": 1, "content": "hi"}, "invalid_type", "messages[1].role"),
        ({"role": "USER", "content": "hi"}, "invalid_value", "messages[1].role"),
        ({"role": "robot", "content": "hi"}, "invalid_value", "messages[1].role"),
        ({"role": "user"}, "missing_required_parameter", "messages[1].content"),
        ({"role": "system"}, "missing_required_parameter", "messages[1].content"),
        ({"role": "tool"}, "missing_required_parameter", "messages[1].content"),
        ({"role": "user", "content": 1}, "invalid_type", "messages[1].content"),
        ({"role": "assistant", "content": {}}, "invalid_type", "messages[1].content"),
        ({"role": "user", "content": ["a"]}, "invalid_type", "messages[1].content[0]"),
        ({"role": "user", "content": [{}]}, "invalid_type", "messages[1].content[0].type"),
        (
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": 1}]},
            "invalid_type",
            "messages[1].content[1].type",
        ),
        (
            {"role": "user", "content": [{"type": "text"}]},
            "invalid_type",
            "messages[1].content[0].text",
        ),
    ],
)
def test_malformed_messages(message: object, code: str, param: str) -> None:
    """A malformed message is refused with the path of what is wrong in it."""
    with pytest.raises(BadRequest) as caught:
        chat(messages=[USER, message])
    assert (caught.value.code, caught.value.param) == (code, param)
    assert param in caught.value.message


@pytest.mark.parametrize("value", ["true", 1, [], {}])
def test_include_usage_of_a_wrong_type(value: object) -> None:
    """`stream_options.include_usage` is true or false."""
    with pytest.raises(BadRequest) as caught:
        chat(stream=True, stream_options={"include_usage": value})
    assert caught.value.param == "stream_options.include_usage"


def test_what_is_read() -> None:
    """Roles, texts, images, tools, the stream and its usage are read; the rest is kept."""
    request = chat(
        model="auto",
        stream=True,
        stream_options={"include_usage": True},
        tools=[{"type": "function", "function": {"name": "f"}}],
        messages=[
            {"role": "developer", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "look"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                    {"type": "input_audio", "input_audio": {"data": "AA"}},
                    {"type": "text", "text": "closely"},
                ],
            },
            {"role": "assistant", "content": None, "tool_calls": [{"id": "1"}]},
            {"role": "tool", "content": "42", "tool_call_id": "1"},
        ],
    )
    assert (request.model, request.is_stream, request.wants_usage) == ("auto", True, True)
    assert request.has_tools
    assert request.has_images
    assert [(item.role, item.text, item.has_image) for item in request.messages] == [
        ("developer", "be brief", False),
        ("user", "look\n\nclosely", True),
        ("assistant", "", False),
        ("tool", "42", False),
    ]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, False),
        ({"tools": []}, False),
        ({"functions": []}, False),
        ({"tools": [{}]}, True),
        ({"functions": [{}]}, True),
    ],
)
def test_has_tools(members: dict[str, object], *, expected: bool) -> None:
    """An empty list of tools is no tools."""
    assert chat(**members).has_tools is expected


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {}}, False),
        ({"stream_options": {"include_usage": None}}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
def test_wants_usage(members: dict[str, object], *, expected: bool) -> None:
    """Usage in the stream is wanted only by those who say so."""
    assert chat(stream=True, **members).wants_usage is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(st.dictionaries(st.text(min_size=1, max_size=8).map("x_{}".format), JSON, max_size=4))
def test_only_the_model_changes(unknown: dict[str, Any]) -> None:
    """Unknown members reach the provider as they are, at their place; only the model is another."""
    request = chat(model="auto", **unknown, temperature=0.3)
    sent = json.loads(encode_request(request, "org/real", ask_usage=False))
    assert sent == {**request.source.values, "model": "org/real"}
    assert list(sent) == list(request.source.values)


def test_a_missing_model_is_added() -> None:
    """A client that names no model still gets one at the provider."""
    data = b'{"messages":[{"role":"user","content":"\\u00e9"}]}'
    sent = encode_request(parse_request(data), "m", ask_usage=False)
    assert sent == data[:-1] + b', "model": "m"}'


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (None, {"include_usage": True}),
        ({}, {"include_usage": True}),
        ({"include_usage": False}, {"include_usage": True}),
        ({"include_obfuscation": False}, {"include_obfuscation": False, "include_usage": True}),
    ],
)
def test_asking_for_usage(options: object, expected: object) -> None:
    """Asking for usage keeps the stream's other options."""
    members: dict[str, object] = {} if options is None else {"stream_options": options}
    request = chat(stream=True, **members)
    assert json.loads(encode_request(request, "m", ask_usage=True))["stream_options"] == expected
    untouched = json.loads(encode_request(request, "m", ask_usage=False))
    assert untouched.get("stream_options") == options


def refused(data: bytes) -> str | None:
    """The member for which a body is refused; None if it is not."""
    try:
        parse_request(data)
    except BadRequest as error:
        return error.param or ""
    return None


@given(st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_body(data: bytes) -> None:
    """Any bytes are a request or a BadRequest."""
    refused(data)


@given(st.lists(JSON, max_size=3), JSON)
def test_any_messages(messages: list[object], options: object) -> None:
    """Any value in the place of messages and options is a request or a BadRequest."""
    param = refused(body(messages=messages, stream_options=options))
    assert param is None or param.startswith(("messages", "stream_options"))


ERRORS = [
    (BadRequest("m", param="p"), 400, "invalid_request_error", "invalid_request"),
    (Unauthorized("m"), 401, "authentication_error", "invalid_api_key"),
    (Forbidden("m"), 403, "permission_error", "not_allowed"),
    (NotFound("m", code="model_not_found"), 404, "invalid_request_error", "model_not_found"),
    (MethodNotAllowed("m"), 405, "invalid_request_error", "method_not_allowed"),
    (TooLarge("m"), 413, "invalid_request_error", "request_too_large"),
    (Internal("m"), 500, "server_error", "internal_error"),
    (NotReady("m"), 503, "service_unavailable_error", "not_ready"),
    (UpstreamError(504, "m", code="c"), 504, "upstream_error", "c"),
    (Rejected(422, "m", type="t", code=None, param="p"), 422, "t", None),
]


@pytest.mark.parametrize(("error", "status", "kind", "code"), ERRORS)
def test_error_shape(error: TiergateError, status: int, kind: str, code: str | None) -> None:
    """Every error knows its status and is written in the shape an OpenAI client reads."""
    shown = json.loads(error_body(error))
    assert shown == {"error": {"message": "m", "type": kind, "param": error.param, "code": code}}
    assert error.status == status
    assert isinstance(error, ClientError) is (400 <= status < 500 and kind != "t")
    assert json.loads(error_event(error).removeprefix(b"data: ")) == shown


@given(st.text())
def test_an_error_event_is_one_line(text: str) -> None:
    """Whatever an error says, its event is one data line: nothing in it can end the event."""
    event = error_event(Internal(text))
    assert event.startswith(b"data: {")
    assert event.endswith(b"}\n\n")
    assert event.count(b"\n") == 2
    assert b"\r" not in event
