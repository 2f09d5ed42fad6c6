"""Upstreams over HTTP: what is relayed, what is refused, and what stays here."""

import logging
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from flask import Flask

from core.platform import clock
from core.platform.access import Role
from tests.support.answers import error
from tests.support.document import document_of
from tests.support.people import Person, make_person
from tests.support.upstream import UpstreamServer

CREDENTIALS = ("authorization", "cookie", "x-api-key", "proxy-authorization", "x-csrf-token")


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server


@pytest.fixture
def relaying(remake_app: Callable[..., Flask], server: UpstreamServer) -> Flask:
    """An application with two upstreams on one server: `far`, and `post`, which takes POST."""
    return remake_app(
        upstreams__far__base_url=server.url.replace("//", "//me:canary-1@") + "/far",
        upstreams__far__retries=0,
        upstreams__far__timeout_seconds=2,
        upstreams__far__breaker_failures=2,
        **{"upstreams.far.headers.x-key": "canary-2"},
        upstreams__post__base_url=f"{server.url}/post",
        upstreams__post__allow_post=True,
        upstreams__post__timeout_seconds=2,
    )


@pytest.fixture
def eve(relaying: Flask) -> Person:
    return make_person(relaying, "eve")


# --- the list -----------------------------------------------------------------------


def test_the_list_shows_names_and_states_and_nothing_of_how_they_are_reached(eve: Person) -> None:
    response = eve.get("/upstreams")
    assert response.status_code == 200
    assert response.get_json() == {
        "status": "success",
        "data": [
            {"name": "far", "state": "closed", "allow_post": False, "retry_after_seconds": None},
            {"name": "post", "state": "closed", "allow_post": True, "retry_after_seconds": None},
        ],
        "meta": {
            "pagination": {
                "page": 1,
                "per_page": 2,
                "pages": 1,
                "total": 2,
                "total_is_exact": True,
                "next_cursor": None,
            }
        },
    }


def test_without_configuration_the_list_is_empty(ada: Person) -> None:
    response = ada.get("/upstreams/")
    assert response.get_json()["data"] == []
    assert response.get_json()["meta"]["pagination"]["total"] == 0
    assert ada.get("/upstreams/far/x").status_code == 404


@pytest.mark.parametrize("query", ["page=1", "name=far", "sort=name"])
def test_the_list_takes_no_parameters(eve: Person, query: str) -> None:
    assert eve.get(f"/upstreams?{query}").status_code == 400


def test_strangers_learn_nothing(relaying: Flask, server: UpstreamServer) -> None:
    stranger = Person(relaying)
    for response in (
        stranger.get("/upstreams"),
        stranger.get("/upstreams/far/x"),
        stranger.get("/upstreams/nothing/x"),
        stranger.get("/upstreams/far/%2e%2e/x"),
        stranger.post("/upstreams/post/x", {}),
    ):
        assert response.status_code == 401
    assert server.seen == []


# --- relaying -------------------------------------------------------------------------


def test_a_get_is_relayed_with_any_query_and_answered_in_the_envelope(eve: Person, server: UpstreamServer) -> None:
    server.on("/far/towns/1", lambda request: request.say(b'{"price": 1.10, "big": 12345678901234567890123}'))
    response = eve.get("/upstreams/far/towns/1?stauts=a&page=0&stauts=b%26c&empty")
    assert response.status_code == 200
    assert response.data == b'{"status":"success","data":{"price": 1.10, "big": 12345678901234567890123}}'
    assert server.seen[0].target == "/far/towns/1?stauts=a&stauts=b%26c&page=0&empty="


@pytest.mark.parametrize("value", [None, [], "text", 5, [1, {"a": None}]])
def test_any_json_value_may_be_the_data(eve: Person, server: UpstreamServer, value: Any) -> None:
    server.on("/far/x", lambda request: request.say(value))
    assert eve.get("/upstreams/far/x").get_json() == {"status": "success", "data": value}


def test_nothing_of_the_caller_arrives_but_id_and_language(eve: Person, server: UpstreamServer) -> None:
    sent = {
        "Cookie": "session=canary",
        "X-API-Key": "canary",
        "Proxy-Authorization": "canary",
        "X-CSRF-TOKEN": "canary",
        "Idempotency-Key": "canary",
        "X-Forwarded-For": "canary",
        "Forwarded": "for=canary",
        "Connection": "X-Canary",
        "X-Canary": "canary",
        "Referer": "http://canary",
        "User-Agent": "canary",
        "Origin": "http://canary",
        "X-Request-ID": "find-me",
        "Accept-Language": "de-CH, de;q=0.9",
    }
    assert eve.get("/upstreams/post/x", headers=sent).status_code == 200
    assert eve.post("/upstreams/post/x", {"a": 1}, headers=sent).status_code == 200
    for seen in server.seen:
        assert "canary" not in str(seen.headers)
        assert eve.tokens["access_token"] not in str(seen.headers)
        assert not set(seen.headers) & set(CREDENTIALS)
        assert seen.headers["x-request-id"] == "find-me"
        assert seen.headers["accept-language"] == "de-CH, de;q=0.9"
        assert seen.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("language", ["de\x0b", "x" * 300, "\u00e9", "<script>"])
