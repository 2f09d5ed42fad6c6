"""Connections to Redis by TLS: a certificate that nobody has signed is taken only if an operator says so."""

from collections.abc import Callable
from pathlib import Path

import pytest
from flask import Flask
from redis.exceptions import ConnectionError as NoConnection
from redis.exceptions import RedisError

from core.platform import redis
from core.platform.config.settings import Settings
from core.platform.redis_scripts import Script
from tests.support.people import Person
from tests.support.servers import EncryptedRedis, RedisServer

UNUSED = "sqlite://"


def test_a_certificate_that_nobody_has_signed_is_refused(
    encrypted_redis: EncryptedRedis, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(UNUSED, encrypted_redis.url)
    for client in (redis.connect(settings), redis.connect_blocking(settings)):
        with client, pytest.raises(NoConnection, match="certificate verify failed"):
            client.ping()
    assert encrypted_redis.connections == 0


def test_it_is_taken_if_the_setting_says_so(
    encrypted_redis: EncryptedRedis, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(UNUSED, encrypted_redis.url, redis_verify_certificate=False)
    for client in (redis.connect(settings), redis.connect_blocking(settings)):
        with client:
            assert client.ping()
    assert encrypted_redis.connections == 2


def test_an_authority_of_ones_own_can_be_named_in_the_url(
    encrypted_redis: EncryptedRedis, make_settings: Callable[..., Settings], tmp_path: Path
) -> None:
    encrypted_redis.authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    settings = make_settings(UNUSED, f"{encrypted_redis.url}?ssl_ca_certs={tmp_path}/ca.pem")
    with redis.connect(settings) as client:
        assert client.ping()


def test_the_setting_means_nothing_without_tls(
    own_redis_server: RedisServer, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(UNUSED, own_redis_server.url, redis_verify_certificate=False)
    with redis.connect(settings) as client:
        assert client.ping()


def test_readiness_asks_by_tls_too(remake_app: Callable[..., Flask], encrypted_redis: EncryptedRedis) -> None:
    app = remake_app(redis_url=encrypted_redis.url, redis_verify_certificate=False)
    assert Person(app).get("/health/ready").get_json()["checks"]["redis"] == "ok"


def test_a_script_is_asked_for_again_however_often_it_could_not_be(own_redis_server: RedisServer) -> None:
    with own_redis_server.client as client:
        script = Script(client, "return ARGV[1]")
        assert script.ask(script.call((), ("before",))) == b"before"
        own_redis_server.kill()
        for _ in range(150):
            with pytest.raises(RedisError):
                script.ask(script.call((), ("meanwhile",)))
        own_redis_server.start()
        # The new server has not heard of the script, and an answer need not fit into one piece.
        for text in ("after", "\r\n" * 20_000, ""):
            assert script.ask(script.call((), (text,))) == text.encode()
        script.close()


def test_a_script_that_fails_says_so_and_is_asked_for_again(own_redis_server: RedisServer) -> None:
    with own_redis_server.client as client:
        script = Script(client, "return redis.call(ARGV[1], KEYS[1])")
        for _ in range(3):
            with pytest.raises(RedisError, match="Wrong number of args"):
                script.ask(script.call(("key",), ("SET",)))
            with pytest.raises(RedisError, match="Not a text"):
                script.ask(script.call(("key",), ("EXISTS",)))
        client.set("key", "text")
        assert script.ask(script.call(("key",), ("GET",))) == b"text"
        client.script_flush()
        assert script.ask(script.call(("key",), ("GET",))) == b"text"
        client.client_kill_filter(_type="normal", skipme=True)
        assert script.ask(script.call(("key",), ("GET",))) == b"text"
        script.close()


def test_a_script_is_asked_for_by_tls_too(
    encrypted_redis: EncryptedRedis, make_settings: Callable[..., Settings]
) -> None:
    settings = make_settings(UNUSED, encrypted_redis.url, redis_verify_certificate=False)
    with redis.connect(settings) as client:
        script = Script(client, "return ARGV[1]")
        assert script.ask(script.call((), ("by TLS",))) == b"by TLS"
        # Closed by the server meanwhile, as it does with what is silent for long.
        client.client_kill_filter(_type="normal", skipme=True)
        assert script.ask(script.call((), ("once more",))) == b"once more"
        script.close()
