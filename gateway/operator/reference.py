"""Writes policies/README.md and policies/policy.schema.json from the schema, and the tables of
docs/dialects.md from what the dialects declare.

python -m gateway.operator.reference          writes them
python -m gateway.operator.reference --check  fails if one differs from what it would write
"""

import sys
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from gateway.core.providers import PROVIDERS
from gateway.operator import pairs
from gateway.operator.problems import table_in, toml_line
from gateway.operator.schema import PolicyFile, json_schema

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "policies"
DIALECTS_PAGE = ROOT / "docs" / "dialects.md"

HEAD = """\
# Policies

<!-- Made by `python -m gateway.operator.reference`: change the schema, not this file. -->

A policy is a TOML file that says who may call, how a request's tier is judged, and which models
answer each tier. Two are here: [demo.toml](demo.toml) works without any key,
[production.toml](production.toml) shows real providers.

    tiergate policy check FILE        everything that is wrong with it, with the remedy
    tiergate policy publish FILE      make it the active one; the next request uses it
    tiergate policy show              what is active
    tiergate policy history           what was published
    tiergate policy rollback          back to the one before
    tiergate explain --policy FILE --prompt TEXT
    tiergate replay --policy FILE --against FILE LOG
    tiergate classify --jsonl FILE    how hard the embedded model finds requests
    tiergate train --labels FILE --out WEIGHTS    teach it by labels of your own

The smallest policy:

```toml
name = "small"
default_tier = "all"

[[tiers]]
name = "all"
description = "Everything"
targets = ["groq/llama-3.1-8b-instant"]
```

Keys never stand in a policy: it has the NAMES of secrets, which are environment variables
locally. A model is always written `provider/model`. Times are in milliseconds, prices in USD per
million tokens. A field that is not described here is refused, so a typing error cannot pass for
a setting. Editors that know [Taplo](https://taplo.tamasfe.dev) complete and check a policy whose
first line is `#:schema ./policy.schema.json`.
"""


def markdown() -> str:
    """The whole of policies/README.md."""
    parts = [HEAD, *_section("The top of the file", PolicyFile), _example(PolicyFile, "")]
    for name, field in PolicyFile.model_fields.items():
        if table := table_in(field.annotation):
            heading = _heading(name, field)
            parts += [*_section(f"`{heading}`", table), _example(table, heading)]
            for inner, item in table.model_fields.items():
                if nested := table_in(item.annotation):
                    parts += _section(f"`{inner}` of `{heading}`", nested)
    return "\n".join([*parts, _known_providers()])


def _section(title: str, table: type[BaseModel]) -> list[str]:
    intro = [] if table is PolicyFile else [" ".join((table.__doc__ or "").split()), ""]
    rows = [_row(name, field) for name, field in _plain_fields(table)]
    return [
        f"## {title}\n",
        *intro,
        "| field | type | default | meaning |",
        "|---|---|---|---|",
        *rows,
        "",
    ]


def _example(table: type[BaseModel], heading: str) -> str:
    """All fields of a table in TOML; together the examples are a policy."""
    named = heading.replace("NAME", "house").replace("provider/model", "openai/gpt-4o-mini")
    lines = [
        toml_line(name, field.examples[0]) for name, field in _plain_fields(table) if field.examples
    ]
    return "\n".join(["```toml", *([named] if named else []), *lines, "```\n"])


def _plain_fields(table: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """A table's fields; of the file itself those that are no tables."""
    fields = table.model_fields.items()
    return [
        (name, field)
        for name, field in fields
        if table is not PolicyFile or table_in(field.annotation) is None
    ]


def _heading(name: str, field: FieldInfo) -> str:
    origin = get_origin(field.annotation)
    if origin is list:
        return f"[[{name}]]"
    if origin is dict:
        return f"[{name}.NAME]" if name == "providers" else f'[{name}."provider/model"]'
    return f"[{name}]"


def _row(name: str, field: FieldInfo) -> str:
    meaning = (field.description or "").replace("|", "\\|")
    type_ = _type(field.annotation).replace("|", "\\|") + _bounds(field)
    return f"| `{name}` | {type_} | {_default(field)} | {meaning} |"


def _default(field: FieldInfo) -> str:
    default = field.get_default(call_default_factory=True)
    if default is PydanticUndefined:
        return "required"
    return "" if default is None else f"`{toml_line('', default).removeprefix(' = ')}`"


def _bounds(field: FieldInfo) -> str:
    metadata = [*field.metadata, *_metadata(field.annotation)]
    least = next((item.ge for item in metadata if getattr(item, "ge", None) is not None), None)
    most = next((item.le for item in metadata if getattr(item, "le", None) is not None), None)
    return "" if least is None or most is None else f", {least:,} to {most:,}"


def _metadata(annotation: object) -> list[Any]:
    """What is annotated inside a union."""
    return [
        found
        for part in get_args(annotation)
        if get_origin(part) is Annotated
        for item in part.__metadata__
        for found in (item.metadata if isinstance(item, FieldInfo) else [item])
    ]


def _type(annotation: object) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin in {UnionType, Union}:
        return _type(next(item for item in arguments if item is not NoneType))
    if origin is Literal:
        return " or ".join(f"`{item}`" for item in arguments)
    if origin is list:
        return f"array of {_type(arguments[0])}s"
    if table_in(annotation):
        return "string or table" if origin is None else "table"
    names = {str: "string", int: "whole number", float: "number", bool: "true or false"}
    return names.get(annotation, "table") if isinstance(annotation, type) else "table"


def _known_providers() -> str:
    rows = [
        f"| `{row.name}` | `{row.base_url}` | {f'`{row.key}`' if row.key else 'none'} |"
        for row in PROVIDERS.values()
    ]
    return "\n".join(
        [
            "## Providers known by name\n",
            "These need no `[providers.NAME]` table; one changes what it names.\n",
            "| name | base_url | key |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Writes the files, or with --check compares them."""
    made = {
        FOLDER / "README.md": markdown(),
        FOLDER / "policy.schema.json": json_schema(),
        DIALECTS_PAGE: pairs.with_tables(DIALECTS_PAGE.read_text(encoding="utf-8")),
    }
    if sys.argv[1:] == ["--check"]:
        stale = [
            path.name
            for path, text in made.items()
            if not path.is_file() or path.read_text(encoding="utf-8") != text
        ]
        if stale:
            sys.exit(f"{', '.join(stale)} out of date: python -m {__spec__.name}")
    else:
        for path, text in made.items():
            path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
