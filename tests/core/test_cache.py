"""The cache itself: bytes in and out, one installation's own, and no harm when its server is gone."""

import os
import signal
import time
from collections.abc import Callable, Iterator

import pytest
from flask import Flask

from core.bootstrap import create_core_app
from core.platform import clock
from core.platform.cache import answers as caching
from core.platform.cache.answers import REDIS_PAUSE, RedisBytes, cache
from core.platform.config.errors import ConfigError
from core.platform.config.settings import Settings
from core.platform.redis import connect
from tests.support.servers import RedisServer


@pytest.fixture
def make_app(make_settings: Callable[..., Settings], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Flask]:
    def make(backend: str, **overrides: str) -> Flask:
        url = f"sqlite:///{tmp_path_factory.mktemp('cache') / 'unused.db'}"
        keys = {"secret_key": "s" * 40, **overrides}
        return create_core_app(settings=make_settings(url, "redis://127.0.0.1:1", cache__backend=backend, **keys))

    return make


@pytest.fixture(params=["memory", "redis"])
def app(
    request: pytest.FixtureRequest, make_app: Callable[..., Flask], own_redis_server: RedisServer
) -> Iterator[Flask]:
    made = make_app(request.param, cache__url=own_redis_server.url)
    with made.app_context():
        yield made


def test_a_value_is_found_under_its_stamp_and_no_other(app: Flask) -> None:
    assert cache.get("a", stamp="1") is None
    cache.set("a", b"\x00\n\xff", stamp="1")
    assert cache.get("a", stamp="1") == b"\x00\n\xff"
    assert cache.get("a", stamp="2") is None
    assert cache.get("b", stamp="1") is None
    cache.set("a", b"", stamp="2")
    assert cache.get("a", stamp="2") == b""
    assert cache.get("a", stamp="1") is None


def test_what_is_kept_near_is_kept_apart(app: Flask) -> None:
    cache.set("a", b"far", stamp="1")
    assert cache.get("a", stamp="1", near=True) is None
    cache.set("a", b"near", stamp="1", near=True)
    assert (cache.get("a", stamp="1"), cache.get("a", stamp="1", near=True)) == (b"far", b"near")


def test_nothing_large_is_kept(app: Flask) -> None:
    cache.set("a", b"x" * caching.MAX_ENTRY_BYTES, stamp="1")
    assert cache.get("a", stamp="1") is not None
    cache.set("b", b"x" * (caching.MAX_ENTRY_BYTES + 1), stamp="1")
    assert cache.get("b", stamp="1") is None


def test_the_memory_of_a_process_is_bounded(make_app: Callable[..., Flask]) -> None:
    with make_app("memory").app_context():
        value = b"x" * 100_000
        for number in range(400):
            cache.set(str(number), value, stamp="1")
        kept = [number for number in range(400) if cache.get(str(number), stamp="1")]
    assert kept == list(range(400 - len(kept), 400))
    assert 300 < len(kept) < caching.MAX_MEMORY_BYTES / len(value)


def test_processes_share_a_server_and_installations_do_not(
    make_app: Callable[..., Flask], own_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = own_redis_server.url
    with make_app("redis", cache__url=url).app_context():
        cache.set("a", b"x", stamp="1")
    with make_app("redis", cache__url=url).app_context():
        assert cache.get("a", stamp="1") == b"x"
    with make_app("redis", cache__url=url, secret_key="t" * 40).app_context():
        assert cache.get("a", stamp="1") is None
    # Another version of the code may spell the same answer in another way.
    monkeypatch.setattr(caching, "code_digest", lambda: "other")
    with make_app("redis", cache__url=url).app_context():
        assert cache.get("a", stamp="1") is None


def test_entries_end_by_themselves(make_app: Callable[..., Flask], own_redis_server: RedisServer) -> None:
    with make_app("redis", cache__url=own_redis_server.url).app_context():
        cache.set("a", b"x", stamp="1")
        assert cache.get("a", stamp="1") == b"x"
    with own_redis_server.client as client:
        [name] = client.keys()
        assert name.startswith(b"tasklane:cache:")
        assert 0 < client.ttl(name) <= caching.SECONDS


def test_without_its_server_the_cache_is_empty_and_comes_back_by_itself(
    make_app: Callable[..., Flask], own_redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(clock, "monotonic", lambda: now[0])
    with make_app("redis", cache__url=own_redis_server.url).app_context():
        cache.set("a", b"x", stamp="1")
        assert cache.get("a", stamp="1") == b"x"
        own_redis_server.kill()
        assert cache.get("a", stamp="1") is None
        cache.set("a", b"x", stamp="1")
        own_redis_server.start()
        assert cache.get("a", stamp="1") is None, "it is left alone for a while"
        now[0] += REDIS_PAUSE + 1
        cache.get("a", stamp="1")
        cache.set("a", b"y", stamp="1")
        assert cache.get("a", stamp="1") == b"y"


def test_a_server_that_hangs_costs_one_short_wait_now_and_then(
    make_settings: Callable[..., Settings], own_redis_server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    settings = make_settings("sqlite://", own_redis_server.url)
    backend = RedisBytes(connect(settings, timeout=caching.REDIS_TIMEOUT), b"k" * 32)
    backend.set("a", b"x")
    assert backend.get("a") == b"x"
    assert own_redis_server.process is not None
    os.kill(own_redis_server.process.pid, signal.SIGSTOP)
    try:
        start = time.monotonic()
        assert backend.get("a") is None
        first = time.monotonic() - start
        start = time.monotonic()
        for _ in range(100):
            assert backend.get("a") is None
            backend.set("a", b"y")
        rest = time.monotonic() - start
    finally:
        os.kill(own_redis_server.process.pid, signal.SIGCONT)
    assert caching.REDIS_TIMEOUT <= first < caching.REDIS_TIMEOUT + 1
    assert rest < caching.REDIS_TIMEOUT
    assert [record.levelname for record in caplog.records] == ["WARNING"]


def test_a_server_that_refuses_to_store_is_a_cache_that_is_empty(
    make_app: Callable[..., Flask], own_redis_server: RedisServer
) -> None:
    with own_redis_server.client as client:
        client.config_set("maxmemory", "1mb")
    with make_app("redis", cache__url=own_redis_server.url).app_context():
        for number in range(100):
            cache.set(str(number), b"x" * 100_000, stamp="1")
        assert any(cache.get(str(number), stamp="1") is None for number in range(100))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("cache__backend", "disk", "cache.backend 'disk' is neither memory nor redis"),
        ("cache__url", "http://localhost", "CACHE_URL is none of redis://"),
    ],
)
def test_a_cache_that_cannot_be_is_refused_at_start(
    make_settings: Callable[..., Settings], key: str, value: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        make_settings("sqlite://", "redis://127.0.0.1:1", **{key: value})
