"""Layered configuration: which layer wins, what is refused, what is shown."""

import os
import threading
import warnings
from pathlib import Path
from typing import Any

import pytest

from core.platform.config.derived import embedded_socket
from core.platform.config.errors import ConfigError, ConfigWarning
from core.platform.config.keys import KEYS
from core.platform.config.secret_values import masked_url
from tests.support.commands import Operator
from tests.support.settings import Load

GOOD = {
    "JWT_SECRET_KEY": "j" * 32,
    "SECRET_KEY": "s" * 32,
    "DATABASE_URL": "postgres://u:p@db.example:5432/tasklane?sslmode=require",
}


def test_development_is_the_default_and_needs_nothing(load: Load, project: Path) -> None:
    settings = load()
    assert settings.env == "development"
    assert settings.database_url == f"sqlite:///{project}/instance/tasklane.db"
    assert settings.redis_url == f"unix://{project}/instance/valkey.sock?db=0"
    assert (settings.port, settings.processing.step_seconds) == (5000, 2.0)


def test_generated_secrets_survive_a_restart_and_nobody_else_reads_them(load: Load, project: Path) -> None:
    first, second = load(), load()
    assert first.secret_key == second.secret_key
    assert first.secret_key != first.jwt_secret_key
    assert len(first.jwt_secret_key) == 64
    assert (project / "instance" / "secret_key").stat().st_mode & 0o777 == 0o600
    assert first.secret_key not in repr(first)


