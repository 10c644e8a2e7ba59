"""Ids of tool calls, as the API takes them: letters, digits, `_` and `-`
(https://platform.claude.com/docs/en/api/messages: `^[a-zA-Z0-9_-]+$`).

Other providers' have dots and colons (Kimi: `functions.name:0`,
https://github.com/MoonshotAI/Kimi-K2/blob/main/docs/tool_call_guidance.md). A client returns them
as they were, so that their own provider knows them again; they are rewritten where they go to
Anthropic, alike for a call and its result.
"""

import re

# What a request with such an id has in its JSON; many a one has it elsewhere.
MARK = re.compile(rb'"(?:tool_use_)?id"\s*:\s*"[A-Za-z0-9_-]*[^A-Za-z0-9_"-]')

_OTHERS = re.compile(r"[^A-Za-z0-9_-]")
_PLACES = {"tool_use": "id", "tool_result": "tool_use_id"}


def valid_id(id: str) -> str:
    """An id that the API takes: the same for the same id."""
    return _OTHERS.sub(lambda found: f"_{ord(found[0]):x}_", id)


def with_valid_ids(messages: object) -> object:
    """A client's messages, their ids rewritten where they must be."""
    if not isinstance(messages, list):
        return messages
    return [_message(message) for message in messages]


def _message(message: object) -> object:
    content = message.get("content") if isinstance(message, dict) else None
    if not isinstance(message, dict) or not isinstance(content, list):
        return message
    return {**message, "content": [_block(block) for block in content]}


def _block(block: object) -> object:
    if not isinstance(block, dict):
        return block
    place = _PLACES.get(str(block.get("type")), "")
    id_ = block.get(place)
    return {**block, place: valid_id(id_)} if isinstance(id_, str) else block
