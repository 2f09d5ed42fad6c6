"""Named enums: each list of words that a value may be one of is one component, whatever uses it.

Left inline, a generator makes a name of each place, and drops the model or redefines it where that
name is taken: `Task.status` becomes TaskStatus, and so does a model of this name.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

Words = tuple[str, ...]
VERBS = ("get", "post", "put", "patch", "delete")


def pascal(*names: str) -> str:
    """Return names as one, written like that of a class."""
    return "".join(word[:1].upper() + word[1:] for name in names for word in re.split(r"[^A-Za-z0-9]+", name))


def named(document: Mapping[str, Any], declared: Mapping[str, str]) -> dict[Words, str]:
    """Return the name of each enum in a document of Swagger 2.0.

    `declared` says what those at a place are called, such as `Task.status` or `list_tasks.sort`. What is not
    declared is called after the first place where it is. Raises ValueError for a name that something else has.
    """
    found: dict[Words, list[str]] = {}
    for place, words in _places(document):
        found.setdefault(words, []).append(place)
    names = {
        words: next((declared[place] for place in places if place in declared), pascal(places[0]))
        for words, places in found.items()
    }
    taken = [*names.values(), *document.get("definitions", {})]
    if twice := sorted({name for name in taken if taken.count(name) > 1}):
        raise ValueError(f"Two things of the document have one name: {', '.join(twice)}.")
    return names


def components(names: Mapping[Words, str]) -> dict[str, dict[str, Any]]:
    """Return the schema of each enum by its name."""
    return {name: {"type": "string", "enum": list(words), **_variables(words)} for words, name in names.items()}


def _variables(words: Words) -> dict[str, Any]:
    """Return what generators call the words, where these are no identifiers: '-id' is ID_DESC, 'tasks:read' TASKS_READ.

    `x-enum-varnames` is understood by openapi-generator, openapi-python-client and openapi-typescript.
    """
    if all(word.isidentifier() for word in words):
        return {}
    written = [f"{word[1:]}_desc" if word.startswith("-") else word for word in words]
    return {"x-enum-varnames": [re.sub(r"\W", "_", word).upper() for word in written]}


def _places(document: Mapping[str, Any]) -> Iterator[tuple[str, Words]]:
    for name, model in document.get("definitions", {}).items():
        yield from _inside(model, name)
    for item in document["paths"].values():
        for verb in (verb for verb in VERBS if verb in item):
            for parameter in [*item.get("parameters", []), *item[verb].get("parameters", [])]:
                yield from _inside(parameter, f"{item[verb]['operationId']}.{parameter['name']}")


def _inside(schema: Mapping[str, Any], place: str) -> Iterator[tuple[str, Words]]:
    if len(schema.get("enum", [])) > 1:
        yield place, tuple(schema["enum"])
    for name, part in schema.get("properties", {}).items():
        yield from _inside(part, f"{place}.{name}")
    for key in ("items", "additionalProperties", "schema"):
        if isinstance(schema.get(key), Mapping):
            yield from _inside(schema[key], place)
