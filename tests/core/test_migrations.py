"""Migrations: from nothing to the newest version and back, on both engines, losing nothing."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import CheckConstraint, create_engine, inspect, text

from core.bootstrap import create_core_app
from core.platform.access import Actor, Role
from core.platform.config.load import ROOT
from core.platform.config.settings import Settings
from core.platform.database.base import Base, db
from core.platform.database.migrations import known_revisions, revision_of
from core.platform.database.types import UtcDateTime
from core.platform.preconditions import ANY_STATE
from core.search import service as search
from core.search.index import include_name
from core.tasks import service as tasks
from tests.support.commands import Operator

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
    """Autogenerate compares neither primary keys, check constraints nor expression indexes, so this does."""
    flask_migrate.upgrade()
    inspector = inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        found = {check["name"] for check in inspector.get_check_constraints(table.name)}
        expected = {str(c.name) for c in table.constraints if isinstance(c, CheckConstraint)}
        assert found == expected, table.name
        key = inspector.get_pk_constraint(table.name)["constrained_columns"]
        assert key == [column.name for column in table.primary_key], table.name
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


def test_what_exists_is_summed_up_once_and_kept_in_step(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0020")
    moment = "'2026-01-02 03:04:05.5+00:00'"
    columns = "title, status, owner_id, version, created_at, updated_at, completed_at, deleted_at"
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
                f" VALUES (1, 'ada', 'a@example.com', 'x', 'user', true, {moment}, {moment})"
            )
        )
        for state in ("'pending', 1, 1, {0}, {0}, NULL, NULL", "'completed', 1, 1, {0}, {0}, {0}, NULL") * 2:
            connection.execute(text(f"INSERT INTO tasks ({columns}) VALUES ('x', {state.format(moment)})"))
        connection.execute(text(f"UPDATE tasks SET deleted_at = {moment} WHERE id = 4"))
    for _ in range(2):
        flask_migrate.upgrade()
        with db.engine.begin() as connection:
            found = connection.execute(text("SELECT pending, completed, finished, seconds FROM task_sums_by_owner"))
            assert [tuple(row) for row in found] == [(2, 1, 1, 0)]
            assert connection.execute(text("SELECT created, completed FROM task_sums_by_quarter")).all() == [(3, 1)]
            # Whoever writes, by whatever program, the sums follow.
            connection.execute(text("UPDATE tasks SET status = 'cancelled', completed_at = NULL WHERE id = 2"))
            found = connection.execute(text("SELECT completed, cancelled, finished FROM task_sums_by_owner"))
            assert [tuple(row) for row in found] == [(0, 1, 0)]
            connection.execute(text(f"UPDATE tasks SET status = 'completed', completed_at = {moment} WHERE id = 2"))
        flask_migrate.downgrade(revision="0020")


def test_what_exists_can_be_found_as_soon_as_the_index_arrives(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0003")
    moment = "'2026-01-02 03:04:05+00:00'"
    with db.engine.begin() as connection:
        for statement in (
            (
                "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
                f" VALUES (1, 'ada', 'a@example.com', 'x', 'user', true, {moment}, {moment})"
            ),
            (
                "INSERT INTO tasks (id, title, status, owner_id, version, created_at, updated_at)"
                f" VALUES (7, 'A zebra', 'pending', 1, 3, {moment}, {moment})"
            ),
            (
                "INSERT INTO posts (id, title, content, user_id, version, created_at, updated_at)"
                f" VALUES (8, 'News', 'of a zebra', 1, 1, {moment}, {moment})"
            ),
            (
                "INSERT INTO items (id, name, price, sku, created_by, version, created_at, updated_at)"
                f" VALUES (9, 'Food', 1, 'ZEBRA-1', 1, 1, {moment}, {moment})"
            ),
        ):
            connection.execute(text(statement))
    flask_migrate.upgrade()
    found = search.search(Actor(1, Role.USER), text="zebra").items
    assert {(hit.type, hit.id) for hit in found} == {("task", 7), ("post", 8), ("item", 9)}
    db.session.remove()
    flask_migrate.downgrade(revision="0003")
    with db.engine.begin() as connection:
        assert connection.execute(text("UPDATE tasks SET title = 'A quokka'")).rowcount == 1
        assert connection.execute(text("DELETE FROM posts")).rowcount == 1
    flask_migrate.upgrade()
    assert [hit.id for hit in search.search(Actor(1, Role.USER), text="quokka").items] == [7]
    assert [hit.id for hit in search.search(Actor(1, Role.USER), text="zebra").items] == [9]
    db.session.remove()


def test_what_exists_is_found_by_the_new_folding_as_soon_as_it_arrives(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0018")
    moment = "'2026-01-02 03:04:05+00:00'"
    with db.engine.begin() as connection:
        for statement in (
            (
                "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
                f" VALUES (1, 'ada', 'a@example.com', 'x', 'user', true, {moment}, {moment})"
            ),
            (
                "INSERT INTO tasks (id, title, description, status, owner_id, version, created_at, updated_at)"
                f" VALUES (7, 'Straße in 東京都', '5€', 'pending', 1, 3, {moment}, {moment})"
            ),
        ):
            connection.execute(text(statement))

    def found(words: str) -> list[int]:
        hits = [hit.id for hit in search.search(Actor(1, Role.USER), text=words).items]
        db.session.remove()
        return hits

    for _ in range(2):
        flask_migrate.upgrade()
        assert [found(words) for words in ("STRASSE", "京都", "€", "osaka")] == [[7], [7], [7], []]
        flask_migrate.downgrade(revision="0018")
        # The index before works again, and is in step.
        with db.engine.begin() as connection:
            assert connection.execute(text("UPDATE tasks SET version = version + 1, title = title")).rowcount == 1
        assert found('"in"') == [7]


def test_the_trash_arrives_empty_and_what_is_in_it_does_not_come_back_when_it_leaves(fresh: Flask) -> None:
    flask_migrate.upgrade(revision="0007")
    moment = "'2026-01-02 03:04:05+00:00'"
    with db.engine.begin() as connection:
        connection.execute(
            text(
                "INSERT INTO users (id, username, email, password_hash, role, is_active, created_at, updated_at)"
                f" VALUES (1, 'ada', 'a@example.com', 'x', 'user', true, {moment}, {moment})"
            )
        )
        for number in (7, 8):
            connection.execute(
                text(
                    "INSERT INTO tasks (id, title, status, owner_id, version, created_at, updated_at)"
                    f" VALUES ({number}, 'A zebra', 'pending', 1, 3, {moment}, {moment})"
                )
            )
    flask_migrate.upgrade()
    actor = Actor(1, Role.USER)
    assert [hit.id for hit in search.search(actor, text="zebra").items] == [8, 7]
    # The triggers are still there: a change is found at once.
    tasks.change(actor, ANY_STATE, task_id=7, title="A quokka")
    tasks.delete(actor, ANY_STATE, task_id=8)
    assert [hit.id for hit in search.search(actor, text="quokka").items] == [7]
    assert search.search(actor, text="zebra").items == []
    db.session.remove()
    flask_migrate.downgrade(revision="0007")
    with db.engine.connect() as connection:
        assert connection.execute(text("SELECT id, title, version FROM tasks")).all() == [(7, "A quokka", 4)]
    flask_migrate.upgrade()
    assert [hit.id for hit in search.search(actor, text="quokka").items] == [7]
    db.session.remove()


def test_a_new_migration_would_have_nothing_to_do(fresh: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.check()  # It exits if the command `db migrate` would write anything.


def test_the_folder_shows_the_order_of_the_migrations_and_the_next_number(fresh: Flask) -> None:
    script = ScriptDirectory(str(ROOT / "migrations"))
    oldest_first = [Path(revision.path).name for revision in script.walk_revisions()][::-1]
    assert oldest_first == sorted(oldest_first)
    assert [name[:4] for name in oldest_first] == [f"{number:04d}" for number in range(1, len(oldest_first) + 1)]
    # What is asked of a database without Alembic goes by these numbers.
    assert known_revisions() == {revision.revision for revision in script.walk_revisions()}
    assert max(known_revisions()) == script.get_current_head()


def test_a_draft_gets_the_next_number_and_alters_tables_in_place(fresh: Flask, tmp_path: Path) -> None:
    """A copy of the table, which Alembic calls a batch, would be without the triggers of the table."""
    copy = tmp_path / "migrations"
    shutil.copytree(ROOT / "migrations", copy, ignore=shutil.ignore_patterns("__pycache__"))
    flask_migrate.upgrade()
    with db.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE jobs DROP COLUMN grounds")
    count = len(list((copy / "versions").glob("*.py")))
    flask_migrate.revision(directory=str(copy), message="jobs get their grounds again", autogenerate=True)
    draft = (copy / f"versions/{count + 1:04d}_jobs_get_their_grounds_again.py").read_text()
    assert "op.add_column('jobs', sa.Column('grounds', sa.JSON(none_as_null=True), nullable=True))" in draft
    assert "op.drop_column('jobs', 'grounds')" in draft


def test_migrating_twice_changes_nothing(fresh: Flask) -> None:
    flask_migrate.upgrade()
    flask_migrate.upgrade()
    assert tables() == set(Base.metadata.tables)


def test_several_that_migrate_at_once_do_it_one_after_the_other(fresh: Flask, tmp_path: Path) -> None:
    """As the release processes of two machines do."""
    url = db.engine.url.render_as_string(hide_password=False)
    running = [Operator(tmp_path / name, url).start("db", "upgrade") for name in ("one", "other")]
    said = [process.communicate(timeout=100)[1] for process in running]
    assert [process.returncode for process in running] == [0, 0], said
    engine = create_engine(url)
    with engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_heads() == (max(known_revisions()),)
        assert revision_of(connection) == max(known_revisions())
    engine.dispose()


def test_a_migration_can_be_written_as_sql(fresh: Flask, capsys: pytest.CaptureFixture[str]) -> None:
    flask_migrate.upgrade(sql=True)
    assert "CREATE TABLE tasks" in capsys.readouterr().out
