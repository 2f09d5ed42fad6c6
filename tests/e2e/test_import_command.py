"""`manage.py import`, as an operator uses it."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.commands import Done, Operator

ROWS = "external_id,title\n1,Water\n2,Feed\n"


@pytest.fixture
def manage(tmp_path: Path) -> Callable[..., Done]:
    """A function that runs a command on a database of its own, and says what it must end with."""
    operator = Operator(tmp_path / "instance")

    def run(*arguments: str, expect: int = 0, text: str = "") -> Done:
        done = operator.run(*arguments, text=text)
        assert done.returncode == expect, done.stderr
        return done

    run("init-db")
    run("user", "create", "root.admin", "root@example.com", "--role", "admin", "--password-stdin", text="a long word\n")
    return run


def test_a_file_is_imported_without_a_worker(manage: Callable[..., Done], tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(ROWS)
    assert manage("import", "t.csv", "--kind", "tasks", "--dry-run").stdout == (
        "Dry run: 2 rows: 2 created, 0 updated, 0 unchanged, 0 failed.\n"
    )
    assert manage("import", "t.csv", "--kind", "tasks").stdout == (
        "2 rows: 2 created, 0 updated, 0 unchanged, 0 failed.\n"
    )
    assert manage("import", "t.csv", "--kind", "tasks").stdout == (
        "2 rows: 0 created, 0 updated, 2 unchanged, 0 failed.\n"
    )

    # From standard input, whose beginning tells the format.
    assert manage("import", "-", "--kind", "tasks", text=ROWS).stdout.startswith("2 rows: 0 created, 0 updated, 2 unch")
    piped = manage("import", "-", "--kind", "tasks", "--dry-run", text='[{"external_id": 1, "title": "Water"}]')
    assert piped.stdout == "Dry run: 1 rows: 0 created, 0 updated, 1 unchanged, 0 failed.\n"
    found = manage("import", "-", "--kind", "tasks", "--dry-run", text="title\nFine\n" + "x" * 200_000, expect=1)
    assert found.stdout == "Dry run: 2 rows: 0 created, 0 updated, 0 unchanged, 1 failed.\n"
    assert "Row 2 (line 3): title: Must be at most 150 characters long." in found.stderr

    (tmp_path / "u").write_text("".join(f'{{"username": "user{n}", "email": "u{n}@example.com"}}\n' for n in range(3)))
    unknown = manage("import", "u", "--kind", "users", expect=2)
    assert "The name of the file does not tell its format." in unknown.stderr
    manage("import", "u", "--kind", "users", "--format", "jsonl")
    assert manage("import", "t.csv", "--kind", "tasks", "--as", "user1").stdout.startswith("2 rows: 2 created")
    denied = manage("import", "u", "--kind", "users", "--format", "jsonl", "--as", "user1", expect=1)
    assert "tasklane: To import users, one needs the permission users:admin." in denied.stderr
    nobody = manage("import", "t.csv", "--kind", "tasks", "--as", "nobody", expect=1)
    assert "tasklane: There is no such user." in nobody.stderr
    manage("user", "role", "user1", "admin")
    several = manage("import", "t.csv", "--kind", "tasks", expect=1)
    assert "tasklane: There are 2 active administrators. Say as whom." in several.stderr

    (tmp_path / "t.csv").write_text(ROWS + "3,\n" * 30)
    refused = manage("import", "t.csv", "--kind", "tasks", "--as", "user1", "--report", "r.csv", expect=1)
    assert "Row 3 (line 4): title: Must not be blank." in refused.stderr
    assert "... and more; --report writes all of them to a file." in refused.stderr
    assert refused.stderr.endswith("tasklane: 30 rows of 32 cannot be imported, so nothing was stored.\n")
    with (tmp_path / "r.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert len({line["row"] for line in lines}) == 32
    skipped = manage("import", "t.csv", "--kind", "tasks", "--as", "user1", "--on-error", "skip")
    assert skipped.stdout == "32 rows: 0 created, 0 updated, 2 unchanged, 30 failed.\n"
