"""First contact: welcome, greeting, echo, health, and the way to Swagger UI."""

from collections.abc import Callable

import pytest
from flask import Flask
from sqlalchemy import text

from core.platform.database.session import transaction
from tests.support.answers import data
from tests.support.engines import on_both, on_sqlite
from tests.support.people import Person
from tests.support.servers import RedisServer


def test_the_welcome_lists_the_routes_that_really_exist(app: Flask, anonymous: Person) -> None:
    welcome = data(anonymous.get("/welcome"))
    assert welcome["version"] == "1.0.0"
    assert "POST /api/v1/tasks/<int:task_id>/process" in welcome["endpoints_available"]
    expected = {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/api/v1/")
    }
    assert set(welcome["endpoints_available"]) == expected


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("Ada", "Ada"),
        ("Ada%20Lovelace", "Ada Lovelace"),
        ("Ada/", "Ada"),
        ("%E6%97%A5%E6%9C%AC", "日本"),
        ("AC%2FDC", "AC/DC"),
        ("%3Cb%3E%22", '<b>"'),
        ("x" * 100, "x" * 100),
    ],
)
def test_anybody_is_greeted_by_name(anonymous: Person, path: str, name: str) -> None:
    assert data(anonymous.get(f"/greet/{path}"))["greeting"].startswith(f"Hello, {name}!")


@pytest.mark.parametrize("path", ["x" * 101, "%20", "%00", "a%00b"])
def test_what_is_no_name_is_not_greeted(anonymous: Person, path: str) -> None:
    response = anonymous.get(f"/greet/{path}")
    assert response.status_code == 400
    assert list(response.get_json()["error"]["details"]) == ["name"]


def test_the_echo_shows_the_request_without_its_credentials(anonymous: Person) -> None:
    headers = {
        "User-Agent": "curl/8",
        "Accept": "application/json",
        "Authorization": "Bearer canary-1",
        "Cookie": "session=canary-2",
        "X-API-Key": "canary-3",
        "Proxy-Authorization": "canary-4",
        "X-Request-ID": "my-id.1",
        "X-Custom": "kept",
    }
    response = anonymous.get("/echo", headers=headers)
    echo = data(response)
    assert "canary" not in response.text
    assert echo["user_agent"] == "curl/8"
    assert echo["accept_header"] == "application/json"
    assert echo["all_headers"]["X-Custom"] == "kept"
    assert echo["all_headers"]["Authorization"] == "[redacted]"
    assert echo["remote_addr"] == "127.0.0.1"
    assert echo["request_id"] == "my-id.1" == response.headers["X-Request-ID"]


@pytest.mark.parametrize("sent", ["", "a b", "x" * 129, "<script>", "é"])
def test_an_insane_request_id_is_replaced(anonymous: Person, sent: str) -> None:
    response = anonymous.get("/welcome", headers={"X-Request-ID": sent.encode("utf-8").decode("latin-1")})
    assert response.headers["X-Request-ID"] != sent
    assert len(response.headers["X-Request-ID"]) == 32


def test_the_root_leads_to_swagger_ui(anonymous: Person) -> None:
    response = anonymous.client.get("/")
    assert response.status_code == 302
    assert response.headers["Location"] == "/api/"
    page = anonymous.client.get("/api/")
    assert page.status_code == 200
    assert "swagger-ui" in page.text


def test_answers_say_how_they_may_be_cached_and_by_what_they_vary(ada: Person) -> None:
    response = ada.get("/tasks")
    assert response.headers["Cache-Control"] == "private, no-cache"
    assert set(response.vary) == {"Authorization", "Cookie", "X-API-Key", "Accept"}
    assert ada.log_in().headers["Cache-Control"] == "no-store"
    assert "Retry-After" not in ada.log_in().headers


@pytest.mark.parametrize("path", ["/api/v1/health", "/health", "/health/"])
def test_a_living_process_says_so(anonymous: Person, path: str) -> None:
    response = anonymous.get(path)
    assert (response.status_code, response.get_json()) == (200, {"status": "ok"})


