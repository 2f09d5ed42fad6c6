"""Documentation of a verb, from which Flask-RESTX makes the OpenAPI document."""

from collections.abc import Callable
from typing import Any

Verb = Callable[..., Any]


def document(verb: Verb, **doc: Any) -> Verb:
    """Add to what the document says of a verb."""
    verb.__apidoc__ = _merged(getattr(verb, "__apidoc__", {}), doc)  # type: ignore[attr-defined]
    return verb


def documented_responses(verb: Verb) -> dict[Any, Any]:
    """Return what the document says of each status of a verb so far."""
    responses: dict[Any, Any] = getattr(verb, "__apidoc__", {}).get("responses", {})
    return responses


def _merged(first: dict[Any, Any], second: dict[Any, Any]) -> dict[Any, Any]:
    """Return both as one; `second` counts where they differ.

    Flask-RESTX has such a function, but copies each model each time: a third of
    the time in which a process starts.
    """
    both = {**first, **second}
    for key in first.keys() & second.keys():
        # A model is a dictionary too, and as a whole one value.
        if type(first[key]) is dict and type(second[key]) is dict:
            both[key] = _merged(first[key], second[key])
    return both
