"""Migrations: from nothing to the newest version and back, on both engines, losing nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import CheckConstraint, inspect, text

from core.bootstrap import create_core_app
from core.config import Settings
from core.db import Base, UtcDateTime, db
from core.search.index import include_name

pytestmark = [
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
]


@pytest.fixture
def fresh(new_database_url: Callable[[], str], make_settings: Callable[..., Settings]) -> Iterator[Flask]:
    app = create_core_app(settings=make_settings(new_database_url(), "redis://127.0.0.1:1"))
    with app.app_context():
        yield app
        db.engine.dispose()


def tables() -> set[str]:
    names = set(inspect(db.engine).get_table_names()) - {"alembic_version"}
    return {name for name in names if include_name(name, "table", {})}


def test_all_migrations_run_up_and_down_and_up_again(fresh: Flask) -> None:
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)
    flask_migrate.downgrade(revision="base")
    assert tables() == set()
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)


def test_models_and_migrations_agree(fresh: Flask) -> None:
    flask_migrate.upgrade()

    def compare_type(context: Any, inspected: Any, model: Any, inspected_type: Any, model_type: Any) -> bool | None:
        return False if isinstance(model_type, UtcDateTime) else None

    with db.engine.connect() as connection:
        options = {"compare_type": compare_type, "include_name": include_name}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, Base.metadata) == []


def test_the_constraints_of_the_models_exist_in_the_database(fresh: Flask) -> None:
    """Autogenerate compares neither check constraints nor expression indexes, so this does."""
    flask_migrate.upgrade()
    inspector = inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        found = {check["name"] for check in inspector.get_check_constraints(table.name)}
        expected = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        assert found == expected, table.name
    with db.engine.connect() as connection:
        if db.engine.dialect.name == "sqlite":
            query = "SELECT name FROM sqlite_master WHERE type = 'index' AND name NOT LIKE 'sqlite_%'"
        else:
            query = "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' AND indexname NOT LIKE 'pk_%'"
        indexes = set(connection.execute(text(query)).scalars()) - {"alembic_version_pkc"}
    assert {name for name in indexes if include_name(name, "index", {})} == {
        str(index.name) for table in Base.metadata.sorted_tables for index in table.indexes
    }


def test_the_due_date_arrives_and_leaves_without_touching_the_tasks(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0001")
    moment = "2026-01-02 03:04:05+00:00"
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
                f" VALUES (1, 'ada', 'a@example.com', 'x', 'user', true, '{moment}', '{moment}')"
            )
        )
        connection.execute(
            text(
                "INSERT INTO tasks (id, title, description, status, owner_id, version, created_at, updated_at)"
                f" VALUES (7, 'Kept', 'Whole', 'pending', 1, 3, '{moment}', '{moment}')"
            )
        )

    def row() -> dict[str, Any]:
        with db.engine.connect() as connection:
            return dict(connection.execute(text("SELECT * FROM tasks")).mappings().one())

    before = row()
    assert "due_date" not in before
    flask_migrate.upgrade(revision="0002")
    assert row() == {**before, "due_date": None}
    flask_migrate.downgrade(revision="0001")
    assert row() == before


def test_migrating_twice_changes_nothing(fresh: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)


def test_a_migration_can_be_written_as_sql(fresh: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    flask_migrate.upgrade(sql=True)
    assert "CREATE TABLE tasks" in capsys.readouterr().out
