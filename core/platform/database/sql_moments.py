"""Moments as numbers, alike on every engine, to count with in SQL."""

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

SECOND = 1_000_000
DAY = 86_400


class seconds(GenericFunction[int]):  # noqa: N801 - it reads as the SQL function that it is
    """The whole seconds from 1970-01-01T00:00:00Z to a moment."""

    type = BigInteger()
    inherit_cache = True


class microseconds(GenericFunction[int]):  # noqa: N801 - as above
    """The microseconds of a moment since its last whole second."""

    type = BigInteger()
    inherit_cache = True


@compiles(seconds, "postgresql")
def _seconds_on_postgresql(element: seconds, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(floor(extract(epoch FROM {compiler.process(element.clauses, **options)})) AS BIGINT)"


@compiles(microseconds, "postgresql")
def _microseconds_on_postgresql(element: microseconds, compiler: SQLCompiler, **options: Any) -> str:
    # PostgreSQL counts from the last minute.
    moment = compiler.process(element.clauses, **options)
    return f"mod(CAST(extract(microseconds FROM {moment}) AS BIGINT), {SECOND})"


@compiles(seconds, "sqlite")
def _seconds_on_sqlite(element: seconds, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite's own functions round to milliseconds, so they get to see whole seconds only.
    moment = compiler.process(element.clauses, **options)
    return f"CAST(strftime('%s', substr({moment}, 1, 19)) AS INTEGER)"


@compiles(microseconds, "sqlite")
def _microseconds_on_sqlite(element: microseconds, compiler: SQLCompiler, **options: Any) -> str:
    return f"CAST(substr({compiler.process(element.clauses, **options)}, 21, 6) AS INTEGER)"
