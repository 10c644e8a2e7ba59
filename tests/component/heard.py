"""What a provider was told, in no dialect's words; asserted as the real ones would refuse it.

Each dialect's reader fails on a request that its API answers with a 400: results without their
calls, calls without their results, contents of the wrong role, signatures that are missing.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.component.providers import THINKING, Json


@dataclass(frozen=True)
class Heard:
    """One thing that was said. `what`: a text, a picture's bytes in base64, a tool's name with its
    arguments or its result, a proof of reasoning."""

    kind: str
    what: Any

    def __repr__(self) -> str:
        return f"{self.kind}={self.what!r}"


def said(kind: str, *what: Any) -> Heard:  # noqa: ANN401 - JSON
    return Heard(kind, what[0] if len(what) == 1 else what)


def _result(name: str, text: str) -> Heard:
    """A result. Google's SDK puts what a Python function gives into an object."""
    return said("result", name, json.loads(text)["result"] if text.startswith("{") else text)


def heard(dialect: str, request: Json) -> list[Heard]:
    """All of a request, in order."""
    match dialect:
        case "openai-chat":
            return list(_chat(request))
        case "openai-responses":
            return list(_responses(request))
        case "anthropic-messages":
            return list(_messages(request))
        case _:
            return list(_gemini(request))


def proofs(found: list[Heard]) -> list[str]:
    return [one.what for one in found if one.kind == "proof"]


def without_proofs(found: list[Heard]) -> list[Heard]:
    return [one for one in found if one.kind != "proof"]


def tools_of(dialect: str, request: Json) -> dict[str, Json]:
    """The schemas of the tools, by their names."""
    match dialect:
        case "openai-chat":
            functions = [tool["function"] for tool in request["tools"]]
            return {one["name"]: one["parameters"] for one in functions}
        case "openai-responses":
            return {tool["name"]: tool["parameters"] for tool in request["tools"]}
        case "anthropic-messages":
            return {tool["name"]: tool["input_schema"] for tool in request["tools"]}
        case _:
            declared = _member(request["tools"][0], "functionDeclarations")
            return {one["name"]: _member(one, "parametersJsonSchema") for one in declared}


def schema_of(dialect: str, request: Json) -> Json:
    """The JSON Schema that the answer must keep to."""
    match dialect:
        case "openai-chat":
            found: Json = request["response_format"]["json_schema"]["schema"]
        case "openai-responses":
            found = request["text"]["format"]["schema"]
        case "anthropic-messages":
            found = request["output_config"]["format"]["schema"]
        case _:
            config = request["generationConfig"]
            assert _member(config, "responseMimeType") == "application/json"
            found = _member(config, "responseJsonSchema") or _member(config, "responseSchema")
    return found


# --- openai-chat ---------------------------------------------------------------


def _chat(request: Json) -> Iterator[Heard]:
    calls: dict[str, str] = {}  # those that wait for their results
    for message in request["messages"]:
        role, content = message["role"], message.get("content")
        if role == "tool":
            yield _result(calls.pop(message["tool_call_id"]), _joined(content))
            continue
        assert not calls, f"no results of {calls} before {message}"
        if role != "assistant":
            yield from _chat_parts("system" if role == "developer" else role, content)
            continue
        assert content or message.get("tool_calls") or message.get("refusal"), "it says nothing"
        if thought := message.get("reasoning_content"):
            yield said("proof", thought)
        if content:
            yield said("said", _joined(content))
        for call in message.get("tool_calls") or []:
            function = call["function"]
            calls[call["id"]] = function["name"]
            yield said("call", function["name"], json.loads(function["arguments"]))
    assert not calls


def _joined(content: Any) -> str:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return content
    assert all(set(part) == {"type", "text"} for part in content), content
    return "".join(part["text"] for part in content)


def _chat_parts(role: str, content: Any) -> Iterator[Heard]:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        yield said(role, content)
        return
    for part in content:
        if part["type"] == "image_url":
            yield said("image", part["image_url"]["url"].removeprefix("data:image/png;base64,"))
        else:
            yield said(role, part["text"])


# --- openai-responses ----------------------------------------------------------


def _responses(request: Json) -> Iterator[Heard]:
    calls: dict[str, str] = {}
    if text := request.get("instructions"):
        yield said("system", text)
    items = request["input"]
    if isinstance(items, str):
        items = [{"role": "user", "content": items}]
    for item in items:
        match item.get("type", "message"):
            case "message":
                yield from _responses_message(item)
            case "reasoning":
                assert "summary" in item, item
                proof = item.get("encrypted_content")
                assert proof, "an item that is not stored has its proof, or it is not found"
                assert item.get("id", "rs_1") == "rs_1", item
                yield said("proof", proof)
            case "function_call":
                calls[item["call_id"]] = item["name"]
                yield said("call", item["name"], json.loads(item["arguments"]))
            case "function_call_output":
                output = item["output"]
                text = output if isinstance(output, str) else _input_text(output)
                yield _result(calls.pop(item["call_id"]), text)
            case other:
                raise AssertionError(other)
    assert not calls


def _input_text(content: list[Json]) -> str:
    assert all(part["type"] == "input_text" for part in content), content
    return "".join(part["text"] for part in content)