@pytest.mark.parametrize("path", ["/api/v1/health/ready", "/health/ready"])
def test_readiness_names_every_part(ada: Person, path: str) -> None:
    ada.create_task()
    response = ada.get(path)
    assert response.status_code == 200
    assert response.get_json() == {
        "status": "ok",
        "faults": [],
        "checks": {
            "database": "ok",
            "migrations": "ok",
            "redis": "ok",
            # Nothing has waited for them yet.
            "workers": "none",
            "scheduler": "none",
            "mail": "ok",
        },
        "workers": 0,
        "queue_depth": {"queued": 1},
        "upstreams": {},
    }


def test_without_redis_the_service_is_degraded_but_ready(
    remake_app: Callable[..., Flask], own_redis_server: RedisServer
) -> None:
    person = Person(remake_app(redis_url=own_redis_server.url))
    assert person.get("/health/ready").get_json()["status"] == "ok"
    own_redis_server.kill()
    response = person.get("/health/ready")
    assert response.status_code == 200
    assert response.get_json()["status"] == "degraded"
    assert response.get_json()["checks"]["redis"] == "down"
    assert response.get_json()["workers"] is None


@on_both
def test_without_a_database_the_service_is_not_ready(remake_app: Callable[..., Flask]) -> None:
    person = Person(remake_app(database_url="postgresql://nobody@127.0.0.1:1/none"))
    response = person.get("/health/ready")
    assert response.status_code == 503
    assert response.get_json()["checks"]["database"] == "down"
    assert response.headers["Retry-After"] == "5"
    assert person.get("/health").status_code == 200

    refused = person.post("/auth/login", {"username": "ada", "password": "whatever"})
    assert refused.status_code == 503
    assert refused.headers["Retry-After"] == "5"
    assert "127.0.0.1" not in refused.text


@on_both
def test_an_unmigrated_database_is_not_ready(
    remake_app: Callable[..., Flask], new_database_url: Callable[[], str]
) -> None:
    response = Person(remake_app(database_url=new_database_url())).get("/health/ready")
    assert response.status_code == 503
    assert response.get_json()["checks"]["migrations"] == "pending"


@on_sqlite
def test_a_list_that_needs_an_index_of_a_migration_that_is_pending_waits_for_it(app: Flask, admin: Person) -> None:
    """Other lists are answered meanwhile, but a load balancer sends none to a process that is not ready."""
    name = "ix_tasks_open_due_date_id"
    with app.app_context(), transaction() as session:
        made = session.scalar(text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name})
        session.execute(text(f"DROP INDEX {name}"))
    response = admin.get("/tasks?overdue=true")
    with app.app_context(), transaction() as session:
        # Another connection hears that the index is gone when it reads.
        assert session.scalar(text("SELECT count(*) FROM sqlite_master WHERE name = :name"), {"name": name}) == 0
        session.execute(text(made))
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert admin.get("/tasks?overdue=true").status_code == 200


@on_both
def test_a_database_that_a_newer_release_has_migrated_is_ready(app: Flask, anonymous: Person) -> None:
    with app.app_context(), transaction() as session:
        known = session.scalar(text("SELECT version_num FROM alembic_version"))
        session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    response = anonymous.get("/health/ready")
    with app.app_context(), transaction() as session:
        session.execute(text("UPDATE alembic_version SET version_num = :known"), {"known": known})
    assert response.status_code == 200
    assert response.get_json()["checks"]["migrations"] == "ahead"


def test_cors_is_off_unless_an_origin_is_configured(anonymous: Person, remake_app: Callable[..., Flask]) -> None:
    headers = {"Origin": "https://app.example.com"}
    assert "Access-Control-Allow-Origin" not in anonymous.get("/welcome", headers=headers).headers
    open_app = Person(remake_app(cors_origins=["https://app.example.com"]))
    allowed = open_app.get("/welcome", headers=headers).headers
    assert allowed["Access-Control-Allow-Origin"] == "https://app.example.com"
    refused = open_app.get("/welcome", headers={"Origin": "https://evil.example.com"}).headers
    assert "Access-Control-Allow-Origin" not in refused
