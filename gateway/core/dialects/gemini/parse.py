"""A client's request, read as far as every request is: which model, how hard, streamed or not.

Facts: https://ai.google.dev/api/generate-content. Model and streaming are said by the path.
"""

from gateway.core.chat import ChatRequest, Message
from gateway.core.conversation import Json
from gateway.core.dialects import fields
from gateway.core.dialects.gemini.contents_in import ROLES
from gateway.core.dialects.gemini.media import is_image
from gateway.core.dialects.gemini.results import read_response
from gateway.core.dialects.gemini.wire import Members, get, listed
from gateway.core.errors import BadRequest

_OBJECTS = ("systemInstruction", "toolConfig", "generationConfig")
_INTEGERS = ("candidateCount", "maxOutputTokens", "seed", "logprobs", "topK")
_NUMBERS = ("temperature", "topP", "presencePenalty", "frequencyPenalty")


def parse_request(
    body: bytes,
    model: str | None,
    is_stream: bool | None,  # noqa: FBT001 - the dialects' common form
) -> ChatRequest:
    """The request in a client's body. Raises BadRequest naming the member at fault."""
    source = fields.body_object(body, {})
    root = Members(source.values)
    for name in _OBJECTS:
        root.json(name)
    config = root.members("generationConfig") or Members({})
    for name in _INTEGERS:
        config.integer(name)
    for name in _NUMBERS:
        config.number(name)
    config.strings("stopSequences")
    contents = listed(fields.required(root.get("contents"), "contents"), "contents")
    if not contents:
        raise BadRequest(
            "'contents' is empty: send at least one content.", code="empty_array", param="contents"
        )
    messages = [
        message
        for index, content in enumerate(contents)
        for message in _messages(content, f"contents[{index}]")
    ]
    if (system := root.members("systemInstruction")) is not None:
        messages[:0] = _messages({**system.values, "role": None}, system.path, "system")
    return ChatRequest(
        source=source,
        model=(model or "").removeprefix("models/") or None,
        messages=tuple(messages),
        answers=config.integer("candidateCount") or 1,
        is_stream=is_stream is True,
        wants_usage=True,  # every stream of this dialect has it
        has_tools=bool(listed(root.get("tools"), root.at("tools"))),
        wants_schema=bool(config.get("responseSchema") or config.get("responseJsonSchema")),
    )


def _messages(content: object, path: str, role: str | None = None) -> list[Message]:
    """What one content says: results of tools are messages of their own."""
    if not isinstance(content, dict):
        raise fields.wrong_type(path, "an object")
    said = fields.string(get(content, "role"), f"{path}.role") or "user"
    if said not in ROLES:
        raise fields.wrong_value(f"{path}.role", "must be user or model")
    role = role or ROLES[said]
    texts: list[str] = []
    results: list[Message] = []
    has_image = False
    parts = listed(get(content, "parts"), f"{path}.parts")
    for index, part in enumerate(parts):
        at = f"{path}.parts[{index}]"
        if not isinstance(part, dict):
            raise fields.wrong_type(at, "an object")
        text = fields.string(part.get("text"), f"{at}.text")
        if text and part.get("thought") is not True:
            texts.append(text)
        elif response := get(part, "functionResponse"):
            results.append(_result(response))
        else:
            has_image = has_image or _shows_image(part)
    if results and not texts and not has_image:
        return results
    return [*results, Message(role, "\n\n".join(texts), has_image)]


def _result(response: object) -> Message:
    given = response if isinstance(response, dict) else {}
    found = given.get("response")
    media = get(given, "parts")
    shows = any(_shows_image(part) for part in media) if isinstance(media, list) else False
    return Message("tool", read_response(found)[0] if isinstance(found, dict) else "", shows)


def _shows_image(part: object) -> bool:
    if not isinstance(part, dict):
        return False
    data: Json | object = get(part, "inlineData") or get(part, "fileData")
    return isinstance(data, dict) and is_image(get(data, "mimeType"))
