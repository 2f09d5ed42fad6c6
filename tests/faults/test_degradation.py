"""Each row of the table in docs/operations.md: what still works, what is refused and how, and how it comes back.

Nothing is started anew but what was broken.
"""

import shutil
import socket
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from flask import Flask
from sqlalchemy import event, select
from sqlalchemy.engine import make_url
from werkzeug.test import TestResponse

from core.jobs.model import Job, JobState
from core.operations import health
from core.operations.doctor.database import FEWER
from core.operations.doctor.examination import examine
from core.operations.doctor.findings import Verdict
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database import engine, session, write_check
from core.platform.database.base import db
from core.platform.redis import SCHEDULER_KEY
from tests.support import smtp
from tests.support.engines import on_postgresql, on_sqlite
from tests.support.people import Person, make_person
from tests.support.processes import kill_tree, process, wait_for
from tests.support.servers import PostgresServer, RedisServer
from tests.support.upstream import UpstreamServer
from tests.support.work import run, run_jobs
from workers import runner
from workers.jobs import emails
from workers.relay import Relay

# Seconds. Shorter than what is the rule, so that the tests are.
LOCK_SECONDS = 1.5

# What a request without a body is answered with when there is no database, if not with 503: some need none.
WITHOUT_DATABASE = {
    "GET /api/v1/welcome": 200,
    "GET /api/v1/greet/1": 200,
    "GET /api/v1/echo": 200,
    "GET /api/v1/health": 200,
    "POST /api/v1/auth/register": 400,
    "POST /api/v1/auth/login": 400,
    "POST /api/v1/auth/session": 400,
    "POST /api/v1/auth/refresh": 401,
    "POST /api/v1/auth/password/forgotten": 400,
    "POST /api/v1/auth/password/reset": 400,
    "GET /api/v1/notifications/unsubscribe/1": 404,
    "POST /api/v1/notifications/unsubscribe/1": 404,
}


@pytest.fixture(autouse=True)
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "LOCK_SECONDS", LOCK_SECONDS)
    monkeypatch.setattr(session, "LOCK_SECONDS", LOCK_SECONDS)
    monkeypatch.setattr(health, "PATIENCE", 0.3)
    monkeypatch.setattr(write_check, "PATIENCE", 0.3)
    monkeypatch.setattr(write_check, "WRITE_EVERY", 0)


def readiness(person: Person) -> tuple[int, str, list[str], dict[str, str]]:
    response = person.get("/health/ready")
    told = response.get_json()
    assert person.get("/health").status_code == 200
    return response.status_code, told["status"], told["faults"], told["checks"]


def work_with_tasks(person: Person) -> list[TestResponse]:
    """Do everything that one does with a task; return the answers."""
    created = person.post("/tasks", {"title": "Water the plants"})
    path = f"/tasks/{created.get_json()['data']['id']}"
    return [
        created,
        person.get(path),
        person.get("/tasks"),
        person.patch(path, {"title": "Water the cactus"}),
        person.post(f"{path}/process"),
        person.delete(path),
    ]


def assert_refused(response: TestResponse) -> None:
    """It says, in the envelope, that this passes, and nothing of what is behind it."""
    assert response.status_code == 503, response.text
    if response.request.path != "/api/v1/health/ready":
        assert response.get_json()["error"]["code"] == "unavailable"
        assert response.headers["Retry-After"] == "5"
    assert not any(word in response.text for word in ("sqlite", "psycopg", "Traceback", "/tmp"))


def timed(ask: Callable[[], TestResponse]) -> tuple[TestResponse, float]:
    start = time.monotonic()
    return ask(), time.monotonic() - start


# --- Redis --------------------------------------------------------------------------


def kill(server: RedisServer) -> Callable[[], None]:
    server.kill()
    return server.start


def hang(server: RedisServer) -> Callable[[], None]:
    server.hang()
    return server.go_on


def fill(server: RedisServer) -> Callable[[], None]:
    """Leave it no memory, so that it answers and takes nothing."""
    with server.client as client:
        client.config_set("maxmemory", 1)

    def give_memory() -> None:
        with server.client as client:
            client.config_set("maxmemory", 0)

    return give_memory


