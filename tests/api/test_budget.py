"""The countable part of the performance budget: SQL statements per request."""

import pytest

from tests.support.people import Person


def test_reading_a_task_takes_two_statements(ada: Person, statements: list[str]) -> None:
    task = ada.create_task()
    statements.clear()
    ada.get(f"/tasks/{task['id']}")
    assert len(statements) == 2, statements


@pytest.mark.parametrize(
    "query", ["per_page=100", "per_page=100&status=pending&sort=-due_date,id", "per_page=100&cursor="]
)
def test_listing_takes_three_statements_whatever_the_number_of_rows(
    ada: Person, statements: list[str], query: str
) -> None:
    for _ in range(30):
        ada.create_task()
    statements.clear()
    assert len(ada.get(f"/tasks?{query}").get_json()["data"]) == 30
    assert len(statements) == (2 if "cursor" in query else 3), statements


def test_creating_takes_four_statements_with_its_job_and_its_history(ada: Person, statements: list[str]) -> None:
    statements.clear()
    ada.create_task()
    assert len(statements) == 4, statements


def test_a_public_read_takes_none(anonymous: Person, statements: list[str]) -> None:
    anonymous.get("/welcome")
    anonymous.get("/health")
    assert statements == []
