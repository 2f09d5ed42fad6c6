"""The numbers of reports, against cases computed by hand; who is counted in them, and at what cost."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from flask import Flask

from core.platform.access import OPERATOR, Actor
from core.platform.errors import JobFailed
from core.reports import service as reports
from core.reports.figures import Figures
from core.tasks.fields import TaskStatus
from tests.support.people import Person, make_person
from tests.support.tasks import store_tasks

NOON = "2026-11-18T12:00:00+00:00"  # A Wednesday.


@pytest.fixture(autouse=True)
def _wednesday(at: Callable[[str], None]) -> None:
    at(NOON)


def gather(
    app: Flask, actor: Actor = OPERATOR, first: str = "2026-11-09", last: str = "2026-11-18", **given: Any
) -> Figures:
    wanted = {"project_id": None, "title": None, "time_zone": "UTC", **given}
    with app.app_context():
        return reports.gather(actor, first=date.fromisoformat(first), last=date.fromisoformat(last), **wanted)


def done(created: str, completed: str) -> dict[str, str]:
    return {"status": "completed", "created_at": created, "completed_at": completed}


@pytest.fixture
def company(app: Flask, ada: Person, bob: Person) -> Flask:
    """Nine tasks around the days from 9 to 18 November 2026."""
    mine, his = {"owner_id": ada.user_id}, {"owner_id": ada.user_id, "assignee_id": bob.user_id}
    store_tasks(
        app,
        [
            # Over before the range, one way and the other.
            {**mine, **done("2026-11-01T00:00:00", "2026-11-08T23:59:59.999999")},
            {**mine, "created_at": "2026-11-01T00:00:00", "status": "cancelled", "updated_at": "2026-11-08T00:00:00"},
            # Completed in the range after 9 days, 1 day and 3 days.
            {**mine, **done("2026-11-01T00:00:00", "2026-11-10T00:00:00")},
            {**his, **done("2026-11-09T00:00:00", "2026-11-10T00:00:00")},
            {**his, **done("2026-11-15T12:00:00", "2026-11-18T12:00:00")},
            # Open, and overdue by one day; in work, and by eight; open, and due today.
            {**mine, "created_at": "2026-11-02T00:00:00", "due_date": "2026-11-17"},
            {**his, "created_at": "2026-11-09T00:00:00", "status": "in_progress", "due_date": "2026-11-10"},
            {**his, "created_at": "2026-11-16T00:00:00", "due_date": "2026-11-18"},
            # Cancelled in the range.
            {**mine, "created_at": "2026-11-16T00:00:00", "status": "cancelled", "updated_at": "2026-11-17T00:00:00"},
        ],
    )
    return app


def test_the_headline_counts_what_happened_in_the_range_and_what_is_open_now(company: Flask) -> None:
    headline = gather(company).headline
    assert (headline.created, headline.completed) == (5, 3)
    assert (headline.open_now, headline.overdue_now) == (3, 2)
    day = 86_400
    assert (headline.median_seconds, headline.mean_seconds) == (3 * day, (9 + 1 + 3) * day / 3)


def test_the_median_of_two_is_between_them_and_exact_to_the_microsecond(app: Flask, ada: Person) -> None:
    start = "2026-11-10T00:00:00.000001"
    rows = [done(start, "2026-11-10T00:00:01"), done(start, "2026-11-10T00:00:02.000002")]
    store_tasks(app, [{"owner_id": ada.user_id, **row} for row in rows])
    headline = gather(app).headline
    assert headline.median_seconds == headline.mean_seconds == (0.999999 + 2.000001) / 2


def test_the_status_split_is_about_what_was_open_at_some_time_in_the_range(company: Flask) -> None:
    figures = gather(company)
    assert figures.by_status == {
        TaskStatus.PENDING: 2,
        TaskStatus.IN_PROGRESS: 1,
        TaskStatus.COMPLETED: 3,
        TaskStatus.CANCELLED: 1,
    }
    assert figures.in_range == 7
    # A task that was created after the range is none of its business.
    assert gather(company, first="2026-11-01", last="2026-11-01").in_range == 3


def test_the_burn_up_begins_with_what_was_there_before_and_leaves_cancelled_tasks_out(company: Flask) -> None:
    points = gather(company).burn_up
    assert [(point.day.day, point.scope, point.completed) for point in points] == [
        (8, 3, 1),
        (9, 5, 1),
        (10, 5, 3),
        (11, 5, 3),
        (12, 5, 3),
        (13, 5, 3),
        (14, 5, 3),
        (15, 6, 3),
        (16, 7, 3),
        (17, 7, 3),
        (18, 7, 4),
    ]


def test_the_throughput_is_told_by_iso_week_with_the_days_of_it_that_count(company: Flask) -> None:
    weeks = gather(company, first="2026-11-07").weeks
    assert [(week.label, week.days, week.created, week.completed) for week in weeks] == [
        ("2026-W45", 2, 0, 1),
        ("2026-W46", 7, 3, 2),
        ("2026-W47", 3, 2, 1),
    ]


def test_weeks_are_numbered_as_iso_8601_does_around_new_year(
    app: Flask, ada: Person, at: Callable[[str], None]
) -> None:
    at("2027-01-31T00:00:00+00:00")
    labels = [week.label for week in gather(app, first="2026-12-21", last="2027-01-10").weeks]
    assert labels == ["2026-W52", "2026-W53", "2027-W01"]


def test_people_are_responsible_for_what_they_are_assigned_to_else_for_what_they_own(company: Flask) -> None:
    people = gather(company).people
    assert [(person.username, person.open_now, person.completed) for person in people.top] == [
        ("bob", 2, 2),
        ("ada", 1, 1),
    ]
    assert (people.others, people.others_open, people.others_completed) == (0, 0, 0)


def test_whoever_is_not_among_the_first_fifteen_is_counted_with_the_others(app: Flask) -> None:
    crowd = [make_person(app, f"person{number:02}") for number in range(18)]
    created = {"created_at": "2026-11-10T00:00:00"}
    rows = [{"owner_id": crowd[n].user_id, **created} for n in range(18) for _ in range(18 - n)]
    rows.append({"owner_id": crowd[17].user_id, **done("2026-11-10T00:00:00", "2026-11-11T00:00:00")})
    store_tasks(app, [{"status": "pending", "completed_at": None, **row} for row in rows])
    people = gather(app).people
    assert [person.username for person in people.top] == [f"person{number:02}" for number in range(15)]
    assert (people.others, people.others_open, people.others_completed) == (3, 3 + 2 + 1, 1)


def test_overdue_tasks_are_sorted_by_how_many_days_they_are_late(app: Flask, ada: Person) -> None:
    today = date(2026, 11, 18)
    late = (0, 1, 7, 8, 30, 31, 90, 91, 4000)
    row = {"owner_id": ada.user_id, "created_at": "2026-01-01T00:00:00"}
    store_tasks(app, [{**row, "due_date": today - timedelta(days=days)} for days in late])
    ages = [(age.least, age.most, age.tasks) for age in gather(app).ageing]
    assert ages == [(1, 7, 2), (8, 30, 2), (31, 90, 2), (91, None, 2)]


def test_days_begin_where_the_zone_says(app: Flask, ada: Person) -> None:
    # 18:15 UTC is midnight in Kathmandu.
    moments = ("2026-11-09T18:14:59.999999", "2026-11-09T18:15:00")
    store_tasks(app, [{"owner_id": ada.user_id, "created_at": moment} for moment in moments])
    figures = gather(app, first="2026-11-10", last="2026-11-10", time_zone="Asia/Kathmandu")
    assert figures.headline.created == 1
    assert [point.scope for point in figures.burn_up] == [1, 2]


def test_a_range_that_goes_on_after_today_ends_with_today(company: Flask) -> None:
    figures = gather(company, last="2026-12-31")
    assert figures.burn_up[-1].day == date(2026, 11, 18)
    assert figures.weeks[-1].label == "2026-W47"
    assert figures.heading.last == date(2026, 12, 31)


@pytest.mark.parametrize(("first", "points", "is_weekly"), [("2026-08-19", 93, False), ("2026-08-18", 15, True)])
def test_a_long_range_has_a_point_a_week(company: Flask, first: str, points: int, is_weekly: bool) -> None:
    figures = gather(company, first=first)
    assert (len(figures.burn_up), figures.is_weekly) == (points, is_weekly)
    assert (figures.burn_up[0].day, figures.burn_up[-1].day) == (
        date.fromisoformat(first) - timedelta(days=1),
        date(2026, 11, 18),
    )
    assert (figures.burn_up[-1].scope, figures.burn_up[-1].completed) == (7, 4)


def test_without_tasks_everything_is_zero(app: Flask) -> None:
    figures = gather(app)
    assert (figures.in_range, figures.headline.created, figures.headline.median_seconds) == (0, 0, None)
    assert figures.people.top == ()
    assert {point.scope for point in figures.burn_up} == {0}


def test_everybody_has_a_report_on_what_they_may_see(company: Flask, ada: Person, bob: Person) -> None:
    carol = make_person(company, "carol")
    assert gather(company, ada.actor).headline.created == 5
    assert gather(company, bob.actor).headline.created == 4
    assert [person.username for person in gather(company, bob.actor).people.top] == ["bob"]
    assert gather(company, carol.actor).in_range == 0
    assert gather(company, carol.actor).people.top == ()


def test_a_report_on_a_project_is_about_nothing_else(company: Flask, ada: Person, bob: Person) -> None:
    project = ada.post("/projects", {"key": "OPS", "name": "Operations"}).get_json()["data"]
    row = {"owner_id": bob.user_id, "created_at": "2026-11-10T00:00:00", "project_id": project["id"]}
    store_tasks(company, [row])
    figures = gather(company, ada.actor, project_id=project["id"])
    assert (figures.headline.created, figures.heading.project) == (1, "OPS - Operations")
    with pytest.raises(JobFailed, match="not a member"):
        gather(company, bob.actor, project_id=project["id"])
    with pytest.raises(JobFailed, match="no such project"):
        gather(company, project_id=project["id"] + 1)


def test_the_heading_says_whose_view_it_is(company: Flask, ada: Person) -> None:
    assert gather(company, ada.actor).heading.reader == "ada"
    assert ada.patch("/auth/me", {"name": "Ada Lovelace"}).status_code == 200
    heading = gather(company, ada.actor, title="Mine").heading
    assert (heading.title, heading.reader, heading.project) == ("Mine", "Ada Lovelace", None)
    assert gather(company).heading.reader == "administrators"


@pytest.mark.parametrize(
    ("slot", "first"),
    [
        ("2026-11-16T06:00:00+00:00", "2026-11-09"),
        ("2026-11-22T23:59:59+00:00", "2026-11-09"),
        ("2026-11-23T00:00:00+00:00", "2026-11-16"),
        ("2026-11-16T00:30:00+01:00", "2026-11-02"),
    ],
)
def test_the_weekly_report_is_on_the_last_week_that_was_over(company: Flask, slot: str, first: str) -> None:
    with company.app_context():
        figures = reports.gather_week(datetime.fromisoformat(slot))
    monday = date.fromisoformat(first)
    assert (figures.heading.first, figures.heading.last) == (monday, monday + timedelta(days=6))
    assert [(week.monday, week.days) for week in figures.weeks if week.days == 7] in ([(monday, 7)], [])
    assert figures.heading.title == f"Weekly report, 2026-W{monday.isocalendar().week}"


def test_any_number_of_tasks_takes_the_same_statements_and_leaves_as_few_rows(
    app: Flask, ada: Person, statements: list[str]
) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    rows = [{"owner_id": ada.user_id, "created_at": start + timedelta(minutes=10 * n)} for n in range(2000)]
    statements.clear()
    gather(app)
    few = len(statements)
    store_tasks(app, rows)
    statements.clear()
    gather(app, first="2026-01-01")
    assert len(statements) == few <= 11
