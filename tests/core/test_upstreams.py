"""Upstreams below HTTP: deadlines, retries, breaker, cache, and what is never sent."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from core.platform import clock
from core.platform.access import Actor, Role
from core.platform.cache.memory import MemoryCache
from core.platform.config.errors import ConfigError, ConfigWarning
from core.platform.config.keys import is_secret, is_url
from core.platform.config.load import ROOT, load_settings
from core.platform.config.settings import Settings
from core.platform.config.upstreams import UpstreamSettings
from core.platform.errors import Conflict, DomainError, Forbidden, Malformed, NotFound, Unavailable
from core.upstreams import address, client, transport
from core.upstreams import service as upstreams
from core.upstreams.breaker import Breaker, BreakerState
from core.upstreams.cache import fresh_seconds
from core.upstreams.registry import Registry
from tests.support.commands import Operator
from tests.support.settings import Load, new_project
from tests.support.upstream import Behaviour, Handler, UpstreamServer, connecting

ACTOR = Actor(1, Role.USER)


class Time:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.moved = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.moved


@pytest.fixture
def moving(monkeypatch: pytest.MonkeyPatch) -> Time:
    moving = Time()
    monkeypatch.setattr(clock, "monotonic", moving)
    return moving


@pytest.fixture
def server() -> Iterator[UpstreamServer]:
    with UpstreamServer() as server:
        yield server


@pytest.fixture
def connect() -> Iterator[Callable[..., Registry]]:
    """Return a function that configures one upstream called `far`, impatient unless told otherwise."""
    patience = {"timeout_seconds": 2.0, "read_timeout_seconds": 1.0, "retries": 0, "retry_pause_seconds": 0}
    with connecting(**patience) as make:
        yield make


Connect = Callable[..., Registry]


def read(registry: Registry, path: str = "x", **parameters: str) -> bytes:
    return upstreams.read(
        ACTOR, registry=registry, name="far", path=path, parameters={k: [v] for k, v in parameters.items()}
    )


def send(registry: Registry, path: str = "x", body: bytes = b"{}") -> bytes:
    return upstreams.send(ACTOR, registry=registry, name="far", path=path, parameters={}, body=body)


def state(registry: Registry) -> str:
    return registry.states()["far"]


# --- what is relayed ----------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        b'{"price": 19.90, "exact": 0.1000000000000000055511151231257827, "big": 123456789012345678901234567890}',
        b' [1, null, "\xc3\xa9\\u2028"] \n',
        b'"text"',
        b"null",
    ],
)
def test_json_is_relayed_as_it_was_sent(server: UpstreamServer, connect: Connect, text: bytes) -> None:
    server.on("/x", lambda request: request.say(text))
    assert read(connect(server.url)) == text


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "application/problem+json", "Application/HAL+JSON"]
)
def test_json_has_several_names(server: UpstreamServer, connect: Connect, kind: str) -> None:
    server.on("/x", lambda request: request.say([1], Content_Type=kind))
    assert read(connect(server.url)) == b"[1]"


def test_the_base_url_and_the_query_are_kept(server: UpstreamServer, connect: Connect) -> None:
    registry = connect(f"{server.url}/a%20b/v1/")
    read(registry, "towns/São Paulo/", q="a&b=c#d?e/f", fmt="+ %00")
    assert server.seen[0].target == "/a%20b/v1/towns/S%C3%A3o%20Paulo/?q=a%26b%3Dc%23d%3Fe%2Ff&fmt=%2B+%2500"


def test_connections_are_used_again(server: UpstreamServer, connect: Connect) -> None:
    registry = connect(server.url)
    for _ in range(3):
        read(registry)
    assert len({seen.connection for seen in server.seen}) == 1


def test_a_post_without_an_answer_is_null(server: UpstreamServer, connect: Connect) -> None:
    server.on("/x", lambda request: request.raw(b"HTTP/1.1 204 No Content\r\n\r\n"))
    assert send(connect(server.url, allow_post=True)) == b"null"


# --- what is never sent ---------------------------------------------------------------

HOSTILE = [
    "",
    ".",
    "..",
    "../x",
    "a/../x",
    "a/..",
    "a/./b",
    "...",
    " . ",
    "//evil.example/x",
    "/x",
    "a//b",
    "a/",  # Followed by a second slash below.
    "http://evil.example/x",
    "https:/evil.example",
    "@evil.example/x",
    "user:pw@evil.example",
    "x@y",
    "%2e%2e/x",
    "a%2fb",
    "%252e%252e",
    "a\\b",
    "..\\x",
    "\\\\evil.example",
    "a?b",
    "a#b",
    "a;b",
    "..;/x",
    "a\x00b",
    "a\r\nHost: evil.example",
    "a\tb",
    "a\x7fb",
    "a\u0085b",
    "\ud800",
    "\ufffd",
    "\u202e",
    "\uff0e\uff0e/x",  # Full-width dots.
    "a\uff0fb",  # A full-width slash.
    "a\u2215b",  # A division slash.
    "a\u2024\u2024/x",  # One-dot leaders.
    "a" * 1025,
    "a/" * 600,
]


@pytest.mark.parametrize("path", HOSTILE, ids=lambda path: repr(path[:20]))
def test_a_path_that_could_lead_elsewhere_is_refused_and_not_sent(
    server: UpstreamServer, connect: Connect, path: str
) -> None:
    registry = connect(f"{server.url}/base", allow_post=True)
    path = path + "/" if path == "a/" else path
    for ask in (read, send):
        with pytest.raises(Malformed) as caught:
            ask(registry, path)
        assert list(caught.value.details or {}) == ["path"]
    assert server.seen == []


@pytest.mark.parametrize("path", ["a:b", "evil.example:80", "-", "a=b,c", "a b", "日本", "e\u0301", "..a", "1.2", "a/"])
def test_a_plain_path_stays_below_the_base(path: str) -> None:
    base = address.base_of("http://user:pw@host.example:8080/base")
    found = address.below(base, path, {"http://evil.example/": ["../", "\x00\r\n"]})
    assert (found.scheme, found.host, found.port, found.userinfo) == ("http", "host.example", 8080, b"")
    assert found.raw_path.startswith(b"/base/")
    assert found.raw_path.isascii()
    assert b"\r" not in found.raw_path


def test_a_very_long_query_is_refused(server: UpstreamServer, connect: Connect) -> None:
    with pytest.raises(Malformed):
        read(connect(server.url), q="x" * 5000)
    assert server.seen == []


def test_credentials_in_the_base_url_go_into_a_header_and_nowhere_else(
    server: UpstreamServer, connect: Connect, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    server.on("/bad", lambda request: request.say(b"no", 500))
    registry = connect(server.url.replace("//", "//me:canary@"), headers={"x-key": "canary"})
    read(registry)
    assert server.seen[0].headers["authorization"].startswith("Basic ")
    assert server.seen[0].headers["host"] == f"127.0.0.1:{server.port}"
    with pytest.raises(Unavailable) as caught:
        read(registry, "bad")
    shown = caplog.text + repr(caught.value) + repr(upstreams.list_all(ACTOR, registry=registry))
    assert "canary" not in shown + repr(registry.find("far"))
    assert not any("127.0.0.1" in r.getMessage() for r in caplog.records if r.name.startswith("tasklane"))


def test_the_environment_changes_nothing(
    server: UpstreamServer, connect: Connect, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login me password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    read(connect(server.url))
    assert "authorization" not in server.seen[0].headers


def test_cookies_of_an_upstream_are_not_kept(server: UpstreamServer, connect: Connect) -> None:
    server.on("/x", lambda request: request.say({}, Set_Cookie="session=1; Path=/"))
    registry = connect(server.url)
    read(registry)
    read(registry)
    assert "cookie" not in server.seen[1].headers


def test_configured_headers_win_over_what_the_caller_sent(server: UpstreamServer, connect: Connect) -> None:
    registry = connect(server.url, headers={"accept-language": "eo", "x-key": "1"})
    upstreams.read(ACTOR, registry=registry, name="far", path="x", parameters={}, language="de")
    assert (server.seen[0].headers["accept-language"], server.seen[0].headers["x-key"]) == ("eo", "1")


# --- upstreams that misbehave -----------------------------------------------------------


def _claims_more(request: Handler) -> None:
    request.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n[]")
    request.reset()


def _drips(request: Handler) -> None:
    request.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n[")
    while not request.wait_for_the_end(0.02):
        request.raw(b" ")


def _drips_its_head(request: Handler) -> None:
    request.raw(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    while not request.wait_for_the_end(0.02):
        request.raw(b"x")


def _interim_for_ever(request: Handler) -> None:
    while not request.wait_for_the_end(0.02):
        request.raw(b"HTTP/1.1 100 Continue\r\n\r\n")


def _huge(request: Handler) -> None:
    request.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(200):
        request.raw(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def _head(text: str) -> Behaviour:
    return lambda request: request.raw(text.encode().replace(b"\n", b"\r\n") + b"\r\n\r\n")


FAILING: dict[str, Behaviour] = {
    "500": lambda request: request.say({}, 500),
    "broken JSON": lambda request: request.say(b'{"a": 1'),
    "NaN": lambda request: request.say(b"[NaN]"),
    "infinity": lambda request: request.say(b"[1e999]"),
    "two values": lambda request: request.say(b"{}{}"),
    "no UTF-8": lambda request: request.say(b'"\xff"'),
    "half a character": lambda request: request.say(b'"\\ud800"'),
    "a byte order mark": lambda request: request.say(b"\xef\xbb\xbf{}"),
    "deep": lambda request: request.say(b"[" * 100_000),
    "nothing": lambda request: request.say(b""),
    "claims more than it sends": _claims_more,
    "claims less than it sends": lambda request: request.say(b"[1, 2]", Content_Length="3"),
    "resets": lambda request: request.reset(),
    "hangs": lambda request: request.wait_for_the_end() and None,
    "drips": _drips,
    "drips its head": _drips_its_head,
    "interim answers for ever": _interim_for_ever,
    "no HTTP": lambda request: request.raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
    "switches": _head("HTTP/1.1 101 Switching Protocols\nUpgrade: x\nConnection: upgrade"),
    "two lengths": _head("HTTP/1.1 200 OK\nContent-Length: 1\nContent-Length: 2"),
    "endless head": lambda request: request.raw(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000),
}

UNUSABLE: dict[str, Behaviour] = {
    "redirect": lambda request: request.say({}, 302, Location="http://evil.example/"),
    "redirect to itself": lambda request: request.say({}, 307, Location="/x"),
    "not modified": _head("HTTP/1.1 304 Not Modified"),
    "HTML": lambda request: request.say(b"<p>[1]</p>", Content_Type="text/html"),
    "JSON called text": lambda request: request.say([], Content_Type="text/plain"),
    "compressed": lambda request: request.say(b"[]", Content_Encoding="gzip"),
    "huge": _huge,
    "huge by its length": lambda request: request.say(b"[" + b" " * 2_000_000 + b"]"),
}


@pytest.mark.parametrize("method", [read, send])
@pytest.mark.parametrize("behaviour", FAILING)
def test_a_failing_upstream_is_unavailable_in_time_and_opens_the_breaker(
    server: UpstreamServer, connect: Connect, behaviour: str, method: Any
) -> None:
    server.on("/x", FAILING[behaviour])
    registry = connect(server.url, timeout_seconds=0.3, read_timeout_seconds=0.2, breaker_failures=1, allow_post=True)
    began = time.monotonic()
    with pytest.raises(Unavailable) as caught:
        method(registry)
    assert time.monotonic() - began < 1.5
    assert "127.0.0.1" not in caught.value.message
    assert state(registry) == "open"
    server.wait_for(1)
    assert len(server.seen) == 1


@pytest.mark.parametrize("behaviour", UNUSABLE)
def test_an_answer_that_is_not_relayed_says_nothing_about_whether_the_upstream_works(
    server: UpstreamServer, connect: Connect, behaviour: str
) -> None:
    server.on("/x", UNUSABLE[behaviour])
    registry = connect(server.url, breaker_failures=1, retries=2)
    with pytest.raises(Unavailable):
        read(registry)
    assert state(registry) == "closed", "one user's wrong path must not take the upstream from all"
    assert len(server.seen) == 1, "neither followed nor repeated"
    assert read(registry, "fine")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "http://nowhere.invalid", "https://127.0.0.1:{port}", "http://[::1]:1"]
)
def test_an_upstream_that_is_gone_is_unavailable(server: UpstreamServer, connect: Connect, url: str) -> None:
    with pytest.raises(Unavailable):
        read(connect(url.format(port=server.port)))


def test_certificates_are_verified() -> None:
    context = transport.tls_context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_answer_after_a_lie_is_not_what_was_left_of_it(server: UpstreamServer, connect: Connect) -> None:
    smuggled = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 6\r\n\r\n"evil"'
    server.on("/lie", lambda request: request.say(b"[]" + smuggled, Content_Length="2"))
    chunked = (
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"
    )
    server.on("/chunks", lambda request: request.raw(chunked + smuggled))
    registry = connect(server.url)
    for path in ("lie", "chunks"):
        assert read(registry, path) == b"[]"
        assert read(registry, "x") == b'{"path": "/x"}'


def test_an_upstream_that_answers_too_much_is_not_read_to_the_end(server: UpstreamServer, connect: Connect) -> None:
    written: list[int] = []

    def flood(request: Handler) -> None:
        request.raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
        while not server.over.is_set():
            request.raw(b" " * 65536)
            written.append(65536)

    server.on("/x", flood)
    with pytest.raises(Unavailable):
        read(connect(server.url, max_bytes=10_000, timeout_seconds=30))
    assert sum(written) < 50_000_000


def test_many_at_once_do_not_take_all_threads(server: UpstreamServer, connect: Connect) -> None:
    server.on("/slow", lambda request: (request.wait_for_the_end(), request.say({}))[1])
    registry = connect(server.url, parallel=2)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(read, registry, "slow") for _ in range(2)]
        while len(server.seen) < 2:
            time.sleep(0.005)
        with pytest.raises(Unavailable):
            read(registry)
        server.over.set()
        assert [future.result() for future in waiting] == [b"{}", b"{}"]
    assert read(registry)
    assert state(registry) == "closed"


# --- refusals of the upstream -----------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, Malformed),
        (401, Unavailable),
        (403, Forbidden),
        (404, NotFound),
        (405, Malformed),
        (407, Unavailable),
        (409, Conflict),
        (410, NotFound),
        (418, Malformed),
        (422, Malformed),
        (429, Unavailable),
        (499, Malformed),
    ],
)
def test_a_refusal_is_told_with_its_status_and_without_its_words(
    server: UpstreamServer, connect: Connect, status: int, kind: type[DomainError]
) -> None:
    server.on("/x", lambda request: request.say({"secret": "canary"}, status))
    registry = connect(server.url, breaker_failures=1, retries=2)
    with pytest.raises(kind) as caught:
        read(registry)
    assert "canary" not in repr((caught.value.message, caught.value.details))
    assert kind is Unavailable or caught.value.details == {"upstream_status": [str(status)]}
    assert state(registry) == "closed"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("status", "sent", "told"),
    [
        (503, "7", 7),
        (503, "999999", 999999),
        (503, "soon", None),
        (503, "Fri, 20 Nov 2026 09:30:00 GMT", 41),
        (503, "Fri, 20 Nov 2026 09:00:00 GMT", 1),
        (429, "9", 9),
    ],
)
def test_the_upstream_may_say_when_to_come_back(
    server: UpstreamServer,
    connect: Connect,
    at: Callable[[str], None],
    status: int,
    sent: str,
    told: int | None,
) -> None:
    at("2026-11-20T09:29:19.500000+00:00")
    server.on("/x", lambda request: request.say({}, status, Retry_After=sent))
    with pytest.raises(Unavailable) as caught:
        read(connect(server.url, retries=3 if told else 0))
    assert caught.value.retry_after == told
    assert len(server.seen) == 1, "an upstream that says when to come back is not asked before"


def test_an_unknown_name_is_not_found(connect: Connect) -> None:
    with pytest.raises(NotFound):
        upstreams.read(ACTOR, registry=connect("http://x.invalid"), name="near", path="x", parameters={})


# --- retries ----------------------------------------------------------------------------


def failing_until(count: int, behave: Behaviour) -> Behaviour:
    seen = []

    def answer(request: Handler) -> None:
        seen.append(1)
        if len(seen) > count:
            request.say({"tries": len(seen)})
        else:
            behave(request)

    return answer


@pytest.mark.parametrize("behaviour", ["503", "resets"])
def test_a_get_is_tried_again_and_a_post_is_not(server: UpstreamServer, connect: Connect, behaviour: str) -> None:
    behave: Behaviour = FAILING["resets"] if behaviour == "resets" else lambda request: request.say({}, 503)
    server.on("/x", failing_until(2, behave))
    registry = connect(server.url, retries=2, allow_post=True)
    assert read(registry) == b'{"tries": 3}'
    server.on("/x", failing_until(1, behave))
    with pytest.raises(Unavailable):
        send(registry)
    assert [seen.method for seen in server.seen] == ["GET", "GET", "GET", "POST"]


def test_retries_are_bounded_by_number_and_by_time(
    server: UpstreamServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    server.on("/x", lambda request: request.say({}, 503))
    with pytest.raises(Unavailable):
        read(connect(server.url, retries=3, retry_pause_seconds=0.1))
    assert (len(server.seen), pauses) == (4, [0.1, 0.2, 0.4])
    with pytest.raises(Unavailable):
        read(connect(server.url, retries=3, retry_pause_seconds=5, timeout_seconds=2))
    assert (len(server.seen), len(pauses)) == (5, 3)


def test_all_tries_together_have_one_deadline(server: UpstreamServer, connect: Connect) -> None:
    server.on("/x", FAILING["hangs"])
    began = time.monotonic()
    with pytest.raises(Unavailable):
        read(connect(server.url, retries=10, read_timeout_seconds=0.1, timeout_seconds=0.25))
    assert time.monotonic() - began < 1
    assert len(server.seen) <= 3


def test_what_will_not_pass_is_not_tried_again(server: UpstreamServer, connect: Connect) -> None:
    server.on("/x", FAILING["broken JSON"])
    with pytest.raises(Unavailable):
        read(connect(server.url, retries=3))
    assert len(server.seen) == 1


# --- the breaker ------------------------------------------------------------------------


def test_the_breaker_opens_waits_tries_once_and_closes(server: UpstreamServer, connect: Connect, moving: Time) -> None:
    registry = connect(server.url, breaker_failures=3, breaker_seconds=30, retries=2)
    server.on("/x", lambda request: request.say({}, 500))

    told = []
    for _ in range(3):
        assert state(registry) == "closed"
        with pytest.raises(Unavailable) as failed:
            read(registry)
        told.append(failed.value.retry_after)
    assert told == [None, None, 30], "whoever makes it open hears for how long"
    assert (state(registry), len(server.seen)) == ("open", 3)

    with pytest.raises(Unavailable) as caught:
        read(registry, "fine")
    assert caught.value.retry_after == 30
    assert len(server.seen) == 3, "an open breaker sends nothing"

    moving.moved += 20
    assert upstreams.list_all(ACTOR, registry=registry)[0]["retry_after_seconds"] == 10
    moving.moved += 10
    assert state(registry) == "half_open"
    server.on("/x", lambda request: request.say({}, 503))
    with pytest.raises(Unavailable):
        read(registry)
    assert (state(registry), len(server.seen)) == ("open", 4), "one trial, without retries"

    moving.moved += 30
    assert read(registry, "fine")
    assert state(registry) == "closed"


def test_only_failures_in_a_row_open_the_breaker(server: UpstreamServer, connect: Connect) -> None:
    server.on("/bad", lambda request: request.say({}, 500))
    registry = connect(server.url, breaker_failures=2)
    for _ in range(3):
        with pytest.raises(Unavailable):
            read(registry, "bad")
        read(registry, "good")
    assert state(registry) == "closed"


def test_a_half_open_breaker_lets_one_call_through_at_a_time(moving: Time) -> None:
    breaker = Breaker("far", failures=1, seconds=10)
    early, late = breaker.admit(), breaker.admit()
    assert early
    assert late
    breaker.report(early, succeeded=False)
    assert breaker.admit() is None
    moving.moved += 11
    trial = breaker.admit()
    assert trial
    assert trial.is_trial
    assert breaker.admit() is None
    # A call from before the breaker opened decides nothing any more.
    breaker.report(late, succeeded=True)
    assert breaker.state is BreakerState.HALF_OPEN
    breaker.report(trial, succeeded=True)
    breaker.report(late, succeeded=False)
    assert breaker.state is BreakerState.CLOSED


def test_a_trial_that_ends_in_a_bug_is_over(
    server: UpstreamServer, connect: Connect, moving: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = connect(server.url, breaker_failures=1)
    with monkeypatch.context() as patched:
        patched.setattr(client, "exchange", lambda *args, **kwargs: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                read(registry)
            moving.moved += 31
    assert read(registry)


# --- the cache --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, 0),
        ({"cache-control": "max-age=10"}, 10),
        ({"cache-control": "public, max-age=100"}, 30),
        ({"cache-control": "MAX-AGE=10", "age": "4"}, 6),
        ({"cache-control": "max-age=10", "age": "40"}, 0),
        ({"cache-control": "max-age=10", "age": "x"}, 0),
        ({"cache-control": "max-age=1, max-age=20"}, 1),
        ({"cache-control": "max-age=1, s-maxage=20"}, 20),
        ({"cache-control": "max-age=-1"}, 0),
        ({"cache-control": "max-age=" + "9" * 30}, 0),
        ({"cache-control": "max-age"}, 0),
        ({"cache-control": "max-age=10, private"}, 0),
        ({"cache-control": 'private="x-key", max-age=10'}, 0),
        ({"cache-control": "no-store, max-age=10"}, 0),
        ({"cache-control": "no-cache, max-age=10"}, 0),
        ({"cache-control": "max-age=10", "set-cookie": "a=b"}, 0),
        ({"cache-control": "max-age=10", "vary": "Accept, Accept-Language"}, 10),
        ({"cache-control": "max-age=10", "vary": "*"}, 0),
        ({"cache-control": "max-age=10", "vary": "X-Request-ID"}, 0),
    ],
)
def test_an_answer_is_kept_as_long_as_both_sides_allow(headers: dict[str, str], seconds: float) -> None:
    assert fresh_seconds(headers, longest=30) == seconds


def test_a_kept_answer_is_given_until_it_is_too_old(server: UpstreamServer, connect: Connect, moving: Time) -> None:
    server.on("/x", lambda request: request.say({"n": len(server.seen)}, Cache_Control="max-age=60"))
    registry = connect(server.url, cache_seconds=10)
    assert read(registry) == read(registry) == b'{"n": 1}'
    assert read(registry, q="other") == b'{"n": 2}'
    moving.moved += 9
    assert read(registry) == b'{"n": 1}'
    moving.moved += 2
    assert read(registry) == b'{"n": 3}'


def test_languages_are_kept_apart_and_an_open_breaker_still_gives_what_is_kept(
    server: UpstreamServer, connect: Connect
) -> None:
    def ask(language: str) -> bytes:
        return upstreams.read(ACTOR, registry=registry, name="far", path="x", parameters={}, language=language)

    server.on("/x", lambda request: request.say(request.headers["Accept-Language"], Cache_Control="max-age=60"))
    server.on("/bad", lambda request: request.say({}, 500))
    registry = connect(server.url, breaker_failures=1)
    assert (ask("de"), ask("eo")) == (b'"de"', b'"eo"')
    with pytest.raises(Unavailable):
        read(registry, "bad")
    assert (state(registry), ask("de")) == ("open", b'"de"')


@pytest.mark.parametrize("works", [True, False])
def test_a_post_forgets_what_was_kept(server: UpstreamServer, connect: Connect, works: bool) -> None:
    server.on("/x", lambda request: request.say({"n": len(server.seen)}, Cache_Control="max-age=60"))
    server.on("/write", lambda request: request.say({}, 200 if works else 500))
    registry = connect(server.url, allow_post=True)
    assert read(registry) == b'{"n": 1}'
    if works:
        send(registry, "write")
    else:
        with pytest.raises(Unavailable):
            send(registry, "write")
    assert read(registry) == b'{"n": 3}'


def test_nothing_is_kept_of_failures_or_where_it_is_switched_off(server: UpstreamServer, connect: Connect) -> None:
    server.on("/x", lambda request: request.say({"n": len(server.seen)}, Cache_Control="max-age=60"))
    server.on("/gone", lambda request: request.say({}, 404, Cache_Control="max-age=60"))
    registry = connect(server.url, cache_seconds=0)
    assert (read(registry), read(registry)) == (b'{"n": 1}', b'{"n": 2}')
    for _ in range(2):
        with pytest.raises(NotFound):
            read(registry, "gone")
    assert len(server.seen) == 4


def test_the_cache_is_bounded_by_bytes_and_drops_what_was_not_asked_for() -> None:
    cache = MemoryCache(max_total_bytes=40_000)
    for name in ("a", "b", "c", "d"):
        cache.keep((name,), b"x" * 9_000, seconds=60)
    assert cache.find(("a",))
    cache.keep(("e",), b"x" * 9_000, seconds=60)
    cache.keep(("huge",), b"x" * 10_000, seconds=60)
    assert [name for name in ("a", "b", "c", "d", "e", "huge") if cache.find((name,))] == ["a", "c", "d", "e"]
    cache.forget("a")
    assert cache.find(("a",)) is None


def test_many_short_answers_to_long_questions_are_bounded_too() -> None:
    cache = MemoryCache(max_total_bytes=40_000)
    for number in range(1000):
        cache.keep(("far", f"{number:04000}"), b"1", seconds=60)
    assert sum(cache.find(("far", f"{number:04000}")) is not None for number in range(1000)) == 8


# --- processes ----------------------------------------------------------------------------


def test_threads_that_come_first_share_one_client(connect: Connect) -> None:
    registry = connect("http://x.invalid")
    start = threading.Barrier(8)

    def ask() -> int:
        start.wait()
        return id(registry.client)

    with ThreadPoolExecutor(8) as pool:
        assert len({future.result() for future in [pool.submit(ask) for _ in range(8)]}) == 1


# --- configuration --------------------------------------------------------------------------


@pytest.fixture
def load(tmp_path: Path) -> Load:
    project = new_project(tmp_path)

    def run(text: str = "", **environ: str) -> Settings:
        (project / "instance" / "config.toml").write_text(text)
        return load_settings("development", environ=environ, root=project)

    return run


WEATHER = '[default.upstreams.weather-api]\nbase_url = "https://w.example/v1"\n'


def test_no_upstream_is_configured_by_default(load: Load) -> None:
    assert load().upstreams == {}


def test_the_time_of_the_whole_call_has_a_short_name_too(load: Load) -> None:
    assert load(WEATHER + "timeout = 3").upstreams["weather-api"].timeout_seconds == 3
    settings = load(WEATHER + "timeout_seconds = 2", TASKLANE_UPSTREAMS__WEATHER_API__TIMEOUT="4")
    assert settings.upstreams["weather-api"].timeout_seconds == 4
    assert settings.sources["upstreams.weather-api.timeout_seconds"].endswith(
        "TASKLANE_UPSTREAMS__WEATHER_API__TIMEOUT"
    )


def test_an_upstream_has_defaults_for_all_but_its_address(load: Load) -> None:
    settings = load(WEATHER + "retries = 5\n[development.upstreams.weather-api.headers]\nX-Key = 'k'\n")
    expected = UpstreamSettings(base_url="https://w.example/v1", retries=5, headers={"x-key": "k"})
    assert settings.upstreams == {"weather-api": expected}
    assert settings.sources["upstreams.weather-api.retries"] == "instance/config.toml [default]"
    assert settings.sources["upstreams.weather-api.headers.x-key"] == "instance/config.toml [development]"
    assert settings.sources["upstreams.weather-api.parallel"] == "default"


def test_the_example_in_the_file_shows_every_key_with_its_default(load: Load) -> None:
    text = (ROOT / "config.toml").read_text()
    example = text[text.index("# [default.upstreams.weather]") : text.index("[development]")]
    shown = load("\n".join(line.removeprefix("#").strip() for line in example.splitlines()))
    (weather,) = shown.upstreams.values()
    assert weather == UpstreamSettings(base_url="https://weather.example/api", headers={"x-api-key": "..."})
    assert {source for key, source in shown.sources.items() if key.startswith("upstreams.")} == {
        "instance/config.toml [default]"
    }


def test_the_environment_reaches_upstreams_too(load: Load) -> None:
    settings = load(
        WEATHER,
        TASKLANE_UPSTREAMS__WEATHER_API__BASE_URL="http://other.example",
        TASKLANE_UPSTREAMS__WEATHER_API__ALLOW_POST="true",
        TASKLANE_UPSTREAMS__WEATHER_API__HEADERS__X_API_KEY="k",
        TASKLANE_UPSTREAMS__NEWS__BASE_URL="http://news.example",
    )
    weather = settings.upstreams["weather-api"]
    assert (weather.base_url, weather.allow_post, weather.headers) == (
        "http://other.example",
        True,
        {"x-api-key": "k"},
    )
    assert settings.upstreams["news"].base_url == "http://news.example"
    with pytest.warns(ConfigWarning, match="Did you mean 'TASKLANE_UPSTREAMS__NEWS__RETRIES'"):
        load("", TASKLANE_UPSTREAMS__NEWS__RETRYS="1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            WEATHER + "base_ulr = 'x'",
            "unknown key 'upstreams.weather-api.base_ulr' .* 'upstreams.weather-api.base_url'",
        ),
        (WEATHER + "timeout_secs = 5", "Did you mean 'upstreams.weather-api.timeout_seconds'"),
        (WEATHER + "headers = 'x'", "Did you mean 'upstreams.weather-api.headers.<name>'"),
        (WEATHER + "retries = 'x'", "is not a valid int"),
        (WEATHER + "retries = 11", "upstreams.weather-api.retries must be 0 to 10"),
        (WEATHER + "timeout_seconds = nan", "timeout_seconds must be"),
        (WEATHER + "parallel = 0", "parallel must be"),
        (WEATHER + "[default.upstreams.weather-api.headers]\nHost = 'x'", "headers.host cannot be configured"),
        (WEATHER + '[default.upstreams.weather-api.headers]\nX = "canary\\r\\nY: z"', "headers.x is not a header"),
        (WEATHER + "[default.upstreams.weather-api.headers]\n'X Y' = 'canary'", "headers.x y is not a header"),
        (WEATHER + "[default.upstreams.weather-api.headers]\nX = 0xCA17A27", "headers.x: its value from"),
        ("[default.upstreams]\nbase_url = 'http://x'", "Did you mean 'upstreams.<name>.base_url'"),
        ("[default.upstreams.Weather]\nbase_url = 'http://x'", "Did you mean 'upstreams.weather.base_url'"),
        ("[default.upstreams.x]\nretries = 1", "upstreams.x.base_url is not set"),
        ("[default]\nupstreams = 1", "unknown key 'upstreams'"),
    ],
)
def test_a_table_that_cannot_be_used_is_named(load: Load, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(text)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "x",
        "//x",
        "ftp://x",
        "http://",
        "http:///x",
        "http://x:0",
        "http://x:65536",
        "http://x:y",
        "http://[::1",
        "http://x?",
        "http://x/#",
        "http://x/../y",
        "http://x/%2E%2e/y",
        "http://x/ y",
        "http://x\\\\@y",
        "http://" + "a" * 64,
        "http://a..b",
    ],
)
def test_a_base_url_that_cannot_be_a_base_is_refused(load: Load, url: str) -> None:
    with pytest.raises(ConfigError, match=r"upstreams\.w\.base_url") as caught:
        load(f'[default.upstreams.w]\nbase_url = "{url}"')
    assert len(url) < 8 or url not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["http://x", "https://x:65535/a/b/", "http://[::1]:80", "http://u:p@x/a", "http://10.0.0.1"]
)
def test_the_operator_may_name_any_host(load: Load, url: str) -> None:
    assert load(f'[default.upstreams.w]\nbase_url = "{url}"').upstreams["w"].base_url == url


def test_the_config_command_shows_where_upstreams_come_from_and_masks_their_secrets(tmp_path: Path) -> None:
    environ = {
        "TASKLANE_UPSTREAMS__FAR__BASE_URL": "https://me:canary-1@far.example/v1",
        "TASKLANE_UPSTREAMS__FAR__HEADERS__X_API_KEY": "canary-2",
    }
    done = Operator(tmp_path).run("config", "--json", **environ)
    shown = json.loads(done.stdout)
    assert "canary" not in done.stdout
    assert shown["upstreams.far.base_url"] == {
        "value": "https://********@far.example/v1",
        "source": "environment TASKLANE_UPSTREAMS__FAR__BASE_URL",
    }
    assert shown["upstreams.far.headers.x-api-key"]["value"] == "********"
    assert shown["upstreams.far.retries"] == {"value": 2, "source": "default"}


def test_what_is_secret_is_known_and_not_in_a_repr(load: Load) -> None:
    settings = load(WEATHER.replace("//", "//me:canary@") + "headers = { X = 'canary' }")
    assert "canary" not in repr(settings)
    assert is_secret("upstreams.weather-api.headers.x")
    assert is_url("upstreams.weather-api.base_url")
    assert not is_secret("upstreams.weather-api.retries")
