"""What OpenAI's APIs take of a file's name and a user's."""

import hashlib

import pytest

from gateway.core.conversation import Json, Media
from gateway.core.dialects.openai_limits import file_name, parameters, type_by_name, user_name


@pytest.mark.parametrize(
    ("type_", "name", "expected"),
    [
        ("application/pdf", None, "file.pdf"),
        ("application/pdf", "Quarterly report", "Quarterly report.pdf"),
        ("application/pdf", "Report.PDF", "Report.PDF"),
        ("application/pdf", "report v1.2", "report v1.2.pdf"),
        ("application/pdf", "report.final", "report.final.pdf"),
        ("text/plain", None, "file.txt"),
        ("text/plain", "main.py", "main.py"),
        ("text/markdown", "notes", "notes.md"),
        ("application/octet-stream", "data.bin", "data.bin"),
        ("application/octet-stream", "data", "data"),
        (None, "a.txt", "a.txt"),
        (None, None, "file"),
    ],
)
def test_file_names(type_: str | None, name: str | None, expected: str) -> None:
    """A file's name ends in what tells its type, and is its own where it does so already."""
    assert file_name(Media(type_, "AAAA", name=name)) == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [("a.pdf", "application/pdf"), ("A.TXT", "text/plain"), ("a.bin", None), ("pdf", None)],
)
def test_types_by_name(name: str, expected: str | None) -> None:
    """A file's kind is told by its name's ending, if that is known."""
    assert type_by_name(name) == expected


def test_user_names() -> None:
    """A user is told by name up to 64 characters, by a hash of as many beyond."""
    assert user_name("u" * 64) == "u" * 64
    assert user_name("u" * 65) == hashlib.sha256(b"u" * 65).hexdigest()
    assert len(user_name("\ud83d" + "u" * 64)) == 64


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "object"}, {"type": "object", "properties": {}}),
        ({"properties": None, "type": "object"}, {"properties": {}, "type": "object"}),
        ({"type": "object", "properties": {"a": {"type": "object"}}}, None),
        ({"$ref": "#/$defs/a"}, None),
        ({}, None),
    ],
)
def test_parameters(schema: Json, expected: Json | None) -> None:
    """An object without properties has none; every other schema is what it was."""
    assert parameters(schema) == (schema if expected is None else expected)
