"""Tables of the configuration whose entries an operator names, each with the same typed keys.

A key of an entry is dotted like any other, for example
`upstreams.weather.base_url`. A key that is itself a table, such as `headers`,
takes any name below it. Entries exist as soon as one of their keys is set; what
is not set has the default of its dataclass.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, get_args, get_origin, get_type_hints

from core.platform.config import upstreams
from core.platform.config.upstreams import UpstreamSettings

TABLES: dict[str, type[UpstreamSettings]] = {"upstreams": UpstreamSettings}
_ENTRY_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def kind_of(key: str) -> Any:
    """Return the type of a dotted key, or None if no table has such a key."""
    found = _find(key)
    if found is None:
        return None
    table, item, below = found
    kind = get_type_hints(table)[item.name]
    if get_origin(kind) is dict:
        return get_args(kind)[1] if below else None
    return None if below else kind


def is_marked(key: str, mark: str) -> bool:
    """Return whether the field of this key carries `mark`: `secret` or `url`."""
    found = _find(key)
    return found is not None and bool(found[1].metadata.get(mark))


def _find(key: str) -> tuple[type[UpstreamSettings], Field[Any], str] | None:
    """Return the table, the field and the name below the field that a key means."""
    name, entry, field_name, below, *_ = [*key.split(".", 3), "", "", ""]
    table = TABLES.get(name)
    if table is None or not _ENTRY_NAME.fullmatch(entry):
        return None
    known = ((table, item, below) for item in fields(table) if field_name in (item.name, item.metadata.get("also")))
    return next(known, None)


def normal(key: str) -> str:
    """Return the key as it is stored: a field has one name, and headers are the same in upper and lower case."""
    found = _find(key)
    if found is None:
        return key
    name, entry, *_ = key.split(".", 3)
    return ".".join(part for part in (name, entry, found[1].name, found[2].lower()) if part)


def from_variable(key: str, known: Mapping[str, Any]) -> str:
    """Return the key that a variable means: no shell lets a variable's name contain a hyphen."""
    parts = key.split(".", 3)
    if parts[0] not in TABLES or len(parts) < 3:
        return key
    named = (entry for entry in _entries(parts[0], known) if entry.replace("-", "_") == parts[1])
    parts[1] = next(named, parts[1])
    return normal(".".join([*parts[:3], *(part.replace("_", "-") for part in parts[3:])]))


def similar_keys(key: str) -> list[str]:
    """Return the keys that may have been meant by an unknown one in a table."""
    name, *rest = key.split(".", 2)
    if name not in TABLES:
        return []
    shown = rest[0].lower() if len(rest) == 2 else "<name>"
    return [f"{name}.{shown}.{item.name}{'.<name>' if _is_table(item) else ''}" for item in fields(TABLES[name])]


def _is_table(item: Field[Any]) -> bool:
    return item.default_factory is not MISSING


def fill_in(values: dict[str, Any], sources: dict[str, str]) -> dict[str, dict[str, UpstreamSettings]]:
    """Give every entry its defaults and return the tables, each with its entries by name."""
    return {
        name: {entry: _entry(table, f"{name}.{entry}", values, sources) for entry in _entries(name, values)}
        for name, table in TABLES.items()
    }


def _entries(name: str, values: Mapping[str, Any]) -> list[str]:
    return sorted({key.split(".")[1] for key in values if key.startswith(f"{name}.")})


def _entry(
    table: type[UpstreamSettings], prefix: str, values: dict[str, Any], sources: dict[str, str]
) -> UpstreamSettings:
    collected: dict[str, Any] = {}
    for item in fields(table):
        key = f"{prefix}.{item.name}"
        if _is_table(item):
            collected[item.name] = {k.removeprefix(f"{key}."): v for k, v in values.items() if k.startswith(f"{key}.")}
            continue
        if key not in values:
            # A key without a default is empty then, which `problems` refuses.
            values[key] = "" if item.default is MISSING else item.default
            sources[key] = "default"
        collected[item.name] = values[key]
    return table(**collected)


def problems(tables: Mapping[str, Mapping[str, UpstreamSettings]]) -> Iterator[str]:
    """Yield what makes entries unusable."""
    for entry, settings in tables["upstreams"].items():
        yield from upstreams.problems(f"upstreams.{entry}", settings)
