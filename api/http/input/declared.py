"""Models and parsers of the API, made of the declarations of a domain's fields."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from flask_restx import fields as restx
from flask_restx.reqparse import RequestParser

from api.http.input import arguments, fields, query
from core.platform.database.filters import Filter, Filters
from core.platform.fields import types
from core.platform.fields.declaration import Absent, AnyOf, Exact, Field, Fields, InRange

Options = dict[str, Any]
Model = dict[str, restx.Raw]

# How values of a type are shown and sent.
_CLASSES: dict[type[types.Type], type[restx.Raw]] = {
    types.Line: fields.Line,
    types.Prose: fields.Prose,
    types.Text: fields.Text,
    types.Word: restx.String,
    types.Email: fields.Email,
    types.Zone: fields.Zone,
    types.Label: restx.String,
    types.Choice: restx.String,
    types.Flag: restx.Boolean,
    types.Whole: restx.Integer,
    types.Amount: fields.Money,
    types.Day: fields.Date,
    types.Moment: fields.Moment,
    types.Id: fields.Id,
    types.Ref: fields.Id,
}


def _always(of: types.Type) -> Options:
    """Return what is said of values of a type in bodies and in answers."""
    match of:
        case types.Line(longest, shortest):
            return {"max_length": longest, "min_length": shortest}
        case types.Prose(longest):
            return {"max_length": longest}
        case types.Word(pattern, shortest, longest):
            return {"min_length": shortest, "max_length": longest, "pattern": f"^{pattern.pattern}$"}
        case types.Choice(words):
            return {"enum": list(words)}
    return {}


def _sent(of: types.Type) -> Options:
    """Return what is said of them in bodies only: what is stored may have come about otherwise."""
    match of:
        case types.Text(longest) | types.Email(longest) | types.Zone(longest):
            return {"max_length": longest}
        case types.Whole(least, most):
            return {"min": least, "max": most}
    return {}


# Of these, answers show no example: it is made up of what the field may be.
_WITHOUT_EXAMPLE = (types.Text, types.Flag)


def answer(declared: Fields, *, only: Iterable[str] | None = None, **changes: Options) -> Model:
    """Return the fields of an answer; `changes` are options of Flask-RESTX, or a `cls`, by the names of fields."""
    return {field.name: _shown(field, changes.get(field.name, {})) for field in _chosen(declared, only)}


def hidden(declared: Fields, *, only: Iterable[str], why: str, **changes: Options) -> Model:
    """Return fields of an answer that are null for some of its readers; `changes` are as for answers."""
    return {
        field.name: _shown(
            replace(field, nullable=True, description=why), {"example": field.example, **changes.get(field.name, {})}
        )
        for field in _chosen(declared, only)
    }


def _shown(field: Field, changes: Options) -> restx.Raw:
    example = ... if isinstance(field.type, _WITHOUT_EXAMPLE) else field.example
    said = {"required": True, "description": field.description, "example": example}
    return _made(field, {**_always(field.type), **said, **changes})


def _made(field: Field, options: Options) -> restx.Raw:
    cls = options.pop("cls", None) or _CLASSES[type(field.type)]
    if field.nullable:
        cls = fields.nullable(cls)
    return cls(**{name: value for name, value in options.items() if value is not ...})


def creation(declared: Fields, *, only: Iterable[str] | None = None, **changes: Options) -> Model:
    """Return the fields of the body that creates a thing; `changes` are as for answers."""
    wanted = declared.writable if only is None else only
    return _body(declared, wanted, changes, needs=lambda field: field.required, with_defaults=True)


def replacement(declared: Fields, *, only: Iterable[str] | None = None, **changes: Options) -> Model:
    """Return the fields of the body that replaces all that people may change; `changes` are as for answers."""
    return _body(declared, declared.changeable if only is None else only, changes, needs=_is_needed)


def patch(declared: Fields, *, only: Iterable[str] | None = None, **changes: Options) -> Model:
    """Return the fields of the body that changes some of them; `changes` are as for answers."""
    return _body(declared, declared.changeable if only is None else only, changes, needs=lambda field: False)


def _body(
    declared: Fields,
    names: Iterable[str],
    changes: Mapping[str, Options],
    *,
    needs: Callable[[Field], bool],
    with_defaults: bool = False,
) -> Model:
    """Return the fields of a body, those first without which there is no whole thing."""
    model = {}
    for field in sorted(_chosen(declared, names), key=lambda field: not _is_needed(field)):
        # Without an example, Swagger UI fills in a number that names nothing.
        example = None if isinstance(field.type, types.Ref) and field.example is ... else field.example
        options = {"description": field.hint or field.description, "example": example}
        if needs(field):
            options["required"] = True
        elif with_defaults and field.default is not None:
            options["default"] = field.default
        options = {**_always(field.type), **_sent(field.type), **options, **changes.get(field.name, {})}
        model[field.name] = _made(field, options)
    return model


def _is_needed(field: Field) -> bool:
    return field.required or field.absent is Absent.REFUSED


def _chosen(declared: Fields, names: Iterable[str] | None) -> list[Field]:
    chosen = None if names is None else frozenset(names)
    return [field for field in declared if chosen is None or field.name in chosen]


# --- lists ------------------------------------------------------------------------


def list_parser(filters: Filters, default_sort: str, *, first: Sequence[str] = ()) -> RequestParser:
    """Return the parser of a list: pages, sorting, and each filter.

    What is to come `first` comes before the others: generated clients may have arguments without names.
    """
    declared = filters.fields
    parser = query.list_parser(dict.fromkeys(declared.names(lambda field: field.sortable)), default_sort)
    for name, convert, description in sorted(_parameters(filters), key=lambda parameter: parameter[0] not in first):
        query.add(parser, name, convert, description)
    for field in declared:
        if isinstance(field.filter, InRange):
            query.add_range(parser, field.name, _converter(field.type), field.filter.subject)
    return parser


def _parameters(filters: Filters) -> Iterator[tuple[str, query.Converter, str]]:
    for field in filters.fields:
        match field.filter:
            case Exact(description):
                yield field.name, _converter(field.type), description
            case AnyOf(description) if isinstance(field.type, types.Choice):
                yield field.name, query.one_or_more(field.type.words), description
    for extra in filters.extras:
        yield extra.name, _converter(extra.type), extra.description


def _converter(of: types.Type) -> query.Converter:
    """Return how a value of a type is read from a query."""
    match of:
        case types.Ref("users"):
            return query.user_reference
        case types.Ref() | types.Id():
            return query.integer()
        case types.Whole(least, most):
            return query.integer(minimum=least, maximum=most)
        case types.Line() | types.Word():
            return query.words
    return _CONVERTERS[type(of)]


_CONVERTERS: dict[type[types.Type], Callable[[str], Any]] = {
    types.Flag: query.boolean,
    types.Day: query.day,
    types.Moment: query.moment,
    types.Amount: query.amount,
}


def filter_of(filters: Filters, given: Mapping[str, Any], *, me: int) -> Filter:
    """Return what the parameters of a list narrow it to; `me` is the caller."""
    values = {name: given[name] for name in filters.exact if name in given}
    values |= {name: arguments.user_id(values, name, me=me) for name in filters.of_users if name in values}
    return Filter(values, arguments.ranges(given, *filters.ranged))
