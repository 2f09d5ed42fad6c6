"""Browsers log in with a cookie, scripts of old with Basic credentials."""

import base64
from collections.abc import Callable
from datetime import timedelta
from http.cookies import Morsel, SimpleCookie
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import update

from core.auth.model import LoginSession
from core.platform import clock
from core.platform.database.session import transaction
from tests.support.answers import error
from tests.support.document import CheckedClient
from tests.support.people import PASSWORD, Person

SESSION = "tasklane_session"
CSRF = "tasklane_csrf"


class Browser:
    """Client that keeps cookies, and sends the CSRF token when asked to."""

    def __init__(self, app: Flask, scheme: str = "http") -> None:
        app.test_client_class = CheckedClient
        self.client: FlaskClient = app.test_client()
        self.base = f"{scheme}://localhost"
        self.csrf = ""

    def log_in(self, username: str = "ada", password: str = PASSWORD, **fields: Any) -> Any:
        response = self.open("POST", "/auth/session", {"username": username, "password": password, **fields})
        if response.status_code == 200:
            self.csrf = response.get_json()["data"]["csrf_token"]
        return response

    def open(self, method: str, path: str, body: Any = None, *, csrf: str | None = None, **kwargs: Any) -> Any:
        headers = {**({"X-CSRF-TOKEN": csrf} if csrf is not None else {}), **kwargs.pop("headers", {})}
        kwargs = {**kwargs, "json": body} if body is not None else kwargs
        return self.client.open(f"/api/v1{path}", method=method, headers=headers, base_url=self.base, **kwargs)

    def get(self, path: str) -> Any:
        return self.open("GET", path)

    def cookie(self, name: str, path: str) -> str:
        cookie = self.client.get_cookie(name, path=path)
        return cookie.value if cookie else ""


@pytest.fixture
def browser(app: Flask, ada: Person) -> Browser:
    browser = Browser(app)
    assert browser.log_in().status_code == 200
    return browser


def cookies(response: Any) -> dict[str, Morsel[str]]:
    jar: SimpleCookie = SimpleCookie()
    for header in response.headers.getlist("Set-Cookie"):
        jar.load(header)
    return dict(jar)


def refusal(response: Any) -> dict[str, Any]:
    """Return what was wrong, without the one thing that no two answers share."""
    return {name: value for name, value in error(response).items() if name != "request_id"}


# --- the cookies --------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("remember", [False, True, None])
def test_the_cookies_have_their_flags(app: Flask, ada: Person, scheme: str, remember: bool | None) -> None:
    browser = Browser(app, scheme)
    response = browser.log_in(**({} if remember is None else {"remember": remember}))
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store"
    body = response.get_json()["data"]
    assert (set(body), body["user_id"]) == ({"user_id", "csrf_token", "expires_at"}, ada.user_id)
    sent = cookies(response)
    assert set(sent) == {SESSION, CSRF}
    for morsel in sent.values():
        assert morsel["samesite"] == "Lax"
        assert bool(morsel["secure"]) == (scheme == "https")
        assert morsel["max-age"] == (str(30 * 24 * 3600) if remember else "")
        assert morsel["expires"] == "" or remember
        assert morsel["domain"] == ""
    assert (sent[SESSION]["httponly"], sent[SESSION]["path"]) == (True, "/api")
    assert (sent[CSRF]["httponly"], sent[CSRF]["path"]) == ("", "/")
    assert sent[CSRF].value == body["csrf_token"]
    claims = jwt.decode(sent[SESSION].value, options={"verify_signature": False})
    assert claims["type"] == "access"
    assert claims["exp"] - claims["iat"] == (30 * 24 if remember else 12) * 3600
    assert sent[SESSION].value not in response.text, "scripts must not see the token"


def test_the_session_in_the_database_ends_with_the_cookie(app: Flask, browser: Browser) -> None:
    assert browser.get("/auth/me").get_json()["data"]["username"] == "ada"
    with app.app_context(), transaction() as session:
        changed = session.execute(
            update(LoginSession)
            .where(LoginSession.expires_at < clock.now() + timedelta(hours=12, seconds=1))
            .values(expires_at=clock.now())
        )
        assert changed.rowcount == 1
    assert browser.get("/auth/me").status_code == 401


