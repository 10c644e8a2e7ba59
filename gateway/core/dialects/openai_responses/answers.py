"""Whole answers, both ways."""

import json

from gateway.core.answers import Answer, Choice
from gateway.core.chat import ChatRequest
from gateway.core.conversation import Json, Part, Reasoning, Refusal, Text, ToolCall
from gateway.core.dialect import Malformed
from gateway.core.dialects import shapes
from gateway.core.dialects.openai_responses import output_items as items
from gateway.core.dialects.openai_responses import proofs
from gateway.core.dialects.openai_responses.marks import made_id
from gateway.core.dialects.openai_responses.response import Frame, incomplete, read_finish
from gateway.core.dialects.openai_responses.usage import read_usage


def read_answer(body: bytes) -> Answer:
    """A provider's answer. Raises Malformed, also for one that failed or has not ended."""
    value = shapes.an_object(body)
    if value.get("error"):
        raise Malformed("it reports an error")
    if not isinstance(value.get("output"), list):
        raise Malformed("it has no output")
    parts: list[Part] = []
    logprobs: list[Json] = []
    for item in shapes.objects(value, "output"):
        found, tokens = items.read_item(item)
        parts += found
        logprobs += tokens
    finish = read_finish(
        value,
        has_calls=any(isinstance(part, ToolCall) for part in parts),
        is_refused=any(isinstance(part, Refusal) for part in parts),
    )
    return Answer(
        (Choice(tuple(parts), finish, logprobs=tuple(logprobs)),),
        shapes.string(value, "id"),
        shapes.string(value, "model"),
        shapes.seconds(value, "created_at"),
        read_usage(value.get("usage")),
    )


def write_answer(answer: Answer, chat: ChatRequest | None = None) -> bytes:
    """An answer as a client reads it; `chat` is what it asked. Of several choices the first: this
    dialect cannot ask for more."""
    frame = Frame(answer.id, answer.model, answer.created, chat)
    choice = answer.choices[0] if answer.choices else Choice(())
    is_refused = any(isinstance(part, Refusal) for part in choice.parts)
    details = incomplete(choice.finish, is_refused=is_refused)
    output = _output(choice, frame.id)
    if details is not None and output:
        output[-1]["status"] = "incomplete"
    status = "completed" if details is None else "incomplete"
    return json.dumps(frame.response(status, output, answer.usage, details)).encode()


def _output(choice: Choice, response: str) -> list[Json]:
    """The parts as items; texts and refusals in a row are one message."""
    output: list[Json] = []
    content: list[Json] | None = None
    texts = [number for number, part in enumerate(choice.parts) if isinstance(part, Text)]
    for number, part in enumerate(choice.parts):
        match part:
            case Text() | Refusal():
                if content is None:
                    content = []
                    output.append(items.message(_id("msg", response, output), content, "completed"))
                tokens = choice.logprobs if texts[-1:] == [number] else ()
                content.append(_content(part, [items.logprob(item) for item in tokens]))
                continue
            case Reasoning():
                id_, encrypted = proofs.of_reasoning(part)
                id_ = id_ or _id("rs", response, output)
                output.append(items.reasoning(id_, part.text, encrypted, "completed"))
            case ToolCall():
                if encrypted := proofs.of_call(part):
                    id_ = _id("rs", response, output)
                    output.append(items.reasoning(id_, "", encrypted, "completed"))
                made = ToolCall(part.id, part.name, part.arguments or items.NO_ARGUMENTS)
                output.append(items.call(_id("fc", response, output), made, "completed"))
            case _:
                continue
        content = None
    return output


def _id(prefix: str, response: str, output: list[Json]) -> str:
    return made_id(prefix, response, len(output))


def _content(part: Text | Refusal, logprobs: list[Json]) -> Json:
    if isinstance(part, Refusal):
        return items.refusal_content(part.text)
    found = [items.annotation(citation, len(part.text)) for citation in part.citations]
    return items.text_content(part.text, [item for item in found if item], logprobs)
