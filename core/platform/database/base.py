"""The base of all models, and the handle of the database."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase

from core.platform.database.environment_mark import Database
from core.platform.database.types import UtcDateTime

# Explicit names let a later migration drop a constraint on either engine.
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    """The base of all models."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime()}


Model = TypeVar("Model", bound=Base)


def unknown_row(model: type[Model], values: Mapping[str, Any]) -> Model:
    """Return a row to look at, of values that were checked before, which no session knows.

    Its constructor would check each value once more, and note that it has changed.
    """
    row: Model = model.__mapper__.class_manager.new_instance()
    row.__dict__.update(values)
    return row


db = Database(metadata=Base.metadata, session_options={"expire_on_commit": False})