def test_a_login_elsewhere_sets_no_cookie(ada: Person) -> None:
    assert "Set-Cookie" not in ada.log_in().headers
    assert "Set-Cookie" not in ada.get("/auth/me").headers


def test_a_request_by_cookie_costs_what_one_by_token_costs(browser: Browser, statements: list[str]) -> None:
    statements.clear()
    assert browser.get("/tasks?cursor=").status_code == 200
    assert len(statements) == 2, statements


# --- refused logins -----------------------------------------------------------


def test_a_failed_login_is_the_same_by_every_way_in(app: Flask, ada: Person, admin: Person, bob: Person) -> None:
    admin.patch(f"/users/{bob.user_id}", {"is_active": False})
    answers = [ada.post("/auth/login", {"username": "ada", "password": "wrong"}, token="")]
    for name, password in [("ada", "wrong"), ("nobody", "wrong"), ("bob", PASSWORD), ("ada", "")]:
        answers.append(Browser(app).log_in(name, password))
        answers.append(basic(Person(app), name, password))
    first = refusal(answers[0])
    for answer in answers[1:]:
        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        assert "Set-Cookie" not in answer.headers
        assert refusal(answer) == first


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({}, 400),
        ({"username": "ada"}, 400),
        ({"password": PASSWORD}, 400),
        ({"username": "ada", "password": PASSWORD, "remember": "yes"}, 422),
        ({"username": "ada", "password": PASSWORD, "remember": None}, 422),
        ({"username": "ada", "password": PASSWORD, "remember": 1}, 422),
        ({"username": "ada\x00", "password": PASSWORD}, 422),
        ({"username": "\ud800", "password": PASSWORD}, 422),
        ({"username": ["ada"], "password": PASSWORD}, 422),
        ({"username": "ada", "password": PASSWORD, "rember": True}, 422),
    ],
)
def test_a_wrong_body_opens_no_session(app: Flask, ada: Person, body: dict[str, Any], status: int) -> None:
    response = Browser(app).open("POST", "/auth/session", body)
    assert response.status_code == status
    assert "Set-Cookie" not in response.headers


def test_a_form_of_another_site_cannot_log_a_browser_in(app: Flask, ada: Person) -> None:
    form = {"username": "ada", "password": PASSWORD}
    assert Browser(app).open("POST", "/auth/session", data=form).status_code == 415


def test_all_ways_in_share_one_limit(app: Flask, ada: Person, remake_app: Callable[..., Flask]) -> None:
    limited = remake_app(ratelimit_enabled=True)
    person, browser = Person(limited), Browser(limited)
    assert browser.log_in("ada", "wrong").status_code == 401
    assert browser.log_in(" ADA ", "wrong").status_code == 401
    assert basic(person, "ada", "wrong").status_code == 401
    assert basic(person, "Ada ", "wrong").status_code == 401
    assert person.post("/auth/login", {"username": "ada", "password": "wrong"}).status_code == 401
    for response in (browser.log_in(), basic(person, "ada", PASSWORD)):
        assert response.status_code == 429
        assert int(response.headers["Retry-After"]) > 0
    assert basic(person, "nobody", "wrong").status_code == 401
    assert browser.open("DELETE", "/auth/session").status_code == 401, "ending a session is not an attempt"


# --- CSRF ---------------------------------------------------------------------


def test_reading_by_cookie_needs_no_csrf_token_and_changing_does(browser: Browser) -> None:
    assert browser.get("/tasks").status_code == 200
    created = browser.open("POST", "/tasks", {"title": "By browser"}, csrf=browser.csrf)
    assert created.status_code == 201
    path = f"/tasks/{created.get_json()['data']['id']}"
    assert browser.open("PATCH", path, {"title": "Again"}, csrf=browser.csrf).status_code == 200
    put = {"title": "Once more", "status": "completed"}
    assert browser.open("PUT", path, put, csrf=browser.csrf).status_code == 200
    assert browser.open("DELETE", path, csrf=browser.csrf).status_code == 204


@pytest.mark.parametrize("csrf", [None, "", "wrong", "\xe9", "0" * 36, "a" * 5000])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_a_change_without_the_right_csrf_token_is_refused(
    ada: Person, browser: Browser, method: str, csrf: str | None
) -> None:
    task = ada.create_task()
    path = "/tasks" if method == "POST" else f"/tasks/{task['id']}"
    body = None if method == "DELETE" else {"title": "Forged", "status": "completed"}
    response = browser.open(method, path, body, csrf=csrf)
    assert response.status_code == 403
    assert refusal(response)["code"] == "forbidden"
    assert ada.get("/tasks").get_json()["data"] == [task]


