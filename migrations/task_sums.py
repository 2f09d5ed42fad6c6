"""Sums over tasks that the database keeps, as the migration that brought them means them. Never changed.

Triggers add each change of a task to two tables: by owner how many tasks of each status there are and how
long those took that are done; by quarter of an hour how many were created and completed. What is in the
trash does not count. Whoever changes a task, by whatever program, cannot forget it; only who switches triggers off,
or replaces rows on SQLite (`INSERT OR REPLACE`), has to fill the tables again: down to the migration before, and up.

On PostgreSQL a row of these tables belongs to one transaction at a time: who finds all rows of a sum taken adds one.
So no writer waits for another, and a sum is that of all its rows, some of which may be negative.
"""

from collections.abc import Iterator

from alembic import op

OWNERS, QUARTERS = "task_sums_by_owner", "task_sums_by_quarter"
KEYS = {OWNERS: "owner_id", QUARTERS: "quarter"}
STATUSES = ("pending", "in_progress", "completed", "cancelled")
SUMS = {OWNERS: (*STATUSES, "finished", "seconds", "microseconds"), QUARTERS: ("created", "completed")}
# The columns that are summed up.
WATCHED = ("owner_id", "status", "created_at", "completed_at", "deleted_at")
# Seconds from the beginning of year 1 to 1970, so that no quarter is negative: engines round those differently.
OFFSET, QUARTER = 62_135_596_800, 900


class Moments:
    """Moments as numbers, in the SQL of an engine."""

    def __init__(self, *, is_sqlite: bool) -> None:
        self._is_sqlite = is_sqlite

    def seconds(self, column: str) -> str:
        """Return the whole seconds since 1970."""
        if self._is_sqlite:
            return f"CAST(strftime('%s', substr({column}, 1, 19)) AS INTEGER)"
        return f"CAST(floor(extract(epoch FROM {column})) AS BIGINT)"

    def microseconds(self, column: str) -> str:
        """Return the microseconds since the last whole second."""
        if self._is_sqlite:
            return f"CAST(substr({column}, 21, 6) AS INTEGER)"
        return f"mod(CAST(extract(microseconds FROM {column}) AS BIGINT), 1000000)"

    def quarter(self, column: str) -> str:
        """Return the number of the quarter of an hour."""
        return f"({self.seconds(column)} + {OFFSET}) / {QUARTER}"


def sums_of(table: str, lines: str, *, is_sqlite: bool) -> str:
    """Return the query for what lines add to a table, without zeros.

    They have a sign, an owner_id, a status, a created_at and a completed_at.
    """
    moments = Moments(is_sqlite=is_sqlite)
    if table == OWNERS:
        source, key = f"({lines}) AS lines", "owner_id"
        is_done = "status = 'completed' AND completed_at IS NOT NULL"
        took = [f"{part('completed_at')} - {part('created_at')}" for part in (moments.seconds, moments.microseconds)]
        sums = [_sum("sign", f"status = '{status}'") for status in STATUSES]
        sums += [_sum("sign", is_done), *(_sum(f"sign * ({part})", is_done) for part in took)]
    else:
        created = f"SELECT sign, {moments.quarter('created_at')} AS quarter, 1 AS is_new FROM ({lines}) AS made"
        completed = f"SELECT sign, {moments.quarter('completed_at')}, 0 FROM ({lines}) AS done"
        source, key = f"({created} UNION ALL {completed} WHERE completed_at IS NOT NULL) AS counted", "quarter"
        sums = [_sum("sign", "is_new = 1"), _sum("sign", "is_new = 0")]
    named = ", ".join(f"{part} AS {name}" for part, name in zip(sums, SUMS[table], strict=True))
    some = " OR ".join(f"{part} <> 0" for part in sums)
    return f"SELECT {key}, {named} FROM {source} GROUP BY {key} HAVING {some}"


def _sum(value: str, condition: str) -> str:
    return f"sum(CASE WHEN {condition} THEN {value} ELSE 0 END)"


def _lines(sign: int, source: str = "", row: str = "") -> str:
    """Return the query for lines of the rows of a source, or of one row."""
    named = ", ".join(f"{row}{name} AS {name}" for name in WATCHED if name != "deleted_at")
    return f"SELECT {sign} AS sign, {named}{source} WHERE {row}deleted_at IS NULL"


