"""Arguments of a request: its query read by a parser, its filters, and the page that it asks for."""

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from functools import cache
from typing import Any

from flask import g, request
from flask_restx import reqparse

from api.http.input import foreign_names
from api.http.input.query import PAGING, is_list
from core.platform.config.current import current_settings
from core.platform.database.paging import PageRequest
from core.platform.database.ranges import OPERATORS, Range
from core.platform.errors import Invalid, Malformed
from core.platform.text.faults import MAX_HINTS
from core.platform.text.strict_json import printable


def user_id(arguments: Mapping[str, Any], name: str, *, me: int) -> int | None:
    """Return the user that a `user_reference` means to the caller, who is `me`, or None if it was not given."""
    value: int | str | None = arguments.get(name)
    return me if isinstance(value, str) else value


def ranges(arguments: Mapping[str, Any], *names: str) -> dict[Any, Range]:
    """Return the bounds that the caller gave for `names`."""
    found = {}
    for name in names:
        bounds = {op: arguments[key] for op in OPERATORS if (key := _range_key(name, op)) in arguments}
        if bounds:
            found[name] = Range(bounds)
    return found


def _range_key(name: str, operator: str) -> str:
    return name if operator == "eq" else f"{name}[{operator}]"


@cache
def _declared(parser: reqparse.RequestParser) -> tuple[dict[str, reqparse.Argument], frozenset[str], tuple[str, ...]]:
    """Return the parameters of a parser by name, and the names of those that are lists and of those that are required.

    They are worked out once, because a request for a list knows some thirty parameters and sends two.
    """
    known = {argument.name: argument for argument in parser.args}
    lists = frozenset(name for name, argument in known.items() if is_list(argument))
    return known, lists, tuple(name for name, argument in known.items() if argument.required)


def load_query(target: reqparse.RequestParser) -> dict[str, Any]:
    """Return the parameters of the current request.

    Raises Malformed, naming the nearest valid one for an unknown parameter.
    """
    known, lists, required = _declared(target)
    found = dict(request.args.lists())
    given = {name: ",".join(texts) if name in lists else texts[0] for name, texts in found.items()}
    values, details = _read(known, given, "parameter")
    for name, texts in found.items():
        if len(texts) > 1 and name in known and name not in lists:
            details[name] = ["Given more than once."]
    for name in required:
        if name not in found:
            details[name] = ["This parameter is required."]
    if details:
        raise Malformed("The request has parameters that cannot be used.", details=details)
    g.plain_query = [(name, _in_one_spelling(values[name], text)) for name, text in given.items()]
    return values


def _in_one_spelling(value: Any, text: str) -> str:
    """Return how a value is written of which there are several spellings: lists, and words with an alias."""
    if isinstance(value, list):
        return ",".join(str(word) for word in value)
    return str(value) if isinstance(value, str) else text


def plain_query() -> list[tuple[str, str]]:
    """Return the query of the current request so that requests which mean the same have the same."""
    found: list[tuple[str, str]] | None = g.get("plain_query")
    return list(request.args.items(multi=True)) if found is None else found


def load_filters(target: reqparse.RequestParser, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the filters of a body, by the rules of a list's parameters.

    Numbers, booleans and lists of words need not be written as in a URL. Raises
    Invalid, naming `filters.<name>`.
    """
    spelled: dict[str, str] = {}
    details: dict[str, list[str]] = {}
    for name, value in given.items():
        try:
            spelled[name] = _as_in_url(value)
        except ValueError as error:
            details[printable(name)] = [str(error)]
    filters = {name: argument for name, argument in _declared(target)[0].items() if name not in PAGING}
    values, found = _read(filters, spelled, "filter")
    wrong = {f"filters.{name}": sentences for name, sentences in {**found, **details}.items()}
    if wrong:
        raise Invalid("The filters cannot be used.", details=wrong)
    return values


def _as_in_url(value: Any) -> str:
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case int() | Decimal():
            return f"{value:f}" if isinstance(value, Decimal) else str(value)
        case [*words] if words and all(isinstance(word, str) for word in words):
            return ",".join(words)
    raise ValueError("Must be a string, a number, true, false, or a list of words.")


def _read(
    known: Mapping[str, reqparse.Argument], given: Mapping[str, str], noun: str
) -> tuple[dict[str, Any], dict[str, list[str]]]:
    """Return the values of what was given, and what is wrong with it."""
    values: dict[str, Any] = {}
    details: dict[str, list[str]] = {}
    for name, text in given.items():
        if name not in known:
            hint = foreign_names.nearest(name, known) if len(details) < MAX_HINTS else ""
            details[printable(name)] = [f"Unknown {noun}.{hint}"]
            continue
        try:
            values[name] = known[name].type(text)
        except ValueError as error:
            details[name] = [str(error)]
    return values, details


def page_request(arguments: Mapping[str, Any]) -> PageRequest:
    """Return which page the parameters ask for. Raises Malformed for both kinds of paging at once."""
    if "page" in arguments and "cursor" in arguments:
        raise Malformed("Use either page or cursor.", details={"cursor": ["Cannot be combined with page."]})
    settings = current_settings()
    return PageRequest(
        number=arguments.get("page", 1),
        size=arguments.get("per_page", 20),
        cursor=arguments.get("cursor"),
        sort=arguments.get("sort"),
        filters={name: value for name, value in arguments.items() if name not in PAGING},
        signing_keys=settings.secret_keys,
        max_age=timedelta(days=settings.paging.cursor_max_age_days),
    )