def test_the_csrf_token_of_another_session_is_wrong(app: Flask, bob: Person, browser: Browser) -> None:
    other = Browser(app)
    other.log_in("bob")
    assert browser.open("POST", "/tasks", {"title": "x"}, csrf=other.csrf).status_code == 403
    # Nor does it help to plant a cookie: the token is compared with the signed one.
    browser.client.set_cookie(CSRF, "planted", path="/")
    assert browser.open("POST", "/tasks", {"title": "x"}, csrf="planted").status_code == 403


def test_a_csrf_token_in_a_form_field_does_not_count(browser: Browser) -> None:
    assert browser.open("POST", "/tasks", data={"csrf_token": browser.csrf}).status_code == 403


def test_a_header_needs_no_csrf_token_and_wins_over_the_cookie(bob: Person, browser: Browser) -> None:
    headers = {"Authorization": f"Bearer {bob.tokens['access_token']}"}
    created = browser.open("POST", "/tasks", {"title": "By token"}, headers=headers)
    assert created.get_json()["data"]["owner_id"] == bob.user_id
    assert browser.open("GET", "/auth/me", headers={"Authorization": "Bearer x"}).status_code == 401
    made = bob.post("/auth/keys", {"name": "x", "scopes": ["tasks:write"]}).get_json()["data"]
    by_key = browser.open("POST", "/tasks", {"title": "By key"}, headers={"X-API-Key": made["key"]})
    assert by_key.get_json()["data"]["owner_id"] == bob.user_id
    assert browser.open("GET", "/auth/me", headers={"X-API-Key": "tl_x"}).status_code == 401


# --- ending -------------------------------------------------------------------


def test_ending_the_session_clears_the_cookies_and_is_final(app: Flask, browser: Browser) -> None:
    token, csrf = browser.cookie(SESSION, "/api"), browser.csrf
    assert browser.open("DELETE", "/auth/session").status_code == 403
    response = browser.open("DELETE", "/auth/session", csrf=csrf)
    assert (response.status_code, response.data) == (204, b"")
    cleared = cookies(response)
    assert set(cleared) == {SESSION, CSRF}
    assert all(morsel.value == "" and morsel["expires"] for morsel in cleared.values())
    assert browser.cookie(SESSION, "/api") == browser.cookie(CSRF, "/") == ""
    assert browser.get("/auth/me").status_code == 401
    browser.client.set_cookie(SESSION, token, path="/api")
    assert browser.get("/auth/me").status_code == 401, "a stolen copy is worthless too"
    assert browser.open("DELETE", "/auth/session", csrf=csrf).status_code == 401


def test_nothing_is_refreshed_by_cookie(browser: Browser) -> None:
    response = browser.open("POST", "/auth/refresh", csrf=browser.csrf)
    assert response.status_code == 401
    assert browser.get("/auth/me").status_code == 200


def test_a_password_change_by_cookie_keeps_this_session_only(ada: Person, browser: Browser) -> None:
    body = {"old_password": PASSWORD, "new_password": "an even longer one"}
    assert browser.open("POST", "/auth/password", body).status_code == 403
    assert browser.open("POST", "/auth/password", body, csrf=browser.csrf).status_code == 204
    assert browser.get("/auth/me").status_code == 200
    assert ada.get("/auth/me").status_code == 401


def test_a_deactivation_locks_a_browser_out_at_once(ada: Person, admin: Person, browser: Browser) -> None:
    admin.patch(f"/users/{ada.user_id}", {"is_active": False})
    assert browser.get("/auth/me").status_code == 401
    assert browser.open("POST", "/tasks", {"title": "x"}, csrf=browser.csrf).status_code == 401


@pytest.mark.parametrize("value", ["", "x", "a.b.c", "\xe9", '"', "x" * 3000])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_broken_cookie_is_401(app: Flask, ada: Person, value: str, method: str) -> None:
    header = f"{SESSION}={value}".encode().decode("latin-1")
    headers = {"Cookie": header, "X-CSRF-TOKEN": "x"}
    response = Person(app).open(method, "/tasks", {"title": "x"} if method == "POST" else None, headers=headers)
    assert response.status_code == 401
    assert refusal(response)["message"]


