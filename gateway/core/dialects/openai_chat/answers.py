"""Whole answers, both ways. Facts: https://platform.openai.com/docs/api-reference/chat/object.

A client's types want `id`, `created` and `model`: what the provider did not say is empty there.
"""

import json

from gateway.core import jsontext
from gateway.core.answers import Answer, Choice
from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json, Part, Refusal, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects.fields import each, integer, members, required, string
from gateway.core.dialects.notes import Notes
from gateway.core.dialects.openai_chat.assistant import (
    cited,
    read_citations,
    read_message,
    write_message,
)
from gateway.core.dialects.openai_chat.usage import read_usage, write_usage
from gateway.core.dialects.openai_chat.words import FAILURES, read_finish, write_finish
from gateway.core.errors import BadRequest
from gateway.core.jsontext import JsonError


def read_answer(body: bytes) -> Answer:
    """A provider's answer. Raises Malformed."""
    try:
        answer = jsontext.parse(body)
        if not isinstance(answer, dict) or answer.get("error"):
            raise Malformed("it is no answer")
        id_ = string(answer.get("id"), "id") or None
        found = each(
            answer.get("choices"),
            "choices",
            lambda item, path: (_index(item, path), _read_choice(item, path, id_ or "")),
        )
        if not found:
            raise Malformed("it has no choices")
        return Answer(
            tuple([choice for _, choice in sorted(found, key=lambda pair: pair[0])]),
            id_,
            string(answer.get("model"), "model") or None,
            integer(answer.get("created"), "created") or None,
            read_usage(answer.get("usage")),
        )
    except (JsonError, BadRequest) as error:
        raise Malformed(str(error)) from None


def write_answer(answer: Answer, chat: ChatRequest | None = None) -> bytes:
    """An answer for a client. `chat`, where it is known, says whether it knows `tool_calls`."""
    is_legacy = chat is not None and is_legacy_client(chat)
    written: Json = {
        "id": answer.id or "",
        "object": "chat.completion",
        "created": answer.created or 0,
        "model": answer.model or "",
        "choices": [
            _write_choice(choice, index, is_legacy=is_legacy)
            for index, choice in enumerate(answer.choices)
        ],
    }
    if answer.usage is not None:
        written["usage"] = write_usage(answer.usage)
    return json.dumps(written).encode()


def is_legacy_client(chat: ChatRequest) -> bool:
    """Whether a client gave `functions` and no `tools`: it looks for `function_call`."""
    values = chat.source.values
    return bool(values.get("functions")) and not values.get("tools")


def read_logprobs(choice: Json, path: str) -> tuple[Json, ...]:
    """One object a token: of the content, or of the refusal."""
    found = members(choice.get("logprobs"), f"{path}.logprobs") or {}
    at = f"{path}.logprobs.content"
    items = each(found.get("content"), at, lambda item, _: item)
    return items or each(found.get("refusal"), at, lambda item, _: item)


def write_logprobs(items: tuple[Json, ...]) -> Json | None:
    return {"content": list(items), "refusal": None} if items else None


def _index(choice: Json, path: str) -> int:
    return integer(choice.get("index"), f"{path}.index") or 0


def _has(parts: tuple[Part, ...], kind: type[ToolCall | Refusal]) -> bool:
    return any(isinstance(part, kind) for part in parts)


def _read_choice(choice: Json, path: str, id: str) -> Choice:
    word = string(choice.get("finish_reason"), f"{path}.finish_reason")
    if word in FAILURES:
        raise Malformed(f"the provider stopped: {word}")
    at = f"{path}.message"
    message = required(members(choice.get("message"), at), at)
    parts = read_message(message, at, Notes(), f"{id}{path}", is_answer=True)
    parts = cited(parts, read_citations(message.get("annotations"), f"{at}.annotations"))
    finish = word and read_finish(
        word, has_calls=_has(parts, ToolCall), has_refusal=_has(parts, Refusal)
    )
    return Choice(parts, finish or None, stopped_by(choice), read_logprobs(choice, path))


def stopped_by(choice: Json) -> str | None:
    """The stop sequence, where vLLM says it; its number of a stop token is none."""
    found = choice.get("stop_reason")
    return found if isinstance(found, str) else None


def _write_choice(choice: Choice, index: int, *, is_legacy: bool) -> Json:
    has_refusal = _has(choice.parts, Refusal)
    finish = choice.finish and write_finish(
        choice.finish, is_legacy=is_legacy, has_refusal=has_refusal
    )
    return {
        "index": index,
        "message": write_message(choice.parts, is_answer=True, is_legacy=is_legacy),
        "logprobs": write_logprobs(choice.logprobs),
        "finish_reason": finish,
    }