def test_a_strange_language_stays_here(eve: Person, server: UpstreamServer, language: str) -> None:
    assert eve.get("/upstreams/far/x", headers={"Accept-Language": language}).status_code == 200
    assert "accept-language" not in server.seen[0].headers


def test_nothing_of_the_upstream_comes_back_but_its_json(eve: Person, server: UpstreamServer) -> None:
    server.on(
        "/far/x",
        lambda request: request.say(
            {},
            Content_Type="application/vnd.x+json",
            Set_Cookie="a=b",
            Server="canary",
            Location="/x",
            X_Canary="canary",
        ),
    )
    response = eve.get("/upstreams/far/x")
    assert response.content_type == "application/json"
    assert "canary" not in str(response.headers)
    assert not {"Set-Cookie", "Location"} & set(response.headers.keys())


def test_configured_secrets_go_to_the_upstream_only(eve: Person, server: UpstreamServer) -> None:
    server.on("/far/bad", lambda request: request.say({}, 500))
    answers = [eve.get(path).text for path in ("/upstreams", "/upstreams/far/x", "/upstreams/far/bad", "/health/ready")]
    assert "canary" not in "".join(answers)
    assert server.seen[0].headers["x-key"] == "canary-2"
    assert server.seen[0].headers["authorization"].startswith("Basic ")


def test_the_log_of_the_client_library_tells_no_addresses(relaying: Flask) -> None:
    assert not logging.getLogger("httpx").isEnabledFor(logging.INFO)
    assert not logging.getLogger("httpcore").isEnabledFor(logging.DEBUG)


# --- POST -----------------------------------------------------------------------------


def test_a_post_is_relayed_as_it_was_sent_where_it_is_allowed(eve: Person, server: UpstreamServer) -> None:
    body = b' {"price": 1.10, "t": "\xc3\xa9"}'
    response = eve.post("/upstreams/post/a/b?dry=1", data=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.get_json()["data"]) == (200, {"path": "/post/a/b?dry=1"})
    seen = server.seen[0]
    assert (seen.method, seen.body, seen.headers["content-type"]) == ("POST", body, "application/json")


def test_a_post_is_403_where_it_is_not_allowed_and_is_not_sent(eve: Person, server: UpstreamServer) -> None:
    response = eve.post("/upstreams/far/x", {})
    assert (response.status_code, error(response)["code"]) == (403, "forbidden")
    assert eve.post("/upstreams/nothing/x", {}).status_code == 404
    assert server.seen == []


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE"])
def test_other_methods_are_405(eve: Person, server: UpstreamServer, method: str) -> None:
    assert eve.open(method, "/upstreams/post/x", {}).status_code == 405
    assert server.seen == []


BODIES = [
    (b"", "application/json", 400),
    (b"[]", "application/json", 400),
    (b'{"a": NaN}', "application/json", 400),
    (b'{"a": 1, "a": 2}', "application/json", 400),
    (b'{"a": "\\u0000"}', "application/json", 422),
    (b"{}", "text/plain", 415),
    (b'{"a": "' + b"x" * 1024 * 1024 + b'"}', "application/json", 413),
]


def test_a_body_is_read_as_strictly_as_anywhere(eve: Person, server: UpstreamServer) -> None:
    for body, kind, status in BODIES:
        response = eve.post("/upstreams/post/x", data=body, headers={"Content-Type": kind})
        assert response.status_code == status, body[:20]
    assert server.seen == []


# --- paths ------------------------------------------------------------------------------


HOSTILE = [
    "",
    "/",
    "..",
    "../post/x",
    "a/../../post/x",
    "%2e%2e/post/x",
    "%2E./x",
    "%252e%252e/x",
    "a%2fb",
    "a%2Fb",
    "..%2f..%2fx",
    "%2f%2fevil.example",
    "/evil.example/x",
    "a//b",
    "http://evil.example/x",
    "http:%2f%2fevil.example",
    "@evil.example",
    "%40evil.example/x",
    "a%5cb",
    "..%5cx",
    "a%3fb",
    "a%23b",
    "a%3bb",
    "a%00b",
    "a%0d%0aHost:%20evil.example",
    "a%ff",
    "%ed%a0%80",
    "%ef%bc%8e%ef%bc%8e/x",
    "%",
    "%zz",
    "x" * 1025,
]
QUERIES = [
    "url=http://evil.example",
    "../=..",
    "a=%00%0d%0a",
    "a=%EF%BF%BD",
    "a=b#c",
    "=&&=",
    "a=" + "%C3%A9" * 100,
]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_hostile_path_is_refused_and_never_sent(eve: Person, server: UpstreamServer, method: str) -> None:
    for path in HOSTILE:
        response = eve.open(method, f"/upstreams/post/{path}", {} if method == "POST" else None)
        assert response.status_code in (400, 404), path
        assert server.seen == [], path
        if response.status_code == 400:
            assert list(error(response)["details"]) == ["path"], path