def test_a_refresh_token_is_no_cookie(app: Flask, ada: Person) -> None:
    headers = {"Cookie": f"{SESSION}={ada.tokens['refresh_token']}"}
    assert Person(app).get("/tasks", headers=headers).status_code == 401


# --- Basic --------------------------------------------------------------------


def basic(person: Person, username: str, password: str, **kwargs: Any) -> Any:
    credentials = base64.b64encode(f"{username}:{password}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    return person.post(kwargs.pop("path", "/auth/login"), kwargs.pop("body", None), headers=headers, **kwargs)


FAR = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.mark.parametrize(
    "environ",
    [
        {"REMOTE_ADDR": "127.0.0.1"},
        {"REMOTE_ADDR": "127.8.9.1"},
        {"REMOTE_ADDR": "::1"},
        {"REMOTE_ADDR": "::ffff:127.0.0.1"},
        {**FAR, "wsgi.url_scheme": "https"},
    ],
)
def test_basic_credentials_log_in_over_https_or_from_this_machine(
    ada: Person, anonymous: Person, environ: dict[str, str]
) -> None:
    response = basic(anonymous, "ada", PASSWORD, environ_overrides=environ)
    assert response.status_code == 200
    assert anonymous.get("/auth/me", token=response.get_json()["access_token"]).status_code == 200


@pytest.mark.parametrize("address", ["192.0.2.7", "::ffff:192.0.2.7", "2001:db8::1", "", "unix:", "127.0.0.1.example"])
@pytest.mark.parametrize("password", [PASSWORD, "wrong"])
def test_basic_credentials_in_the_clear_are_refused_unseen(
    ada: Person, anonymous: Person, address: str, password: str
) -> None:
    response = basic(anonymous, "ada", password, environ_overrides={"REMOTE_ADDR": address})
    assert response.status_code == 400
    assert refusal(response) == {
        "message": "Basic credentials are only accepted over HTTPS.",
        "code": "bad_request",
    }


def test_basic_credentials_open_nothing_but_the_login(ada: Person, anonymous: Person) -> None:
    assert basic(anonymous, "ada", PASSWORD, path="/tasks", body={"title": "x"}).status_code == 401
    assert basic(anonymous, "ada", PASSWORD, path="/auth/session").status_code == 400
    assert basic(anonymous, "ada", PASSWORD, path="/auth/refresh").status_code == 401
    headers = {"Authorization": "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()}
    assert anonymous.get("/tasks", headers=headers).status_code == 401


def test_a_body_counts_more_than_basic_credentials(ada: Person, bob: Person, anonymous: Person) -> None:
    response = basic(anonymous, "ada", PASSWORD, body={"username": "bob", "password": "wrong"})
    assert response.status_code == 401
    form = {"grant_type": "password", "username": "ada", "password": PASSWORD}
    # Swagger UI sends an empty client id and secret as Basic credentials.
    assert basic(anonymous, "", "", data=form).status_code == 200
    assert basic(anonymous, "", "", data=form, environ_overrides=FAR).status_code == 200


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("Basic", 401),
        ("Basic !", 400),
        ("Basic " + base64.b64encode(b"\xff\xfe:x").decode(), 400),
        ("Basic " + base64.b64encode(b"no colon").decode(), 401),
        ("Basic " + base64.b64encode(b":").decode(), 401),
        ("Basic " + base64.b64encode(b"ada\x00:x").decode(), 422),
        ("Basic " + base64.b64encode(b"ada:" + b"x" * 10_000).decode(), 401),
        ("Digest username=ada", 400),
        ("Bearer x", 400),
        ("", 400),
    ],
)
def test_broken_basic_credentials_are_refused(ada: Person, anonymous: Person, header: str, status: int) -> None:
    assert anonymous.post("/auth/login", headers={"Authorization": header}).status_code == status


def test_a_form_with_what_cannot_be_stored_is_refused_on_every_engine(ada: Person, anonymous: Person) -> None:
    form = {"grant_type": "password", "username": "ada\x00", "password": PASSWORD}
    response = anonymous.post("/auth/login", data=form)
    assert response.status_code == 400
    assert response.get_json()["error"] == "invalid_request"
    assert "username" in response.get_json()["error_description"]
