"""What is wrong with a policy file, said so that it can be put right.

Rules: each problem names the file, the place in it, the value and what to write instead. A value
is shown only if it is short, plain and cannot be a secret; under an unknown name it never is,
since `api_key = "..."` is a likely mistake.
"""

import json
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from gateway.operator.schema import PolicyFile, TargetTable
from gateway.operator.suggest import did_you_mean

Loc = Sequence[str | int]

SECRET_FIELDS = frozenset({"key", "keys", "key_prefix", "options"})
_LONGEST_VALUE = 80
# The alphabet and length of providers' keys; a digit and a letter somewhere in it.
_LIKE_A_KEY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9_+=-]{20,}")
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_TYPES = {
    "int_type": "a whole number",
    "float_type": "a number",
    "string_type": "a string",
    "bool_type": "true or false",
    "list_type": "an array",
    "dict_type": "a table",
    "model_type": "a table",
    "finite_number": "a finite number",
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem. `path` is a TOML path like `tiers[0].targets[1].weight`, or line and column;
    `tier` the name of the tier that it is in."""

    file: str
    path: str
    text: str
    value: str | None = None
    tier: str | None = None

    def __str__(self) -> str:
        got = "" if self.value is None else f" (it is {self.value})"
        tier = "" if self.tier is None else f" (tier {self.tier})"
        return f"{self.file}: {self.path}{tier}: {self.text}{got}"

    def to_json(self) -> dict[str, str | None]:
        return {"file": self.file, "path": self.path, "problem": self.text, "value": self.value}


class PolicyInvalid(Exception):
    """A policy file with all that is wrong with it."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def from_toml(error: tomllib.TOMLDecodeError, file: str, text: str) -> Problem:
    """A syntax error. The line itself is not shown: it may hold a secret."""
    message = str(error)
    if match := re.search(r" \(at line (\d+), column (\d+)\)$", message):
        line, column = int(match[1]), int(match[2])
    else:
        line, column = text.count("\n") + 1, len(text) - text.rfind("\n")
    problem = re.sub(r" \(at .*\)$", "", message)
    return Problem(file, f"line {line}, column {column}", f"not TOML: {problem}")


def from_pydantic(details: ErrorDetails, file: str, tiers: Sequence[str | None] = ()) -> Problem:
    """One of pydantic's errors in the words of this program. `tiers` are the tiers' names."""
    loc = [part for part in details["loc"] if part != "[key]"]
    model, field = _field_at(loc)
    context = details.get("ctx", {})
    value: str | None = shown(details["input"], loc)
    match details["type"]:
        case "rule":
            text = details["msg"]
        case "missing":
            text, value = f"is missing{_example(loc, field)}", None
        case "extra_forbidden":
            remedy = did_you_mean(str(loc[-1]), model.model_fields)
            text, value = f"is not a field of the policy{remedy}", None
        case "literal_error":
            words = re.findall(r"'([^']*)'", str(context.get("expected", "")))
            text = f"must be one of {', '.join(words)}"
            if isinstance(details["input"], str) and (
                hint := did_you_mean(details["input"], words, else_=" ")
            ).strip(" ;"):
                text += hint
        case "too_short" | "string_too_short":
            text, value = f"must not be empty{_example(loc, field)}", None
        case "string_too_long":
            text, value = f"must be at most {context.get('max_length')} characters long", None
        case "greater_than_equal":
            text = f"must be at least {context.get('ge'):g}"
        case "less_than_equal":
            text = f"must be at most {context.get('le'):g}"
        case "model_type" if model is TargetTable:
            text = 'must be "provider/model", or a table with `model` and `weight`'
        case kind if kind in _TYPES:
            text = f"must be {_TYPES[kind]}{_example(loc, field)}"
        case _:
            text = details["msg"]
    match loc:
        case ["tiers", int(index), field_name, *_] if field_name != "name" and index < len(tiers):
            return Problem(file, path_of(loc), text, value, tiers[index])
        case _:
            return Problem(file, path_of(loc), text, value)


def path_of(loc: Loc) -> str:
    """`("prices", "openai/gpt-4o", "input")` as `prices."openai/gpt-4o".input`."""
    path = ""
    for part in loc:
        if isinstance(part, int):
            path += f"[{part}]"
        else:
            word = part if _BARE_KEY.fullmatch(part) else json.dumps(part)
            path += f".{word}" if path else word
    return path or "the file"


def shown(value: object, loc: Loc) -> str | None:
    """The value as TOML has it, or None where it must not or cannot be shown."""
    if SECRET_FIELDS & set(loc) or not isinstance(value, str | int | float | bool):
        return None
    text = json.dumps(value, ensure_ascii=False)
    if _LIKE_A_KEY.search(text) and "/" not in text:
        return None
    if "base_url" in loc and re.search("[@?#]", text):
        return None
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}..."


def _example(loc: Loc, field: FieldInfo | None) -> str:
    if field is None or not field.examples or not loc:
        return ""
    return f"; for example: {toml_line(str(loc[-1]), field.examples[0])}" * isinstance(loc[-1], str)


def toml_line(name: str, value: object) -> str:
    """`name = value` in TOML."""
    return f"{name} = {_toml_value(value)}"


def _toml_value(value: object) -> str:
    if isinstance(value, dict) and value:
        return "{ " + ", ".join(toml_line(name, item) for name, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _field_at(loc: Loc) -> tuple[type[BaseModel], FieldInfo | None]:
    """The table a place is in, and the field it is, if that table has it."""
    model: type[BaseModel] = PolicyFile
    field: FieldInfo | None = None
    for part in loc:
        if isinstance(part, str) and part in model.model_fields:
            field = model.model_fields[part]
            inner = table_in(field.annotation)
            if inner is None:
                return model, field
            if get_origin(field.annotation) not in {list, dict}:
                model, field = inner, None
        elif field is not None and (inner := table_in(field.annotation)):
            model, field = inner, None
    return model, field


def table_in(annotation: object) -> type[BaseModel] | None:
    """The table that a field, list or dict of this type holds, if any."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next(filter(None, map(table_in, get_args(annotation))), None)