def _responses_message(item: Json) -> Iterator[Heard]:
    role, content = item["role"], item["content"]
    if isinstance(content, str):
        content = [{"type": "input_text", "text": content}]
    for part in content:
        if role == "assistant":
            assert part["type"] in {"output_text", "input_text"}, part
            assert part["type"] == "output_text" or isinstance(item["content"], str)
            yield said("said", part["text"])
        elif part["type"] == "input_image":
            yield said("image", part["image_url"].removeprefix("data:image/png;base64,"))
        else:
            assert part["type"] == "input_text", part
            yield said("system" if role == "developer" else role, part["text"])


# --- anthropic-messages --------------------------------------------------------


def _messages(request: Json) -> Iterator[Heard]:
    assert request["max_tokens"] > 0
    for text in _texts(request.get("system") or []):
        yield said("system", text)
    calls: dict[str, str] = {}
    before = None
    for message in request["messages"]:
        role, content = message["role"], message["content"]
        assert role in {"user", "assistant"}
        assert role != before, "the gateway is to merge them"
        before = role
        blocks = [{"type": "text", "text": content}] if isinstance(content, str) else content
        assert blocks
        results = [block for block in blocks if block["type"] == "tool_result"]
        assert {block["tool_use_id"] for block in results} == set(calls), "each call, its result"
        assert blocks[: len(results)] == results, "results come first"
        if any(block["type"] == "tool_use" for block in blocks) and "thinking" in request:
            assert blocks[0]["type"] in {"thinking", "redacted_thinking"}
        for block in blocks:
            yield from _block(role, block, calls)
    assert not calls


def _block(role: str, block: Json, calls: dict[str, str]) -> Iterator[Heard]:
    match block["type"]:
        case "text":
            assert block["text"]
            yield said(role if role == "user" else "said", block["text"])
        case "image":
            assert block["source"]["media_type"] == "image/png"
            yield said("image", block["source"]["data"])
        case "thinking":
            assert set(block) == {"type", "thinking", "signature"}
            assert block["thinking"] == THINKING, "changed: its signature is void"
            yield said("proof", block["signature"])
        case "tool_use":
            calls[block["id"]] = block["name"]
            yield said("call", block["name"], block["input"])
        case "tool_result":
            text = "".join(_texts(block.get("content", "")))
            yield _result(calls.pop(block["tool_use_id"]), text)
        case other:
            raise AssertionError(other)


def _texts(content: Any) -> list[str]:  # noqa: ANN401 - JSON
    if isinstance(content, str):
        return [content]
    assert all(block["type"] == "text" for block in content), content
    return [block["text"] for block in content]


# --- gemini --------------------------------------------------------------------


def _gemini(request: Json) -> Iterator[Heard]:
    for part in (request.get("systemInstruction") or {"parts": []})["parts"]:
        yield said("system", part["text"])
    calls: list[str] = []
    contents = _merged(request["contents"])
    assert contents[0][0] == "user"
    for role, parts in contents:
        answers = [part for part in parts if "functionResponse" in part]
        assert len(answers) == len(calls), "as many responses as calls, all in one content"
        first = next((part for part in parts if "functionCall" in part), None)
        assert first is None or _signature(first), "the first call is to be signed"
        for part in parts:
            if "functionResponse" in part:
                response = part["functionResponse"]
                assert response["name"] == calls.pop(0)
                yield _result(response["name"], _output(response["response"]))
                continue
            yield from _gemini_part(role, part)
            if "functionCall" in part:
                calls.append(part["functionCall"]["name"])
    assert not calls


def _merged(contents: list[Json]) -> list[tuple[str, list[Json]]]:
    """One content for each turn: Google's SDK sends back a stream's pieces one by one."""
    merged: list[tuple[str, list[Json]]] = []
    for content in contents:
        if not merged or merged[-1][0] != content["role"]:
            merged.append((content["role"], []))
        for part in content["parts"]:
            _append(merged[-1][1], part)
    return merged


def _append(parts: list[Json], part: Json) -> None:
    before = parts[-1] if parts else {}
    if set(before) == set(part) and "text" in part and set(part) <= {"text", "thought"}:
        parts[-1] = {**before, "text": before["text"] + part["text"]}
    else:
        parts.append(part)


def _member(value: Json, name: str) -> Any:  # noqa: ANN401 - JSON
    """A member in either spelling: the API takes both, and Google's SDK mixes them."""
    snake = "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)
    return value.get(name, value.get(snake))


def _standard(base64: str) -> str:
    return base64.replace("-", "+").replace("_", "/")


def _signature(part: Json) -> str | None:
    found: str | None = _member(part, "thoughtSignature")
    return found


def _output(response: Json) -> str:
    (text,) = response.values()
    return text if isinstance(text, str) else json.dumps(text)


def _gemini_part(role: str, part: Json) -> Iterator[Heard]:
    signature = _signature(part)
    if signature and signature != "skip_thought_signature_validator":
        yield said("proof", _standard(signature))
    if "functionCall" in part:
        call = part["functionCall"]
        yield said("call", call["name"], call.get("args", {}))
    elif data := _member(part, "inlineData"):
        assert _member(data, "mimeType") == "image/png"
        yield said("image", _standard(data["data"]))
    elif "thought" not in part and part["text"]:
        yield said("said" if role == "model" else "user", part["text"])