def test_without_redis_everything_is_answered_and_jobs_wait(
    remake_app: Callable[..., Flask], own_redis_server: RedisServer
) -> None:
    app = remake_app(redis_url=own_redis_server.url, ratelimit_enabled=True, cache__backend="redis")
    ada = make_person(app, "ada")
    work_with_tasks(ada)
    for number, (fault, state) in enumerate(((kill, "down"), (hang, "hung"), (fill, "refusing"))):
        left, told = make_person(app, f"left.{number}"), make_person(app, f"told.{number}")
        repair = fault(own_redis_server)
        code, status, faults, checks = readiness(ada)
        assert (code, status, faults, checks["redis"]) == (200, "degraded", ["redis"], state)
        for _ in range(3):
            start = time.monotonic()
            answers = work_with_tasks(ada)
            assert [answer.status_code for answer in answers] == [201, 200, 200, 200, 202, 204]
            # Six requests, of which the first few find out that nobody answers.
            assert time.monotonic() - start < 3
            assert all("X-RateLimit-Limit" in answer.headers for answer in answers)
        # Who has logged out is out, whatever any cache might say.
        assert left.post("/auth/logout").status_code == 204
        assert left.get("/auth/me").status_code == 401
        assert told.get("/auth/me").status_code == 200
        with app.app_context():
            assert Relay(current_settings()).send_due() == 0
        repair()
        wait_for(lambda: readiness(ada)[2], lambda faults: "redis" not in faults, seconds=20)
        with app.app_context():
            # What a Redis without memory has refused is tried again after a second.
            assert wait_for(Relay(current_settings()).send_due, bool) > 0
            db.session.remove()


# --- the database is locked ------------------------------------------------------------


