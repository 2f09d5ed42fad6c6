"""Declarations of fields, read for a model: its checks, by what its lists are sorted, what a new row begins with."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlalchemy.orm import InstrumentedAttribute, validates

from core.platform.database.base import Base
from core.platform.database.matching import contains
from core.platform.fields.declaration import Absent, Fields


def checking(fields: Fields) -> Any:
    """Return what a model has as an attribute, so that each value given to it is checked as declared."""
    return validates(*fields.checked)(lambda row, name, value: fields[name].check(value))


def sortable(model: type[Base], fields: Fields) -> dict[str, InstrumentedAttribute[Any]]:
    """Return the columns by which lists can be sorted."""
    return {name: getattr(model, name) for name in fields.names(lambda field: field.sortable)}


def blank(model: type[Base], fields: Fields) -> dict[str, Any]:
    """Return what people could have set, as it is in a new row for which they have set nothing."""
    return {field.name: _default(model, field.name) for field in fields if field.is_writable and not field.required}


def cleared(model: type[Base], fields: Fields) -> dict[str, Any]:
    """Return what a replacement sets where it gives nothing."""
    start = blank(model, fields)
    return {name: start[name] for name in fields.changeable if name in start and fields[name].absent is Absent.CLEARED}


def _default(model: type[Base], name: str) -> Any:
    default = model.__table__.c[name].default
    return None if default is None or not default.is_scalar else default.arg


def differing(row: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of the values that differ from a row."""
    return {name: value for name, value in values.items() if getattr(row, name) != value}


def mentions(model: type[Base], fields: Fields, *, but: Collection[str] = ()) -> Callable[[str], ColumnElement[bool]]:
    """Return the condition that one of the fields that are searched contains some words, whatever the case."""
    columns = [getattr(model, name) for name in fields.names(lambda field: field.searched and field.name not in but)]
    return lambda words: or_(*(contains(column, words) for column in columns))
