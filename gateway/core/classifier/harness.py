"""Text that an agent's harness adds around the user's words: it is not what the user asks.

Each row is a tag seen in what a client sends as a user's turn. Only whole elements count: a tag
that is opened and never closed is the user's own text.
"""

# Claude Code, Cline, Roo, Codex CLI, Cursor, Gemini CLI, VS Code chat
ADDED = (
    "system-reminder",
    "environment_details",
    "environment_context",
    "user_instructions",
    "command-name",
    "command-message",
    "local-command-stdout",
    "ide_opened_file",
    "ide_selection",
    "additional_data",
    "attached_files",
    "open_and_recently_viewed_files",
    "workspace_info",
    "reminderInstructions",
    "editorContext",
)
# Elements whose inside is the user's words, and what stands around them is not.
WRAPPERS = ("user_query", "userRequest", "user_message", "task")


def user_words(text: str) -> str:
    """The user's own words in a user's turn, in time linear in its length."""
    if "<" not in text:
        return text.strip()
    for tag in WRAPPERS:
        if (inside := _inside(text, tag)) is not None:
            text = inside
            break
    for tag in ADDED:
        text = _without(text, tag)
    return text.strip()


def _inside(text: str, tag: str) -> str | None:
    start = text.find(f"<{tag}>")
    end = text.rfind(f"</{tag}>")
    return text[start + len(tag) + 2 : end] if -1 < start < end else None


def _without(text: str, tag: str) -> str:
    opening, closing = f"<{tag}>", f"</{tag}>"
    parts: list[str] = []
    position = 0
    while (start := text.find(opening, position)) != -1:
        end = text.find(closing, start)
        if end == -1:
            break
        parts.append(text[position:start])
        position = end + len(closing)
    parts.append(text[position:])
    return "".join(parts)
