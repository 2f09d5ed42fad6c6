"""Headers for browsers: policies, other origins, names of the service, and https."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from api.http.door.cors import SENT_HEADERS, SHOWN_HEADERS
from core.platform.config.errors import ConfigError
from core.platform.config.load import load_settings
from tests.support.people import Person

ORIGIN = "https://app.example.com"
STRICT = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def names(header: str) -> set[str]:
    return {name.strip() for name in header.split(",")}


def test_every_answer_forbids_browsers_what_an_answer_does_not_need(ada: Person) -> None:
    answers = [ada.get("/tasks"), ada.get("/tasks/abc"), ada.get("/tasks", token=""), ada.get("/health")]
    answers += [ada.client.get("/"), ada.client.get("/nothing"), ada.post("/tasks", {"title": ""})]
    for answer in answers:
        assert answer.headers["Content-Security-Policy"] == STRICT
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["X-Frame-Options"] == "DENY"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "Strict-Transport-Security" not in answer.headers
        assert "Server" not in answer.headers


def test_over_https_browsers_are_told_to_stay_there(anonymous: Person, remake_app: Callable[..., Flask]) -> None:
    secure = {"base_url": "https://tasks.example.com"}
    answer = anonymous.client.get("/api/v1/welcome", **secure)
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    silent = remake_app(hsts_seconds=0).test_client().get("/api/v1/welcome", **secure)
    assert "Strict-Transport-Security" not in silent.headers


# --- other origins --------------------------------------------------------------------


def preflight(app: Flask, origin: str, method: str, headers: str) -> Any:
    sent = {"Origin": origin, "Access-Control-Request-Method": method, "Access-Control-Request-Headers": headers}
    return app.test_client().options("/api/v1/tasks/1", headers=sent)


def test_pages_of_a_configured_origin_may_send_and_read_all_that_the_contract_has(
    ada: Person, remake_app: Callable[..., Flask]
) -> None:
    app = remake_app(cors_origins=[ORIGIN, "http://localhost:3000"], cors_credentials=True)
    wanted = (
        "authorization, content-type, idempotency-key, if-match, if-none-match, x-api-key, x-csrf-token, x-request-id"
    )
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        asked = preflight(app, ORIGIN, method, wanted)
        assert asked.status_code == 200
        assert asked.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert asked.headers["Access-Control-Allow-Credentials"] == "true"
        assert (
            names(asked.headers["Access-Control-Allow-Headers"]) == names(wanted) == {n.lower() for n in SENT_HEADERS}
        )
        assert method in names(asked.headers["Access-Control-Allow-Methods"])
        assert asked.headers["Access-Control-Max-Age"] == "7200"
        assert "Origin" in asked.vary
    person = ada.at(app)
    for path in ("/tasks", "/tasks/999"):  # Pages must be able to read errors as well.
        answer = person.get(path, headers={"Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert names(answer.headers["Access-Control-Expose-Headers"]) == set(SHOWN_HEADERS)
        assert "Origin" in answer.vary
    assert {"ETag", "Link", "Location", "Retry-After", "X-RateLimit-Remaining", "X-Request-ID"} <= set(SHOWN_HEADERS)
    assert {"Idempotency-Replayed", "Content-Disposition"} <= set(SHOWN_HEADERS)


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "https://app.example.com.evil.example",
        "https://appXexample.com",
        "null",
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://sub.app.example.com",
    ],
)
def test_no_other_origin_is_told_anything(remake_app: Callable[..., Flask], origin: str) -> None:
    app = remake_app(cors_origins=[ORIGIN])
    for answer in (
        preflight(app, origin, "GET", "authorization"),
        Person(app).get("/welcome", headers={"Origin": origin}),
    ):
        assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]
        # What is kept for one origin must not be shown to another.
        assert "Origin" in answer.vary


def test_any_origin_may_be_let_in_but_never_with_cookies(remake_app: Callable[..., Flask]) -> None:
    answer = Person(remake_app(cors_origins=["*"])).get("/welcome", headers={"Origin": "https://any.example"})
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert "Access-Control-Allow-Credentials" not in answer.headers
    with pytest.raises(ConfigError, match="cors_origins must name the origins"):
        load_settings("testing", overrides={"cors_origins": ["*"], "cors_credentials": True})


def test_asking_what_one_may_ask_is_not_counted(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(cors_origins=[ORIGIN], ratelimit_enabled=True, limits__address="3 per minute")
    assert {preflight(app, ORIGIN, "GET", "authorization").status_code for _ in range(6)} == {200}
    person = Person(app)
    answers = [person.get("/welcome", headers={"Origin": ORIGIN}) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert answers[3].headers["Access-Control-Allow-Origin"] == ORIGIN


# --- names ----------------------------------------------------------------------------


def test_only_the_names_of_the_service_are_answered(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(trusted_hosts=["tasks.example.com", ".internal.example"])
    client = app.test_client()
    for host in ("tasks.example.com", "tasks.example.com:8443", "TASKS.example.com", "a.b.internal.example"):
        assert client.get("/api/v1/welcome", headers={"Host": host}).status_code == 200, host
    for host in (
        "evil.example",
        "tasks.example.com.evil.example",
        "127.0.0.1",
        "",
        "a b",
        "tasks.example.com@evil",
        "[::1",
    ):
        for path in ("/api/v1/welcome", "/api/", "/", "/nothing", "/api/v1/tasks"):
            answer = client.get(path, headers={"Host": host, "X-Request-ID": "find-me"})
            assert answer.status_code == 400, (host, path)
            error = answer.get_json()["error"]
            assert (error["code"], error["request_id"]) == ("bad_request", "find-me")
            assert answer.headers["X-Request-ID"] == "find-me"
            assert "example" not in answer.text
    # Balancers ask by address.
    for path in ("/health", "/health/ready", "/api/v1/health", "/api/v1/health/ready/"):
        assert client.get(path, headers={"Host": "10.0.0.7:5000"}).status_code == 200, path


# --- https ----------------------------------------------------------------------------


def test_who_comes_by_http_is_sent_to_https_with_method_path_and_query(remake_app: Callable[..., Flask]) -> None:
    client = remake_app(https_redirect=True, trusted_proxies=1).test_client()
    by_http = {"X-Forwarded-Proto": "http", "Host": "tasks.example.com"}
    for method in ("GET", "POST", "DELETE"):
        answer = client.open("/api/v1/tasks/ä%2Fb?q=a%20b&x=%0d%0aSet-Cookie", method=method, headers=by_http)
        assert answer.status_code == 308
        place = "https://tasks.example.com/api/v1/tasks/%C3%A4/b?q=a%20b&x=%0d%0aSet-Cookie"
        assert answer.headers["Location"] == place
        assert answer.headers["Cache-Control"] == "no-store"
        assert "Strict-Transport-Security" not in answer.headers
    for path in ("/health", "/health/ready", "/api/v1/health/"):
        assert client.get(path, headers=by_http).status_code == 200
    by_https = {"X-Forwarded-Proto": "https", "Host": "tasks.example.com"}
    # Here the server would have set the scheme.
    assert client.get("/api/v1/welcome", headers=by_https, base_url="https://tasks.example.com").status_code == 200


def test_the_public_address_wins_over_the_host_that_was_asked(remake_app: Callable[..., Flask]) -> None:
    app = remake_app(https_redirect=True, trusted_proxies=1, public_url="https://tasks.example.com:8443")
    answer = app.test_client().get("/api/v1/welcome", headers={"X-Forwarded-Proto": "http", "Host": "evil.example"})
    assert answer.headers["Location"] == "https://tasks.example.com:8443/api/v1/welcome"


def test_nobody_is_redirected_in_a_circle(remake_app: Callable[..., Flask]) -> None:
    # Without a proxy nothing can speak https, and a proxy that does not say how people came would be asked for ever.
    no_proxy = remake_app(https_redirect=True).test_client()
    assert no_proxy.get("/api/v1/welcome", headers={"X-Forwarded-Proto": "http"}).status_code == 200
    silent = remake_app(https_redirect=True, trusted_proxies=1).test_client()
    assert silent.get("/api/v1/welcome").status_code == 200