@contextmanager
def locked(app: Flask) -> Iterator[None]:
    """Hold what every change of a task needs, in a connection of somebody else."""
    with app.app_context():
        url = current_settings().database_url
    if url.startswith("sqlite"):
        other: Any = sqlite3.connect(str(make_url(url).database), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
    else:
        other = psycopg.connect(make_url(url).set(drivername="postgresql").render_as_string(hide_password=False))
        other.execute("LOCK TABLE tasks IN SHARE MODE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


def test_a_locked_database_is_read_and_its_writers_are_refused_in_time(remake_app: Callable[..., Flask]) -> None:
    app = remake_app()
    ada = make_person(app, "ada")
    key = ada.post("/auth/keys", {"name": "Script", "scopes": ["tasks:read"]}).get_json()["data"]["key"]
    task = ada.create_task()
    answers: list[tuple[TestResponse, float]] = []

    def write() -> None:
        answers.append(timed(lambda: Person(app, tokens=ada.tokens).post("/tasks", {"title": "Too late"})))

    with locked(app):
        threads = [threading.Thread(target=write) for _ in range(4)]
        for thread in threads:
            thread.start()
        state = wait_for(lambda: readiness(ada), lambda state: state[1] != "ok", seconds=LOCK_SECONDS)
        assert (*state[:3], state[3]["database"]) == (200, "degraded", ["database"], "locked")
        assert ada.get(f"/tasks/{task['id']}").status_code == 200
        # That a key was used cannot be noted, and does not keep its bearer.
        response, seconds = timed(lambda: ada.get("/tasks", token="", headers={"X-API-Key": key}))
        assert (response.status_code, seconds < LOCK_SECONDS) == (200, True)
        for thread in threads:
            thread.join()
    # However many wait, nobody waits longer than one lock may take.
    assert len(answers) == 4
    for response, seconds in answers:
        assert_refused(response)
        assert seconds < LOCK_SECONDS + 1
    assert readiness(ada)[3]["database"] == "ok"
    assert ada.create_task()["id"] > task["id"]
    assert "Too late" not in ada.get("/tasks?per_page=100").text


# --- the database is gone --------------------------------------------------------------


def take_away(app: Flask, postgres: PostgresServer | None, folder: Path) -> Callable[[], None]:
    """Stop PostgreSQL, or move the file of SQLite away. What comes back is the same server, or a copy."""
    if postgres is not None:
        postgres.crash(checkpoint=True)
        return postgres.start
    with app.app_context():
        file = Path(str(make_url(current_settings().database_url).database))
    for path in file.parent.glob(f"{file.name}*"):
        shutil.move(path, folder)

    def restore() -> None:
        for path in folder.glob(f"{file.name}*"):
            shutil.copy(path, file.parent)

    return restore


def every_request(app: Flask, person: Person) -> Iterator[tuple[str, TestResponse]]:
    for rule in app.url_map.iter_rules():
        if rule.rule.startswith("/api/v1/"):
            path = app.url_map.bind("").build(rule.endpoint, dict.fromkeys(rule.arguments, 1))
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield f"{method} {path}", person.open(method, path)


def test_without_the_database_everything_that_needs_it_says_so_and_comes_back(
    request: pytest.FixtureRequest,
    engine_name: str,
    app: Flask,
    ada: Person,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    postgres = request.getfixturevalue("postgres") if engine_name == "postgresql" else None
    task = ada.create_task()
    caplog.clear()
    restore = take_away(app, postgres, tmp_path)
    try:
        code, status, faults, checks = readiness(ada)
        assert (code, status, faults, checks["database"]) == (503, "down", ["database"], "down")
        for operation, response in every_request(app, ada):
            if (expected := WITHOUT_DATABASE.get(operation)) is not None:
                assert response.status_code == expected, (operation, response.text)
            else:
                assert response.status_code == 503, operation
                assert_refused(response)
        assert_refused(ada.post("/tasks", {"title": "Lost"}))
        assert_refused(ada.log_in())
    finally:
        restore()
    # Jobs have been waiting for a worker meanwhile, which is another fault if the machine is slow.
    wait_for(lambda: readiness(ada)[3]["database"], lambda state: state == "ok")
    assert ada.get(f"/tasks/{task['id']}").status_code == 200
    # Not a line for each of a hundred requests, and not where in the code each of them was.
    told = [record for record in caplog.records if "The database" in record.getMessage()]
    assert [record for record in told if record.exc_info] == []
    assert 0 < len([record for record in told if "does not answer" in record.getMessage()]) < 10
    assert len([record for record in told if "answers again" in record.getMessage()]) == 1
    new = ada.create_task()
    assert "Lost" not in ada.get("/tasks").text
    if postgres is None:
        # Stored in the file that is there now, and not in the one that was moved.
        with app.app_context():
            path = make_url(current_settings().database_url).database
        query = f"SELECT count(*) FROM tasks WHERE id = {new['id']}"
        with sqlite3.connect(str(path)) as here, sqlite3.connect(str(tmp_path / Path(str(path)).name)) as there:
            assert (here.execute(query).fetchone(), there.execute(query).fetchone()) == ((1,), (0,))
        here.close()
        there.close()


@on_postgresql
def test_a_server_that_lets_nobody_in_any_more_is_told_apart(
    app: Flask, ada: Person, anonymous: Person, caplog: pytest.LogCaptureFixture
) -> None:
    with app.app_context():
        url = db.engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
        db.engine.dispose()
    with ExitStack() as crowd:
        with suppress(psycopg.OperationalError):
            while True:
                crowd.enter_context(psycopg.connect(url))
        code, status, faults, checks = readiness(anonymous)
        assert (code, status, faults, checks["database"]) == (503, "down", ["database"], "no_connections")
        assert_refused(ada.get("/tasks"))
        with app.app_context():
            (found,) = [finding for finding in examine() if finding.part == "database"]
        assert found.verdict is Verdict.FAILED
        assert "no_connections" in found.text
        assert found.advice == f"The server lets nobody in any more. {FEWER}"
    assert readiness(anonymous)[3]["database"] == "ok"
    assert [record for record in caplog.records if record.exc_info] == []


@on_postgresql
def test_a_database_that_goes_away_costs_a_job_no_attempt_and_delays_no_mail(
    app: Flask, ada: Person, postgres: PostgresServer, outbox: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ada.create_task(title="Water the plants")
    with app.app_context():
        job_id, chances = db.session.execute(select(Job.id, Job.max_attempts)).one()
    starting = threading.Thread(target=lambda: (time.sleep(0.5), postgres.start()))
    write = emails.mail.message_of

    def crash(*given: Any, **named: Any) -> Any:
        if not starting.ident:
            postgres.crash(checkpoint=True)
            starting.start()
        return write(*given, **named)

    monkeypatch.setattr(emails.mail, "message_of", crash)
    monkeypatch.setattr(runner, "AWAY_PAUSE", 0.1)
    job = run(app, job_id)
    starting.join(60)
    assert (job.state, job.error, job.max_attempts - job.attempts) == (JobState.RETRYING, None, chances)
    wait_for(lambda: readiness(ada)[3], lambda checks: checks["database"] == "ok")
    assert readiness(ada)[3]["mail"] == "ok"
    run_jobs(app)
    assert [path.suffix for path in outbox.iterdir()] == [".eml"]


@on_postgresql
def test_a_stand_by_is_read_and_says_why_it_is_not_written(
    app: Flask, ada: Person, remake_app: Callable[..., Flask]
) -> None:
    with app.app_context():
        url = make_url(current_settings().database_url)
    url = url.update_query_dict({"options": "-c default_transaction_read_only=on"})
    reader = remake_app(database_url=url.render_as_string(hide_password=False))
    person = Person(reader, tokens=ada.tokens)
    assert person.get("/tasks").status_code == 200
    assert_refused(person.post("/tasks", {"title": "Not here"}))
    # A refusal stays one, although nobody can write it down.
    assert person.post("/users", {}).status_code == 403
    code, status, faults, checks = readiness(person)
    assert (code, status, faults, checks["database"]) == (200, "degraded", ["database"], "read_only")


# --- the disk is full ------------------------------------------------------------------


def fill_disk(person: Person) -> tuple[int, TestResponse]:
    """Store large tasks until one is refused; return how many were taken, and the refusal."""
    for number in range(200):
        response = person.post("/tasks", {"title": f"Large {number}", "description": "x" * 9_000})
        if response.status_code != 201:
            return number, response
    raise AssertionError("There was room for everything.")


def stored(person: Person) -> Counter[str]:
    return Counter(task["title"] for task in person.get("/tasks?per_page=100").get_json()["data"])


@on_sqlite
def test_a_full_disk_refuses_what_grows_and_loses_nothing(remake_app: Callable[..., Flask]) -> None:
    """SQLite is told that the file may not grow, and answers as it does for a full disk."""
    app = remake_app()
    ada = make_person(app, "ada")
    pages = {"most": 0}
    with app.app_context():

        @event.listens_for(db.engine, "begin")
        def limit(connection: Any) -> None:
            connection.connection.driver_connection.execute(f"PRAGMA max_page_count = {pages['most']}")

        with db.engine.connect() as connection:
            # What other tests have left free would have room for everything.
            connection.exec_driver_sql("COMMIT")
            connection.exec_driver_sql("VACUUM")
            pages["most"] = connection.exec_driver_sql("PRAGMA page_count").scalar_one() + 40
    number, refusal = fill_disk(ada)
    assert number > 0
    assert_refused(refusal)
    assert stored(ada) == Counter(f"Large {each}" for each in range(number))
    pages["most"] = 2**31
    assert ada.create_task()


@on_sqlite
def test_a_disk_that_is_almost_full_is_told(app: Flask, anonymous: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    with app.app_context():
        free = shutil.disk_usage(Path(str(db.engine.url.database)).parent).free
    monkeypatch.setattr(write_check, "LEAST_FREE", free + 2**40)
    code, status, faults, checks = readiness(anonymous)
    assert (code, status, faults, checks["database"]) == (200, "degraded", ["database"], "full")


@on_sqlite
def test_a_disk_that_takes_no_more_is_told_apart_and_found_well_again(remake_app: Callable[..., Flask]) -> None:
    """The system lets this process write no file beyond a size, as a quota does."""
    resource = pytest.importorskip("resource")
    app = remake_app()
    ada = make_person(app, "ada")
    with app.app_context(), db.engine.connect() as connection:
        # From here on SQLite's log begins with an empty file.
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("VACUUM")
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        file = Path(str(db.engine.url.database))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (file.stat().st_size + 100_000, before[1]))
    try:
        number, refusal = fill_disk(ada)
        # Even where a large task has no room, something small may have.
        log = file.with_name(f"{file.name}-wal").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (log // 2, before[1]))
        code, status, faults, checks = readiness(ada)
        kept = stored(ada)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_refused(refusal)
    assert (code, status, faults, checks["database"]) == (200, "degraded", ["database"], "failing")
    assert kept == Counter(f"Large {each}" for each in range(number))
    assert readiness(ada)[1] == "ok"
    assert ada.create_task()


# --- what is not ours ------------------------------------------------------------------


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port where somebody accepts connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")
def test_e_mails_wait_for_a_mail_server(
    remake_app: Callable[..., Flask], silent_port: int, at: Callable[[str], None]
) -> None:
    box, server = smtp.start()
    server.stop()
    mail = {"mail__server": "127.0.0.1", "mail__username": "tasklane", "mail__password": "secret"}
    mail |= {"mail__use_tls": False, "mail__timeout_seconds": 0.3}
    refused, hanging = (remake_app(**mail, mail__port=port) for port in (box.port, silent_port))
    ada = make_person(refused, "ada")
    task = ada.create_task()
    for app in (refused, hanging):
        assert run_jobs(app)
        code, _, faults, checks = readiness(Person(app))
        # To be ready, nobody needs a mail server; for the next try somebody needs a worker.
        assert (code, set(faults) <= {"workers", "scheduler"}, checks["mail"]) == (200, True, "delayed")
        with app.app_context():
            job = db.session.scalars(select(Job)).one()
            assert (job.state, job.attempts) == (JobState.RETRYING, 1 if app is refused else 2)
        at((clock.now() + timedelta(minutes=2)).isoformat())
    box, server = smtp.start(port=box.port)
    try:
        run_jobs(refused)
    finally:
        server.stop()
    assert [message["Subject"] for message in box.received] == [f"Task {task['id']} created: Water the plants"]
    assert readiness(ada)[3]["mail"] == "ok"


def test_an_upstream_that_is_away_or_hangs_takes_only_its_own_path_along(
    remake_app: Callable[..., Flask], silent_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    with UpstreamServer() as server:
        app = remake_app(
            upstreams__gone__base_url="http://127.0.0.1:1/",
            upstreams__hung__base_url=f"http://127.0.0.1:{silent_port}/",
            upstreams__well__base_url=server.url,
            **{f"upstreams__{name}__retries": 0 for name in ("gone", "hung")},
            **{f"upstreams__{name}__breaker_failures": 2 for name in ("gone", "hung")},
            upstreams__hung__timeout_seconds=0.3,
        )
        ada = make_person(app, "ada")
        for name in ("gone", "hung"):
            for _ in range(3):
                response, seconds = timed(lambda name=name: ada.get(f"/upstreams/{name}/x"))  # type: ignore[misc]
                assert response.status_code == 503
                assert seconds < 2
            assert int(response.headers["Retry-After"]) > 5  # It is left alone for so long.
        assert ada.get("/upstreams/well/x").status_code == 200
        told = ada.get("/health/ready").get_json()
        assert (told["status"], told["upstreams"]) == ("ok", {"gone": "open", "hung": "open", "well": "closed"})
        later = clock.monotonic() + 31
        monkeypatch.setattr(clock, "monotonic", lambda: later)
        assert ada.get("/health/ready").get_json()["upstreams"]["hung"] == "half_open"


# --- workers and schedulers ------------------------------------------------------------


@on_sqlite
def test_without_workers_and_schedulers_jobs_wait_and_readiness_says_for_whom(
    app: Flask, ada: Person, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def checks() -> tuple[str, str]:
        told = readiness(ada)[3]
        return told["workers"], told["scheduler"]

    monkeypatch.setattr(health, "UNNOTICED", timedelta())
    assert readiness(ada)[:3] == (200, "ok", [])  # Nothing waits, so nobody is missed.
    with process(app, "scheduler") as scheduler, process(app, "worker") as worker:
        wait_for(checks, lambda state: state == ("ok", "ok"))
        # Before a worker first waits for work, what it says of itself holds for longer.
        with redis_server.client as client:
            wait_for(
                lambda: [client.ttl(name) for name in client.smembers("rq:workers")],
                lambda seconds: len(seconds) == 1 and seconds[0] <= 30,
            )
        for running in (scheduler, worker):
            kill_tree(running)
            running.returncode = 0
    task = ada.create_task()
    job = ada.post(f"/tasks/{task['id']}/process").get_json()["data"]["job_id"]
    with redis_server.client as client:
        (key,) = client.smembers("rq:workers")
        for left in (key, SCHEDULER_KEY):
            # What they said is forgotten within half a minute, which need not be waited for.
            assert 0 < client.ttl(left) <= 30
            client.delete(left)
    assert readiness(ada)[:3] == (200, "degraded", ["workers", "scheduler"])
    assert ada.get(f"/jobs/{job}").get_json()["data"]["state"] == "queued"
    with process(app, "scheduler"):
        wait_for(lambda: readiness(ada)[2], lambda faults: faults == ["workers"])
        with process(app, "worker"):
            wait_for(lambda: ada.get(f"/jobs/{job}").get_json()["data"]["state"], lambda state: state == "succeeded")
            assert readiness(ada)[1] == "ok"


def test_readiness_writes_once_a_second_however_often_it_is_asked(
    app: Flask, anonymous: Person, statements: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_check, "WRITE_EVERY", 3600)
    for _ in range(5):
        assert readiness(anonymous)[1] == "ok"
    assert sum(statement.startswith("UPDATE") for statement in statements) <= 1
