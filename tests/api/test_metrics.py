"""/metrics: who may read them, and that what they say is true."""

from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from core.jobs import tally
from core.jobs.kinds import KINDS
from core.jobs.model import Job
from core.platform.config.errors import ConfigError
from core.platform.config.load import ROOT, load_settings
from core.platform.database.base import db
from core.platform.database.engine import current_reader
from tests.support import work
from tests.support.engines import on_both
from tests.support.people import Person, make_person
from tests.support.prometheus import (
    ALERTS,
    Samples,
    check_queries,
    check_with_promtool,
    dashboard_queries,
    metrics_named_in,
    samples,
)
from tests.support.servers import RedisServer

TOKEN = "t" * 32


@pytest.fixture
def measured(remake_app: Callable[..., Flask]) -> Flask:
    return remake_app(metrics__enabled=True)


def read(app: Flask) -> Samples:
    answer = app.test_client().get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("text/plain; version=")
    assert answer.headers["Cache-Control"] == "no-store"
    return samples(answer.text)


def value(found: Samples, metric: str, **labels: str) -> float:
    return found.get((f"tasklane_{metric}", tuple(sorted(labels.items()))), 0.0)


# --- who ------------------------------------------------------------------------------


def test_without_being_switched_on_there_are_none(anonymous: Person) -> None:
    answer = anonymous.client.get("/metrics")
    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "not_found"
    assert "tasklane.meters" not in anonymous.app.extensions


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": f"Basic {TOKEN}"}, 401),
        ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        ({"Authorization": "Bearer tökén".encode().decode("latin-1")}, 401),
        ({"Authorization": f"Bearer {TOKEN}"}, 200),
        ({"Authorization": f"bearer {TOKEN}"}, 200),
    ],
)
def test_a_token_that_is_configured_is_asked_for(
    remake_app: Callable[..., Flask], headers: dict[str, str], status: int
) -> None:
    answer = remake_app(metrics__enabled=True, metrics__token=TOKEN).test_client().get("/metrics", headers=headers)
    assert answer.status_code == status
    if status == 401:
        assert answer.get_json()["error"]["code"] in ("unauthenticated", "invalid_token")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_only_configured_addresses_may_read_them(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(metrics__enabled=True, metrics__addresses=["10.0.0.0/8", "2001:db8::1"])
    for address, status in {
        "10.1.2.3": 200,
        "::ffff:10.1.2.3": 200,
        "2001:db8::1": 200,
        "11.0.0.1": 403,
        "2001:db8::2": 403,
        "": 403,
    }.items():
        answer = app.test_client().get("/metrics", environ_base={"REMOTE_ADDR": address})
        assert answer.status_code == status, address
    both = remake_app(metrics__enabled=True, metrics__addresses=["10.0.0.0/8"], metrics__token=TOKEN).test_client()
    right = {"headers": {"Authorization": f"Bearer {TOKEN}"}}
    assert both.get("/metrics", environ_base={"REMOTE_ADDR": "10.0.0.1"}).status_code == 401
    assert both.get("/metrics", environ_base={"REMOTE_ADDR": "11.0.0.1"}, **right).status_code == 403
    assert both.get("/metrics", environ_base={"REMOTE_ADDR": "10.0.0.1"}, **right).status_code == 200


def test_in_development_they_are_there_for_this_machine() -> None:
    settings = load_settings("development", environ={})
    assert settings.metrics.enabled
    assert settings.metrics.addresses == ["127.0.0.0/8", "::1"]


def test_in_production_they_are_never_there_for_everybody() -> None:
    good = {"JWT_SECRET_KEY": "j" * 32, "SECRET_KEY": "s" * 32, "DATABASE_URL": "postgresql://h/db"}
    for more in ({}, {"TASKLANE_METRICS__TOKEN": "short"}, {"TASKLANE_METRICS__ADDRESSES": "10.0.0.0/99"}):
        with pytest.raises(ConfigError, match=r"metrics\."):
            load_settings("production", environ={**good, "TASKLANE_METRICS__ENABLED": "true", **more})
    load_settings("production", environ={**good, "TASKLANE_METRICS__ENABLED": "1", "TASKLANE_METRICS__TOKEN": TOKEN})


# --- what -----------------------------------------------------------------------------


def test_requests_are_counted_by_template_and_strangers_cannot_add_series(measured: Flask) -> None:
    ada = make_person(measured, "carol")
    before = read(measured)
    for _ in range(3):
        ada.get("/tasks")
    for number in range(20):
        ada.get(f"/tasks/{number}")
        ada.client.get(f"/nothing/{number}")
        ada.client.open(f"/api/v1/tasks/{number}", method=f"BREW{number}")
    after = read(measured)
    tasks = {"method": "GET", "route": "/api/v1/tasks"}
    assert (
        value(after, "http_requests_total", status="200", **tasks)
        - value(before, "http_requests_total", status="200", **tasks)
        == 3
    )
    assert value(after, "http_request_duration_seconds_count", **tasks) == 3
    assert value(after, "http_request_duration_seconds_bucket", le="+Inf", **tasks) == 3
    assert value(after, "http_requests_total", method="GET", route="/api/v1/tasks/<int:task_id>", status="404") == 20
    assert value(after, "http_requests_total", method="GET", route="unmatched", status="404") == 20
    assert value(after, "http_requests_total", method="other", route="unmatched", status="405") == 20
    assert {dict(labels)["method"] for name, labels in after if name == "tasklane_http_requests_total"} == {
        "GET",
        "other",
    }
    # Only the one that asks.
    assert value(after, "http_requests_in_progress") == 1


@on_both
def test_cached_answers_refusals_and_connections_are_counted(remake_app: Callable[..., Flask], ada: Person) -> None:
    app = remake_app(metrics__enabled=True, ratelimit_enabled=True, limits__user="3 per minute")
    person = ada.at(app)
    statuses = [person.get("/tasks").status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    for _ in range(6):
        person.log_in("wrong password")
    found = read(app)
    assert value(found, "cache_lookups_total", place="shared", result="miss") == 1
    assert value(found, "cache_lookups_total", place="shared", result="hit") == 2
    assert value(found, "limiter_refusals_total", limit="requests") == 1
    assert value(found, "limiter_refusals_total", limit="login") == 1
    with app.app_context(), db.engine.connect(), db.engine.connect():
        busy = read(app)
    assert value(busy, "db_connections_in_use") - value(found, "db_connections_in_use") == 2
    assert value(busy, "db_connections_limit") > 2
    assert value(read(app), "db_connections_in_use") == value(found, "db_connections_in_use")
    assert value(found, "db_connections_kept") >= 1
    with app.app_context():
        current_reader().close()
    assert value(read(app), "db_connections_kept") == 0
    # Whoever watches is never refused.
    assert {app.test_client().get("/metrics").status_code for _ in range(10)} == {200}


@on_both
def test_jobs_are_told_as_the_database_and_the_workers_know_them(measured: Flask, monkeypatch: Any) -> None:
    ada = make_person(measured, "carol")
    for _ in range(3):
        ada.create_task()
    with measured.app_context():
        jobs: list[UUID] = list(db.session.scalars(select(Job.id).order_by(Job.created_at)))
    email = {"kind": "email.task_created"}
    found = read(measured)
    assert value(found, "jobs_open", state="queued", queue="high", **email) == 3
    assert value(found, "jobs_open", state="started", queue="low", kind="export") == 0
    assert value(found, "jobs_oldest_queued_seconds", queue="high") > 0
    assert len([name for name, _ in found if name == "tasklane_jobs_open"]) == 3 * len(KINDS)
    work.run(measured, jobs[0])
    monkeypatch.setattr("workers.jobs.emails.task_created", lambda *args, **given: 1 / 0)
    work.run(measured, jobs[1])
    found = read(measured)
    assert value(found, "job_attempts_total", outcome="succeeded", **email) == 1
    assert value(found, "job_attempts_total", outcome="retrying", **email) == 1
    assert value(found, "job_attempt_duration_seconds_count", **email) == 2
    assert value(found, "job_attempt_duration_seconds_sum", **email) > 0
    assert value(found, "jobs_open", state="retrying", queue="high", **email) == 1


def test_attempts_are_counted_for_nobody_if_nobody_wants_to_know(
    app: Flask, ada: Person, redis_server: RedisServer
) -> None:
    ada.create_task()
    assert work.run_jobs(app)
    with redis_server.client as client:
        assert client.exists(tally.KEY) == 0


def test_metrics_say_what_is_down_instead_of_failing(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(
        metrics__enabled=True,
        redis_url="redis://127.0.0.1:1/0",
        database_url="postgresql://nobody@127.0.0.1:1/none",
    )
    found = read(app)
    assert value(found, "dependency_up", name="database") == value(found, "dependency_up", name="redis") == 0
    assert value(found, "build_info", version="1.0.0") == 1
    assert not [name for name, _ in found if name.startswith(("tasklane_jobs", "tasklane_workers"))]


def test_dashboard_alerts_and_manual_name_metrics_that_there_are(measured: Flask, tmp_path: Path) -> None:
    person = make_person(measured, "carol")
    person.create_task()
    work.run_jobs(measured)
    # Until an operation is deprecated, this one has no samples.
    measured.extensions["tasklane.meters"].count_deprecated("GET /v1/old", "user 1")
    names = {name for name, _ in read(measured)}
    queries = dashboard_queries()
    assert len(queries) > 15
    assert metrics_named_in(" ".join(queries)) <= names
    assert metrics_named_in(ALERTS.read_text()) <= names
    check_queries(queries, tmp_path)
    check_with_promtool("rules", "", str(ALERTS))
    manual = metrics_named_in((ROOT / "docs" / "monitoring.md").read_text())
    families = {name.removesuffix("_bucket").removesuffix("_count").removesuffix("_sum") for name in names}
    assert families <= manual
    assert manual <= families | names
