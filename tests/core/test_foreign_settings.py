"""Settings that look meant, and are another program's, are never ignored in silence."""

import warnings
from pathlib import Path

import pytest

from core.platform.config.errors import ConfigError, ConfigWarning
from core.platform.config.foreign import ADVICE, FILES, SELECTORS
from core.platform.config.keys import PLAIN_NAMES, TEST_NAMES
from tests.support.commands import Operator
from tests.support.settings import Load

GOOD = {"JWT_SECRET_KEY": "j" * 32, "SECRET_KEY": "s" * 32, "DATABASE_URL": "postgresql://db.example/tasklane"}


@pytest.mark.parametrize(
    ("name", "ours"),
    [
        ("FLASK_ENV", "TASKLANE_ENV"),
        ("FLASK_CONFIG", "TASKLANE_ENV"),
        ("APP_SETTINGS", "TASKLANE_ENV"),
        ("FLASK_DEBUG", "LOG_LEVEL"),
        ("FLASK_RUN_PORT", "PORT"),
        ("FLASK_SECRET_KEY", "SECRET_KEY"),
        ("FLASK_SQLALCHEMY_DATABASE_URI", "DATABASE_URL"),
        ("SQLALCHEMY_DATABASE_URI", "DATABASE_URL"),
        ("SQLALCHEMY_ECHO", "no such setting"),
        ("DATABASE_URI", "DATABASE_URL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("RATELIMIT_DEFAULT", "TASKLANE_LIMITS__USER"),
        ("RATELIMIT_STORAGE_URI", "REDIS_URL"),
        ("RATELIMIT_STRATEGY", "TASKLANE_LIMITS__USER"),
        ("CACHE_TYPE", "TASKLANE_CACHE__BACKEND"),
        ("CACHE_REDIS_HOST", "CACHE_URL"),
        ("CELERY_BROKER_URL", "REDIS_URL"),
        ("CELERY_TASK_SERIALIZER", "REDIS_URL"),
        ("BROKER_URL", "REDIS_URL"),
        ("JWT_ACCESS_TOKEN_EXPIRES", "TASKLANE_AUTH__ACCESS_TOKEN_MINUTES"),
        ("JWT_REFRESH_TOKEN_EXPIRES", "TASKLANE_AUTH__REFRESH_TOKEN_DAYS"),
        ("JWT_SECRET", "JWT_SECRET_KEY"),
        ("LOG_FILE", "TASKLANE_LOG__FILE"),
        ("LOG_DIR", "TASKLANE_LOG__FILE"),
        ("LOG_TO_STDOUT", "always"),
        ("MAIL_DEFAULT_SENDER", "MAIL_SENDER"),
        ("WEB_WORKERS", "WEB_CONCURRENCY"),
        ("POSTS_PER_PAGE", "per_page"),
    ],
)
def test_the_name_of_another_program_is_answered_with_ours(load: Load, name: str, ours: str) -> None:
    with pytest.warns(ConfigWarning, match=rf"Without effect in Tasklane: {name} \(.*{ours}"):
        load(**{name: "1"})


def test_all_of_them_are_one_warning_wherever_they_are(load: Load, project: Path) -> None:
    (project / ".env").write_text("CACHE_TYPE=redis\n")
    (project / "instance" / "config.py").touch()
    with pytest.warns(ConfigWarning) as told:
        load(LOG_FILE="a.log", CELERY_BROKER_URL="redis://h/0")
    (warning,) = told
    for name in ("CACHE_TYPE", "LOG_FILE", "CELERY_BROKER_URL", "instance/config.py (use instance/config.toml)"):
        assert name in str(warning.message)


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_read_elsewhere_is_named(load: Load, project: Path, name: str) -> None:
    (project / name).touch()
    with pytest.warns(ConfigWarning, match=name.replace(".", r"\.")):
        load()


@pytest.mark.parametrize(
    "environ",
    [
        {"PATH": "/bin", "HOME": "/root", "MAIL": "/var/mail/root", "LOGNAME": "root", "PORTS": "1", "HOST": "h"},
        {"FLASK_APP": "api", "GUNICORN_CMD_ARGS": "--workers 2", "NODE_ENV": "production", "CACHE_TYPE": ""},
        dict.fromkeys(TEST_NAMES, "1"),
        {"TASKLANE_ENV": "production", "FLASK_ENV": "production", **GOOD},
        {"TASKLANE_ENV": "testing", "FLASK_ENV": "testing"},
    ],
)
def test_what_is_not_about_tasklane_or_says_the_same_is_not_told(load: Load, environ: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(**environ)


def test_no_name_of_ours_is_called_foreign() -> None:
    assert not {*ADVICE, *SELECTORS} & {*PLAIN_NAMES, *TEST_NAMES}


@pytest.mark.parametrize("name", [*SELECTORS, "ENV", "ENVIRONMENT", "DEPLOY_ENV"])
@pytest.mark.parametrize("value", ["production", "Prod", "config.ProductionConfig"])
def test_production_by_another_name_is_refused(load: Load, name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=f"{name}={value} has no effect .* in development: set TASKLANE_ENV"):
        load(**{name: value})


@pytest.mark.parametrize("env", ["development", "testing"])
def test_it_is_refused_too_where_tasklane_is_told_another(load: Load, env: str) -> None:
    with pytest.raises(ConfigError, match=f"FLASK_ENV=production has no effect .* in {env}"):
        load(TASKLANE_ENV=env, FLASK_ENV="production")


def test_tests_run_on_a_machine_that_is_in_production_for_others(load: Load) -> None:
    with pytest.warns(ConfigWarning, match="FLASK_ENV"):
        assert load("testing", FLASK_ENV="production").env == "testing"


@pytest.mark.parametrize("command", ["dev", "serve", "worker", "scheduler", "init-db", "doctor", "routes"])
def test_no_command_starts_in_development_where_production_is_meant(tmp_path: Path, command: str) -> None:
    done = Operator(tmp_path / "instance").run(command, FLASK_CONFIG="production")
    assert done.returncode == 1
    assert done.stderr == (
        "tasklane: FLASK_CONFIG=production has no effect here, and this would start in development:"
        " set TASKLANE_ENV=production.\n"
    )


@pytest.mark.slow
def test_a_command_shows_the_warning_once(tmp_path: Path) -> None:
    done = Operator(tmp_path / "instance").process("init-db", CACHE_TYPE="redis")
    assert done.returncode == 0
    assert done.stderr == "tasklane: Without effect in Tasklane: CACHE_TYPE (use TASKLANE_CACHE__BACKEND).\n"


@pytest.mark.slow
@pytest.mark.parametrize(("redis_url", "count"), [("", 1), ("redis://127.0.0.1:1/0", 0)])
def test_production_without_redis_says_what_it_cannot_do(tmp_path: Path, redis_url: str, count: int) -> None:
    operator = Operator(tmp_path / "instance", f"sqlite:///{tmp_path}/tasklane.db")
    production = {**GOOD, "DATABASE_URL": operator.database_url, "TASKLANE_ENV": "production", "REDIS_URL": redis_url}
    assert operator.run("init-db", **production).returncode == 0
    done = operator.run("scheduler", "--once", **production)
    assert (done.stdout + done.stderr).count("REDIS_URL is not set, so no job runs") == count
