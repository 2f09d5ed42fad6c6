"""Moments as numbers, alike on every engine, to count with in SQL."""

from typing import Any

from sqlalchemy import BigInteger
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import GenericFunction

SECOND = 1_000_000
DAY = 86_400 * SECOND


class microseconds(GenericFunction[int]):  # noqa: N801 - it reads as the SQL function that it is
    """The microseconds from 1970-01-01T00:00:00Z to a moment, as an integer."""

    type = BigInteger()
    inherit_cache = True


@compiles(microseconds, "postgresql")
def _on_postgresql(element: microseconds, compiler: SQLCompiler, **options: Any) -> str:
    moment = compiler.process(element.clauses, **options)
    return f"CAST(extract(epoch FROM {moment}) * {SECOND} AS BIGINT)"


@compiles(microseconds, "sqlite")
def _on_sqlite(element: microseconds, compiler: SQLCompiler, **options: Any) -> str:
    # SQLite's own functions round to milliseconds, so it gets to see whole seconds only.
    moment = compiler.process(element.clauses, **options)
    seconds = f"CAST(strftime('%s', substr({moment}, 1, 19)) AS INTEGER)"
    return f"({seconds} * {SECOND} + CAST(substr({moment}, 21, 6) AS INTEGER))"