def test_a_hostile_query_stays_a_query(eve: Person, server: UpstreamServer) -> None:
    for query in QUERIES:
        assert eve.get(f"/upstreams/far/x?{query}").status_code == 200, query
        assert server.seen[-1].target.split("?")[0] == "/far/x"
        assert server.seen[-1].headers["host"] == f"127.0.0.1:{server.port}"


def test_only_configured_names_exist(eve: Person, server: UpstreamServer) -> None:
    for name in ("nothing", "FAR", "far%20", "127.0.0.1", "..", "%2e%2e", "x" * 3000):
        assert eve.get(f"/upstreams/{name}/x").status_code == 404, name
    assert server.seen == []


def test_a_very_long_query_is_400(eve: Person, server: UpstreamServer) -> None:
    assert eve.get(f"/upstreams/far/x?a={'b' * 5000}").status_code == 400
    assert server.seen == []


# --- trouble ----------------------------------------------------------------------------


@pytest.mark.parametrize(("theirs", "ours"), [(400, 400), (401, 503), (403, 403), (404, 404), (409, 409), (422, 400)])
def test_a_refusal_of_the_upstream_is_told_with_its_status(
    eve: Person, server: UpstreamServer, theirs: int, ours: int
) -> None:
    server.on("/post/x", lambda request: request.say({"message": "canary"}, theirs, WWW_Authenticate="canary"))
    for response in (eve.get("/upstreams/post/x"), eve.post("/upstreams/post/x", {})):
        assert response.status_code == ours
        assert ours == 503 or error(response)["details"] == {"upstream_status": [str(theirs)]}
        assert "canary" not in response.text + str(response.headers)


def test_a_broken_upstream_is_503_until_its_breaker_closes(
    eve: Person, server: UpstreamServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.on("/far/x", lambda request: request.say(b"Traceback: canary", 500))
    now = time.monotonic()
    monkeypatch.setattr(clock, "monotonic", lambda: now)
    for count in (1, 2, 2):
        response = eve.get("/upstreams/far/x")
        assert response.status_code == 503
        assert error(response)["code"] == "unavailable"
        assert "canary" not in response.text
        assert "127.0.0.1" not in response.text
        assert len(server.seen) == count
    assert response.headers["Retry-After"] == "30"

    far = eve.get("/upstreams").get_json()["data"][0]
    assert (far["state"], far["retry_after_seconds"]) == ("open", 30)
    ready = eve.get("/health/ready")
    assert (ready.status_code, ready.get_json()["status"]) == (200, "ok")
    assert ready.get_json()["upstreams"] == {"far": "open", "post": "closed"}
    assert eve.get("/upstreams/post/x").status_code == 200

    monkeypatch.setattr(clock, "monotonic", lambda: now + 60)
    assert eve.get("/health/ready").get_json()["upstreams"]["far"] == "half_open"
    assert eve.get("/upstreams/far/fine").status_code == 200
    assert eve.get("/upstreams").get_json()["data"][0]["state"] == "closed"


def test_an_upstream_that_is_away_is_503_with_the_usual_patience(
    remake_app: Callable[..., Flask], server: UpstreamServer
) -> None:
    person = make_person(remake_app(upstreams__far__base_url="http://127.0.0.1:1", upstreams__far__retries=0), "zoe")
    response = person.get("/upstreams/far/x")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")


def test_a_redirect_is_not_followed(eve: Person, server: UpstreamServer) -> None:
    server.on("/far/x", lambda request: request.say({}, 302, Location=f"{server.url}/post/x"))
    response = eve.get("/upstreams/far/x")
    assert response.status_code == 503
    assert "Location" not in response.headers
    assert len(server.seen) == 1


def test_admins_have_no_more_rights_here(relaying: Flask, server: UpstreamServer) -> None:
    boss = make_person(relaying, "boss", Role.ADMIN)
    assert boss.post("/upstreams/far/x", {}).status_code == 403
    assert boss.get("/upstreams/far/..").status_code in (400, 404)


# --- the document -------------------------------------------------------------------------


def test_the_document_says_what_may_happen(app: Flask) -> None:
    item = document_of(app)["paths"]["/v1/upstreams/{name}/{path}"]
    assert {"200", "400", "401", "403", "404", "409", "503"} <= set(item["get"]["responses"])
    assert {"200", "403", "404", "409", "413", "415", "422", "503"} <= set(item["post"]["responses"])
    assert "query" in item["get"]["description"]
    data = document_of(app)["definitions"]["AnyValueResponse"]["properties"]["data"]
    assert "type" not in data