def test_processes_that_start_together_agree_on_the_secret(load: Load) -> None:
    seen: list[str] = []
    threads = [threading.Thread(target=lambda: seen.append(load().secret_key)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 8
    assert len(set(seen)) == 1


def test_a_relative_file_is_in_the_instance_folder_wherever_a_command_is_run(load: Load, project: Path) -> None:
    for given, path in (("a.db", f"{project}/instance/a.db"), ("b/c.db", f"{project}/instance/b/c.db")):
        assert load(DATABASE_URL=f"sqlite:///{given}").database_url == f"sqlite:///{path}"
    for same in ("sqlite:////srv/a.db", "sqlite:///file:/srv/a.db?uri=true"):
        assert load(DATABASE_URL=same).database_url == same


def test_each_layer_wins_over_the_one_before(load: Load, project: Path) -> None:
    assert load("testing").processing.step_seconds == 0.0

    instance = project / "instance" / "config.toml"
    instance.write_text("[default.processing]\nstep_seconds = 1\n[testing]\nport = 1\n")
    settings = load("testing")
    assert (settings.processing.step_seconds, settings.port) == (1.0, 1)
    assert settings.sources["port"] == "instance/config.toml [testing]"

    (project / ".env").write_text("PORT=2\nTASKLANE_PROCESSING__STEP_SECONDS=0.5\nUNRELATED=x\n")
    settings = load("testing")
    assert (settings.processing.step_seconds, settings.port) == (0.5, 2)
    assert settings.sources["port"] == ".env PORT"

    settings = load("testing", PORT="3", TASKLANE_PROCESSING__STEP_SECONDS="0.25")
    assert (settings.processing.step_seconds, settings.port) == (0.25, 3)
    assert settings.sources["processing.step_seconds"] == "environment TASKLANE_PROCESSING__STEP_SECONDS"
    assert load("testing", PORT="3", TASKLANE_PORT="4").port == 4


def test_an_empty_platform_variable_means_not_set(load: Load) -> None:
    assert load(DATABASE_URL="", REDIS_URL="").sources["database_url"] == "embedded"


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("TASKLANE_RATELIMIT_ENABLED", "false", "ratelimit_enabled", False),
        ("TASKLANE_RATELIMIT_ENABLED", "0", "ratelimit_enabled", False),
        ("TASKLANE_RATELIMIT_ENABLED", "Yes", "ratelimit_enabled", True),
        ("TASKLANE_THREADS", "16", "threads", 16),
        ("WEB_CONCURRENCY", "3", "processes", 3),
        ("TASKLANE_REDIS_VERIFY_CERTIFICATE", "false", "redis_verify_certificate", False),
        (
            "CORS_ORIGINS",
            "https://a.example, https://b.example",
            "cors_origins",
            ["https://a.example", "https://b.example"],
        ),
        ("LOG_LEVEL", "debug", "log_level", "DEBUG"),
        ("TASKLANE_AUTH__LOGIN_LIMIT", "9 per hour", "auth.login_limit", "9 per hour"),
        ("MAIL_SERVER", "smtp.example", "mail.server", "smtp.example"),
        ("TASKLANE_MAIL__USE_TLS", "off", "mail.use_tls", False),
    ],
)
def test_every_variable_is_typed(load: Load, variable: str, text: str, key: str, value: Any) -> None:
    found: Any = load(**{variable: text})
    for part in key.split("."):
        found = getattr(found, part)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("variable", "text", "message"),
    [
        ("PORT", "web", "port: 'web' from environment PORT is not a valid int."),
        ("PORT", "70000", "port must be 0 to 65535, not 70000"),
        ("TASKLANE_RATELIMIT_ENABLED", "maybe", "ratelimit_enabled: 'maybe' from environment"),
        ("TASKLANE_PROCESSING__STEP_SECONDS", "-1", "processing.step_seconds must be 0 to 3162240000, not -1.0"),
        ("TASKLANE_PROCESSING__STEP_SECONDS", "nan", "processing.step_seconds must be 0 to 3162240000, not nan"),
        ("TASKLANE_AUTH__ACCESS_TOKEN_MINUTES", "-5", "auth.access_token_minutes must be 1 to"),
        ("TASKLANE_JOBS__LEASE_SECONDS", "inf", "jobs.lease_seconds must be 0.001 to 3162240000, not inf"),
        ("TASKLANE_PAGING__CURSOR_MAX_AGE_DAYS", "99999999", "paging.cursor_max_age_days must be 1 to 36600"),
        ("TASKLANE_TRUSTED_PROXIES", "-1", "trusted_proxies must be 0 to 10, not -1"),
        ("TASKLANE_AUTH__LOGIN_LIMIT", "lots", "auth.login_limit 'lots' is not a limit such as '5 per minute'"),
        ("DATABASE_URL", "mysql://h/db", "DATABASE_URL is neither sqlite:// nor postgresql://"),
        ("DATABASE_URL", "foo", "DATABASE_URL is neither"),
        ("DATABASE_URL", "postgresql://h:xx/db", "DATABASE_URL has no port between 1 and 65535"),
        ("DATABASE_URL", "postgresql://h:99999/db", "DATABASE_URL has no port between 1 and 65535"),
        ("DATABASE_URL", "postgresql+asyncpg://h/db", "DATABASE_URL is neither"),
        ("DATABASE_URL", "sqlite://tasklane.db", "DATABASE_URL is not like sqlite:////srv/tasklane.db"),
        ("DATABASE_URL", "sqlite://", "DATABASE_URL names no file, and in memory each connection"),
        ("DATABASE_URL", "sqlite:///:memory:", "DATABASE_URL names no file"),
        ("DATABASE_URL", "sqlite:///file:x?mode=memory&uri=true", "DATABASE_URL names no file"),
        ("REDIS_URL", "foo", "REDIS_URL is none of redis://, rediss://, unix://"),
        ("REDIS_URL", "redis://127.0.0.1:abc/0", "REDIS_URL has no port between 1 and 65535"),
        ("REDIS_URL", "redis://:canary/x@127.0.0.1:6379/0", "REDIS_URL has no port between 1 and 65535"),
        ("REDIS_URL", "rediss://127.0.0.1:0/0", "REDIS_URL has no port between 1 and 65535"),
        ("REDIS_URL", "redis://[::1/0", "REDIS_URL has no port between 1 and 65535"),
        ("REDIS_URL", "redis://127.0.0.1/jobs", "REDIS_URL does not end with the number of a database"),
        ("REDIS_URL", "unix:///run/redis.sock?db=x", "REDIS_URL has no number for db"),
        ("CACHE_URL", "redis://127.0.0.1:99999/0", "CACHE_URL has no port between 1 and 65535"),
        ("MAIL_PORT", "99999", "mail.port must be 1 to 65535, not 99999"),
        ("TASKLANE_TRUSTED_PROXIES", "99", "trusted_proxies must be 0 to 10, not 99"),
        ("TASKLANE_THREADS", "1000", "threads must be 1 to 64, not 1000"),
        ("TASKLANE_THREADS", "0", "threads must be 1 to 64, not 0"),
        ("WEB_CONCURRENCY", "-1", "processes must be 0 to 64, not -1"),
        ("WEB_CONCURRENCY", "65", "processes must be 0 to 64, not 65"),
        ("TASKLANE_DRAIN_SECONDS", "-1", "drain_seconds must be 0 to 3162240000, not -1.0"),
        ("CORS_ORIGINS", "https://*.example.com", "cors_origins has an entry that is not like"),
        ("CORS_ORIGINS", "https://app.example.com/", "cors_origins has an entry that is not like"),
        ("TRUSTED_HOSTS", "https://tasks.example.com", "trusted_hosts has an entry that is not like"),
        ("TASKLANE_METRICS__ADDRESSES", "10.0.0.0/99", "metrics.addresses has an entry that is not like"),
        ("TASKLANE_HSTS_SECONDS", "-1", "hsts_seconds must be 0 to 3162240000, not -1"),
        ("TASKLANE_LOG__BACKUPS", "0", "log.backups must be greater than 0"),
        ("LOG_LEVEL", "chatty", "log_level 'chatty' is not a logging level"),
        ("TASKLANE_LOG_FORMAT", "xml", "log_format 'xml' is neither text nor json"),
        ("TASKLANE_ENV", "staging", "TASKLANE_ENV is 'staging'; it must be one of development, testing, production."),
    ],
)
def test_a_value_that_cannot_be_used_is_named(load: Load, variable: str, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("'", ".").replace(".", r".")) as caught:
        load(**{variable: text})
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "redis://127.0.0.1",
        "redis://:p%2Fw@[::1]:6379/15",
        "rediss://u:p@redis.example:6380?db=1&socket_timeout=0.5",
        "unix:///run/redis.sock?db=0",
        "unix://u:p@/run/a:b.sock",
    ],
)
def test_every_way_to_name_a_redis_is_taken(load: Load, url: str) -> None:
    assert load(REDIS_URL=url).redis_url == url


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[default", "is not valid TOML"),
        ("[defualt]\n", "unknown table .defualt.. Did you mean 'default'"),
        ("[default]\nprot = 1\n", "unknown key 'prot' in .default.. Did you mean 'port'"),
        ("[default.processing]\nstep = 1\n", "unknown key 'processing.step'"),
        ('[default]\nport = "web"\n', "port: 'web' from instance/config.toml .default. is not a valid int"),
        ("[default]\nport = true\n", "port: True from"),
        ("[default]\nredis_url = 5\n", "redis_url: 5 from"),
    ],
)
def test_a_broken_instance_file_is_named(load: Load, project: Path, text: str, message: str) -> None:
    (project / "instance" / "config.toml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load()


def test_an_unknown_tasklane_variable_is_named_in_a_warning(load: Load) -> None:
    with pytest.warns(ConfigWarning, match="TASKLANE_PROT is not a Tasklane setting .* Did you mean 'TASKLANE_PORT'"):
        load(TASKLANE_PROT="1")


def test_a_secret_is_not_shown_in_an_error(load: Load, project: Path) -> None:
    (project / "instance" / "config.toml").write_text("[default.mail]\npassword = 12345\n")
    with pytest.raises(ConfigError) as caught:
        load()
    assert "12345" not in str(caught.value)


# --- production -------------------------------------------------------------------


def test_production_names_all_that_is_missing_at_once(load: Load) -> None:
    with pytest.raises(ConfigError) as caught:
        load("production")
    for name in ("JWT_SECRET_KEY", "SECRET_KEY", "DATABASE_URL"):
        assert f"{name} is not set" in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SECRET_KEY": "short"}, "SECRET_KEY is shorter than 32 bytes"),
        ({"JWT_SECRET_KEY": "x" * 31}, "JWT_SECRET_KEY is shorter than 32 bytes"),
        ({"SECRET_KEY": "change-me-" + "x" * 40}, "SECRET_KEY is a known default"),
        ({"DATABASE_URL": ""}, "DATABASE_URL is not set"),
    ],
)
def test_production_refuses_weak_secrets(load: Load, changes: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load("production", **{**GOOD, **changes})


def test_production_starts_with_real_secrets_and_takes_a_heroku_url(load: Load) -> None:
    settings = load(TASKLANE_ENV="production", **GOOD)
    assert settings.database_url == "postgresql+psycopg://u:p@db.example:5432/tasklane?sslmode=require"
    assert (settings.host, settings.log_format) == ("0.0.0.0", "json")


def test_the_file_and_the_types_list_the_same_keys(load: Load, project: Path) -> None:
    assert set(load().sources) == set(KEYS)
    text = (project / "config.toml").read_text()
    (project / "config.toml").write_text(text.replace("threads = 8", "thread = 8", 1))
    with pytest.raises(ConfigError, match="unknown key 'thread'"):
        load()
    (project / "config.toml").write_text(text.replace("threads = 8", "", 1))
    with pytest.raises(ConfigError, match="lacks threads"):
        load()


def test_a_socket_path_that_is_too_long_moves_to_a_short_place(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 120)
    assert len(os.fsencode(embedded_socket(deep))) <= 100
    assert embedded_socket(deep) == embedded_socket(deep)
    assert embedded_socket(deep) != embedded_socket(deep / "y")
    assert embedded_socket(Path("/srv/tasklane")) == Path("/srv/tasklane/valkey.sock")


# --- the command --------------------------------------------------------------------


def test_the_config_command_shows_sources_and_masks_secrets(tmp_path: Path) -> None:
    done = Operator(tmp_path).process("config", TASKLANE_ENV="production", MAIL_PASSWORD="canary-1", **GOOD)
    assert done.returncode == 0, done.stderr
    assert "canary" not in done.stdout
    assert "j" * 32 not in done.stdout
    assert "u:p@" not in done.stdout
    assert "postgresql+psycopg://********@db.example:5432/tasklane" in done.stdout
    assert "environment JWT_SECRET_KEY" in done.stdout


@pytest.mark.parametrize("command", ["serve", "worker", "scheduler", "dev", "config", "init-db"])
def test_every_command_refuses_a_bad_production_in_one_sentence(tmp_path: Path, command: str) -> None:
    done = Operator(tmp_path).run(command, TASKLANE_ENV="production")
    assert done.returncode == 1
    assert done.stderr.startswith("tasklane: Tasklane cannot start in production: JWT_SECRET_KEY is not set; ")
    assert len(done.stderr.splitlines()) == 1


def test_a_warning_does_not_stop_a_command(tmp_path: Path) -> None:
    done = Operator(tmp_path).process("config", TASKLANE_PROCESING__STEPS="1")
    assert done.returncode == 0
    assert "TASKLANE_PROCESING__STEPS is not a Tasklane setting" in done.stderr
    assert "Did you mean 'TASKLANE_PROCESSING__STEPS'" in done.stderr


def test_settings_can_be_loaded_in_silence(load: Load) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(TASKLANE_ENV="testing", TASKLANE_INSTANCE_PATH="")


def test_a_damaged_secret_is_refused_instead_of_used(load: Load, project: Path) -> None:
    (project / "instance" / "secret_key").write_text("")
    with pytest.raises(ConfigError, match="secret_key is damaged"):
        load()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:canary@h/db", "postgresql://********@h/db"),
        ("postgresql://h/db?password=canary&user=canary", "postgresql://h/db?password=...&user=..."),
        ("redis://:canary@h:6379/0", "redis://********@h:6379/0"),
        ("sqlite:////srv/tasklane.db", "sqlite:////srv/tasklane.db"),
    ],
)
def test_a_url_is_shown_without_its_secrets(url: str, shown: str) -> None:
    assert masked_url(url) == shown


def test_a_command_refuses_such_a_value_in_one_sentence(tmp_path: Path) -> None:
    operator = Operator(tmp_path / "instance")
    for environ in (
        {"REDIS_URL": "redis://127.0.0.1:abc/0"},
        {"DATABASE_URL": "postgresql://127.0.0.1:99999/tasklane"},
        {"DATABASE_URL": "sqlite://"},
        {"TASKLANE_THREADS": "1000"},
    ):
        for command in ("serve", "doctor"):
            done = operator.run(command, **environ)
            assert (done.returncode, done.stdout) == (1, "")
            assert done.stderr.startswith("tasklane: Tasklane cannot start in development: ")
            assert done.stderr.count("\n") == 1
