"""Keys of the upstreams, whose entries an operator names, such as `upstreams.weather.base_url`.

A key that is itself a table, such as `headers`, takes any name below it. Entries
exist as soon as one of their keys is set; what is not set has the default of
`UpstreamSettings`.
"""

import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from typing import Any, get_args, get_origin, get_type_hints

from core.platform.config.upstreams import UpstreamSettings

TABLE = "upstreams"
_FIELDS = fields(UpstreamSettings)
_TYPES = get_type_hints(UpstreamSettings)
_ENTRY_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def kind_of(key: str) -> Any:
    """Return the type of a dotted key, or None if no upstream has such a key."""
    found = _find(key)
    if found is None:
        return None
    item, below = found
    if _is_table(item):
        return get_args(_TYPES[item.name])[1] if below else None
    return None if below else _TYPES[item.name]


def is_marked(key: str, mark: str) -> bool:
    """Return whether the field of this key carries `mark`: `secret` or `url`."""
    found = _find(key)
    return found is not None and bool(found[0].metadata.get(mark))


def _find(key: str) -> tuple[Field[Any], str] | None:
    """Return the field and the name below it that a key means."""
    table, entry, name, below, *_ = [*key.split(".", 3), "", "", ""]
    if table != TABLE or not _ENTRY_NAME.fullmatch(entry):
        return None
    return next(((item, below) for item in _FIELDS if name in (item.name, item.metadata.get("also"))), None)


def normal(key: str) -> str:
    """Return the key as it is stored: a field has one name, and headers are the same in upper and lower case."""
    found = _find(key)
    if found is None:
        return key
    return ".".join(part for part in (TABLE, key.split(".")[1], found[0].name, found[1].lower()) if part)


def from_variable(key: str, known: Mapping[str, Any]) -> str:
    """Return the key that a variable means: no shell lets a variable's name contain a hyphen."""
    parts = key.split(".", 3)
    if parts[0] != TABLE or len(parts) < 3:
        return key
    parts[1] = next((entry for entry in _entries(known) if entry.replace("-", "_") == parts[1]), parts[1])
    return normal(".".join([*parts[:3], *(part.replace("_", "-") for part in parts[3:])]))


def similar_keys(key: str) -> list[str]:
    """Return the keys of upstreams that may have been meant by an unknown one."""
    table, *rest = key.split(".", 2)
    if table != TABLE:
        return []
    entry = rest[0].lower() if len(rest) == 2 else "<name>"
    return [f"{TABLE}.{entry}.{item.name}{'.<name>' if _is_table(item) else ''}" for item in _FIELDS]


def _is_table(item: Field[Any]) -> bool:
    return get_origin(_TYPES[item.name]) is dict


def fill_in(values: dict[str, Any], sources: dict[str, str]) -> dict[str, UpstreamSettings]:
    """Give every entry its defaults and return the upstreams by name."""
    return {entry: _entry(f"{TABLE}.{entry}", values, sources) for entry in _entries(values)}


def _entries(values: Mapping[str, Any]) -> list[str]:
    return sorted({key.split(".")[1] for key in values if key.startswith(f"{TABLE}.")})


def _entry(prefix: str, values: dict[str, Any], sources: dict[str, str]) -> UpstreamSettings:
    collected: dict[str, Any] = {}
    for item in _FIELDS:
        key = f"{prefix}.{item.name}"
        if _is_table(item):
            collected[item.name] = {k.removeprefix(f"{key}."): v for k, v in values.items() if k.startswith(f"{key}.")}
            continue
        if key not in values:
            # A key without a default is empty then, which `upstreams.problems` refuses.
            values[key] = "" if item.default is MISSING else item.default
            sources[key] = "default"
        collected[item.name] = values[key]
    return UpstreamSettings(**collected)