def fill(*, is_sqlite: bool) -> Iterator[str]:
    """Yield the statements that add what is missing, in one look at the tasks and at what triggers have added since."""
    every = _lines(1, " FROM tasks")
    shard = "''" if is_sqlite else "gen_random_uuid()"
    for table, key in KEYS.items():
        columns = ", ".join(SUMS[table])
        minus = ", ".join(f"-{name}" for name in SUMS[table])
        both = f"SELECT * FROM ({sums_of(table, every, is_sqlite=is_sqlite)}) AS counted"
        both += f" UNION ALL SELECT {key}, {minus} FROM {table}"
        missing = ", ".join(f"sum({name})" for name in SUMS[table])
        some = " OR ".join(f"sum({name}) <> 0" for name in SUMS[table])
        yield (
            f"INSERT INTO {table} ({key}, shard, {columns})"
            f" SELECT {key}, {shard}, {missing} FROM ({both}) AS missing GROUP BY {key} HAVING {some}"
        )


# --- SQLite, which has one writer at a time, and so one row of each sum -------------------


def keep_in_sqlite() -> None:
    """Make the triggers of SQLite."""
    old, new = _lines(-1, row="old."), _lines(1, row="new.")
    changed = " OR ".join(f"old.{name} IS NOT new.{name}" for name in WATCHED)
    update = f"UPDATE OF {', '.join(WATCHED)}"
    for event, lines, when in (
        ("INSERT", new, ""),
        ("DELETE", old, ""),
        (update, f"{old} UNION ALL {new}", f" WHEN {changed}"),
    ):
        name = f"tasks_sums_{event.partition(' ')[0].lower()}"
        statements = " ".join(f"{_upsert(table, lines)};" for table in KEYS)
        op.execute(f"CREATE TRIGGER {name} AFTER {event} ON tasks{when} BEGIN {statements} END")


def _upsert(table: str, lines: str) -> str:
    key, names = KEYS[table], SUMS[table]
    added = ", ".join(f"{name} = {name} + excluded.{name}" for name in names)
    found = f"SELECT {key}, '', {', '.join(names)} FROM ({sums_of(table, lines, is_sqlite=True)}) WHERE true"
    return (
        f"INSERT INTO {table} ({key}, shard, {', '.join(names)}) {found}"
        f" ON CONFLICT ({key}, shard) DO UPDATE SET {added}"
    )


# --- PostgreSQL ---------------------------------------------------------------------------

_EVENTS = {
    "insert": (_lines(1, " FROM added"), "NEW TABLE AS added"),
    "delete": (_lines(-1, " FROM removed"), "OLD TABLE AS removed"),
    "update": (
        f"{_lines(-1, ' FROM removed')} UNION ALL {_lines(1, ' FROM added')}",
        "OLD TABLE AS removed NEW TABLE AS added",
    ),
}


def keep_in_postgresql() -> None:
    """Make the functions and triggers of PostgreSQL, anew where they are there."""
    for event, (lines, tables) in _EVENTS.items():
        steps = "".join(_add(table, lines) for table in KEYS)
        op.execute(
            f"CREATE OR REPLACE FUNCTION tasks_sums_{event}() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" DECLARE part record; free varchar; BEGIN {steps} RETURN NULL; END $$"
        )
        op.execute(f"DROP TRIGGER IF EXISTS tasks_sums_{event} ON tasks")
        op.execute(
            f"CREATE TRIGGER tasks_sums_{event} AFTER {event.upper()} ON tasks REFERENCING {tables}"
            f" FOR EACH STATEMENT EXECUTE FUNCTION tasks_sums_{event}()"
        )


def _add(table: str, lines: str) -> str:
    """Return the steps that add lines to rows that no other transaction has."""
    key, names = KEYS[table], SUMS[table]
    added = ", ".join(f"{name} = {name} + part.{name}" for name in names)
    values = ", ".join(f"part.{name}" for name in names)
    return (
        f" FOR part IN {sums_of(table, lines, is_sqlite=False)} LOOP"
        f" SELECT shard INTO free FROM {table} WHERE {key} = part.{key} ORDER BY shard LIMIT 1 FOR UPDATE SKIP LOCKED;"
        f" IF FOUND THEN UPDATE {table} SET {added} WHERE {key} = part.{key} AND shard = free;"
        f" ELSE INSERT INTO {table} ({key}, shard, {', '.join(names)})"
        f" VALUES (part.{key}, gen_random_uuid(), {values}); END IF; END LOOP;"
    )


def drop() -> None:
    """Drop the triggers, and the functions that they call."""
    for event in _EVENTS:
        if op.get_context().dialect.name == "sqlite":
            op.execute(f"DROP TRIGGER tasks_sums_{event}")
        else:
            op.execute(f"DROP TRIGGER tasks_sums_{event} ON tasks")
            op.execute(f"DROP FUNCTION tasks_sums_{event}()")
