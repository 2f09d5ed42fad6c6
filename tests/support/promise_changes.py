"""Changes between two contracts (`tests.support.promises`): what breaks a client of the older one, what is added."""

from collections.abc import Iterator

from tests.support.promises import INPUT, OUTPUT, Contract, Schema

# Bounds of what is taken: whether a greater one takes less.
_BOUNDS = {
    "minimum": True,
    "exclusiveMinimum": True,
    "minLength": True,
    "minItems": True,
    "minProperties": True,
    "maximum": False,
    "exclusiveMaximum": False,
    "maxLength": False,
    "maxItems": False,
    "maxProperties": False,
}
# Whatever else is said of a value means something else when it changes.
_FIXED = ("$ref", "format", "default", "multipleOf")
# And what is taken means something else, or less is taken, where one of these is said for the first time.
_NEW = ("format", "default", "multipleOf")
# What lists, and objects without fixed names, consist of.
_ENTRIES = ("items", "additionalProperties")
_ALL_TYPES = {"array", "boolean", "integer", "null", "number", "object", "string"}


def breaks(old: Contract, new: Contract) -> list[str]:
    """Return all that a client of the old contract may stumble over."""
    return [*_broken_credentials(old, new), *_broken_operations(old, new), *_broken_schemas(old, new)]


def additions(old: Contract, new: Contract) -> list[str]:
    """Return all that a client of the new contract has and one of the old had not."""
    found = [f"{name}: new operation, {new['operations'][name]['at']}" for name in _added(old, new, "operations")]
    for name, (before, after) in _both(old, new, "operations").items():
        found += [f"{name}: may be reached by {way}" for way in after["security"] if way not in before["security"]]
        for direction in (INPUT, OUTPUT):
            found += _gained(before[direction], after[direction], f"{name} {direction}")
    found += [f"{name}: new schema" for name in _added(old, new, "schemas")]
    for name, (before, after) in _both(old, new, "schemas").items():
        found += _gained(before, after, name)
    return found


def _broken_credentials(old: Contract, new: Contract) -> Iterator[str]:
    for name, sent in old["credentials"].items():
        if new["credentials"].get(name) != sent:
            yield f"{name}: was {sent} and is {new['credentials'].get(name)}"


def _broken_operations(old: Contract, new: Contract) -> Iterator[str]:
    places = {operation["at"]: name for name, operation in new["operations"].items()}
    for name, operation in old["operations"].items():
        now = places.get(operation["at"])
        if now is None:
            yield f"{name}: {operation['at']} is gone"
            continue
        if now != name:
            yield f"{name}: is now called {now}"
        other = new["operations"][now]
        yield from (
            f"{name}: is not reached by {way} any more" for way in operation["security"] if way not in other["security"]
        )
        yield from (f"{name}: has not the tag {tag} any more" for tag in operation["tags"] if tag not in other["tags"])
        for direction in (INPUT, OUTPUT):
            yield from _lost(operation[direction], other[direction], f"{name} {direction}", {direction})


def _broken_schemas(old: Contract, new: Contract) -> Iterator[str]:
    yield from (f"{name}: the schema is gone" for name in _added(new, old, "schemas"))
    for name, (before, after) in _both(old, new, "schemas").items():
        yield from _lost(before, after, name, set(before["used as"]))


def _added(old: Contract, new: Contract, kind: str) -> list[str]:
    return [name for name in new[kind] if name not in old[kind]]


def _both(old: Contract, new: Contract, kind: str) -> dict[str, tuple[Schema, Schema]]:
    return {name: (found, new[kind][name]) for name, found in old[kind].items() if name in new[kind]}


# --- of one schema ----------------------------------------------------------------


def _parts(old: Schema, new: Schema, where: str) -> Iterator[tuple[Schema, Schema, str]]:
    """Yield the parts that both schemas have, and where."""
    for name, part in old.get("properties", {}).items():
        if name in new.get("properties", {}):
            yield part, new["properties"][name], f"{where} '{name}'"
    for key in ("items", "additionalProperties"):
        if isinstance(old.get(key), dict) and isinstance(new.get(key), dict):
            yield old[key], new[key], f"{where} {key}"


def _gained(old: Schema, new: Schema, where: str) -> Iterator[str]:
    yield from (
        f"{where}: '{name}' is new" for name in new.get("properties", {}) if name not in old.get("properties", {})
    )
    yield from (
        f"{where}: the value {word!r} is new" for word in new.get("enum", []) if word not in old.get("enum", [])
    )
    for before, after, place in _parts(old, new, where):
        yield from _gained(before, after, place)


def _lost(old: Schema, new: Schema, where: str, directions: set[str]) -> Iterator[str]:
    yield from (
        f"{where}: '{name}' is gone" for name in old.get("properties", {}) if name not in new.get("properties", {})
    )
    yield from (
        f"{where}: the value {word!r} is gone" for word in old.get("enum", []) if word not in new.get("enum", [])
    )
    for key in _FIXED:
        if key in old and old[key] != new.get(key):
            yield f"{where}: {key} was {old.get(key)!r} and is {new.get(key)!r}"
    if INPUT in directions:
        yield from _narrowed(old, new, where)
    if OUTPUT in directions:
        yield from _loosened(old, new, where)
    for before, after, place in _parts(old, new, where):
        yield from _lost(before, after, place, directions)


def _narrowed(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """Yield what was taken and is not any more."""
    required = [name for name in new.get("required", []) if name not in old.get("required", [])]
    yield from (f"{where}: '{name}' is required now" for name in required)
    refused = _types(old) - _types(new)
    if refused:
        yield f"{where}: {', '.join(sorted(refused))} is not taken any more"
    for key, is_least in _BOUNDS.items():
        before, after = old.get(key), new.get(key)
        if after is not None and (before is None or (after > before if is_least else after < before)):
            yield f"{where}: {key} was {before} and is {after}"
    if new.get("pattern") not in (None, old.get("pattern")):
        yield f"{where}: the pattern is another"
    if "enum" in new and "enum" not in old:
        yield f"{where}: is one of some words now"
    yield from (f"{where}: has the {key} {new[key]} now" for key in _NEW if key in new and key not in old)
    yield from (
        f"{where}: {key} are restricted now" for key in _ENTRIES if isinstance(new.get(key), dict) and key not in old
    )
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield f"{where}: entries must be unique now"
    if new.get("additionalProperties") is False and old.get("additionalProperties") is not False:
        yield f"{where}: other properties are not taken any more"
    if old.get("repeated") and not new.get("repeated"):
        yield f"{where}: may not be repeated any more"


def _loosened(old: Schema, new: Schema, where: str) -> Iterator[str]:
    """Yield what an answer could be relied upon to have, and now cannot."""
    missing = [name for name in old.get("required", []) if name not in new.get("required", [])]
    yield from (f"{where}: '{name}' may be missing now" for name in missing)
    yield from (f"{where}: {key} may be anything now" for key in _ENTRIES if key in old and key not in new)
    more = _types(new) - _types(old)
    if more:
        yield f"{where}: may be {', '.join(sorted(more))} now"


def _types(schema: Schema) -> set[str]:
    """Return the types of a value: all of them where none is named, and an integer is a number, too."""
    types = set(schema.get("type", [] if "$ref" in schema else _ALL_TYPES)) | ({"named"} if "$ref" in schema else set())
    return types | {"integer"} if "number" in types else types
