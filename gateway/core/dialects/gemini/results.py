"""Results of tools: an object here, parts elsewhere.

Facts: https://ai.google.dev/api/caching#FunctionResponse. `output` is what the function gave,
`error` what went wrong; without either, the whole object is its output. Media lie beside it, in
`parts` (https://ai.google.dev/gemini-api/docs/function-calling#multimodal).
"""

import json

from gateway.core.conversation import File, Image, Json, Text, ToolResult


def read_response(response: Json) -> tuple[str, bool]:
    """Its text, and whether it is an error. An empty object has none."""
    match response:
        case {"output": output, **rest} if not rest:
            return _text(output), False
        case {"error": error, **rest} if not rest:
            return _text(error), True
    return _text(response) if response else "", False


def write_response(result: ToolResult) -> Json:
    texts = [part.text for part in result.parts if isinstance(part, Text)]
    if not texts:
        return {"error": ""} if result.is_error else {}
    return {"error" if result.is_error else "output": "\n\n".join(texts)}


def media_of(result: ToolResult) -> list[Image | File]:
    return [part for part in result.parts if not isinstance(part, Text)]


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
