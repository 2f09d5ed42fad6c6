"""Names of other programs, by which an operator may have meant a setting of Tasklane.

Frameworks and tutorials name their settings alike. What is set under such a name has no effect here, so it
is told, with the name that has; and one that says `production` is refused while Tasklane would not be in it.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

NO_SUCH = "there is no such setting; docs/configuration.md lists all"


def _by_name(said: Mapping[str, str]) -> dict[str, str]:
    """Return sentences by each of the names that they are about."""
    return {name: sentence for sentence, names in said.items() for name in names.split()}


# Sentences that are said instead of the name alone, each with all names by which others call the same.
ADVICE = _by_name(
    {
        "use DATABASE_URL": "SQLALCHEMY_DATABASE_URI SQLALCHEMY_DATABASE_URL DATABASE_URI DB_URL DB_URI"
        " DEV_DATABASE_URL DEV_DATABASE_URI PROD_DATABASE_URL POSTGRES_URL POSTGRESQL_URL",
        "use DATABASE_URL; SQLite and PostgreSQL are possible": "MYSQL_URL",
        "use TEST_DATABASE_URL": "TEST_DATABASE_URI TESTING_DATABASE_URL",
        "use REDIS_URL": "REDIS_URI REDIS_HOST REDIS_PORT REDIS_PASSWORD RQ_REDIS_URL BROKER_URL RESULT_BACKEND"
        " RATELIMIT_STORAGE_URI RATELIMIT_STORAGE_URL",
        "use REDIS_URL; jobs run in RQ": "CELERY_BROKER_URL",
        "use REDIS_URL; results are in the database": "CELERY_RESULT_BACKEND",
        "use TASKLANE_LIMITS__USER and TASKLANE_LIMITS__ADDRESS": "RATELIMIT_DEFAULT RATELIMIT_DEFAULTS",
        "use TASKLANE_RATELIMIT_ENABLED": "RATELIMIT_ENABLED",
        "use TASKLANE_CACHE__BACKEND": "CACHE_TYPE",
        "use TASKLANE_CACHE__BACKEND and CACHE_URL": "CACHE_DIR",
        "answers are cached until something changes": "CACHE_DEFAULT_TIMEOUT",
        NO_SUCH: "CACHE_KEY_PREFIX CACHE_THRESHOLD APPLICATION_ROOT MAX_CONTENT_LENGTH",
        "use JWT_SECRET_KEY": "JWT_SECRET JWT_KEY",
        "use JWT_PREVIOUS_SECRET_KEYS": "JWT_SECRET_KEY_PREVIOUS",
        "use TASKLANE_AUTH__ACCESS_TOKEN_MINUTES": "JWT_ACCESS_TOKEN_EXPIRES JWT_EXPIRATION_DELTA",
        "use TASKLANE_AUTH__REFRESH_TOKEN_DAYS": "JWT_REFRESH_TOKEN_EXPIRES",
        "use TASKLANE_AUTH__BROWSER_SESSION_HOURS": "PERMANENT_SESSION_LIFETIME",
        "use SECRET_KEY": "APP_SECRET_KEY APP_SECRET SECRET SECRET_KEYS",
        "use SECRET_KEY_PREVIOUS": "SECRET_KEY_FALLBACKS PREVIOUS_SECRET_KEY PREVIOUS_SECRET_KEYS"
        " SECRET_KEY_PREVIOUS_KEYS",
        "use TASKLANE_LOG__FILE": "LOG_FILE LOG_FILENAME LOG_PATH LOG_DIR LOGFILE",
        "use TASKLANE_LOG_FORMAT": "LOG_FORMAT",
        "use TASKLANE_LOG__MAX_BYTES": "LOG_MAX_BYTES",
        "use TASKLANE_LOG__BACKUPS": "LOG_BACKUP_COUNT",
        "it always logs there": "LOG_TO_STDOUT",
        "use LOG_LEVEL": "LOGLEVEL LOGGING_LEVEL",
        "use MAIL_SERVER": "MAIL_HOST SMTP_HOST SMTP_SERVER",
        "use MAIL_PORT": "SMTP_PORT",
        "use MAIL_USERNAME": "SMTP_USER SMTP_USERNAME MAIL_USER",
        "use MAIL_PASSWORD": "SMTP_PASSWORD",
        "use MAIL_SENDER": "MAIL_DEFAULT_SENDER MAIL_FROM",
        "without MAIL_SERVER, messages are files": "MAIL_SUPPRESS_SEND",
        "use TASKLANE_MAIL__TIMEOUT_SECONDS": "MAIL_TIMEOUT",
        "there is no debug mode; LOG_LEVEL=DEBUG logs more": "FLASK_DEBUG",
        "use PORT": "FLASK_RUN_PORT",
        "use TASKLANE_HOST": "FLASK_RUN_HOST",
        "use TASKLANE_PUBLIC_URL": "PREFERRED_URL_SCHEME BASE_URL PUBLIC_URL",
        "use TASKLANE_PUBLIC_URL and TRUSTED_HOSTS": "SERVER_NAME",
        "use TRUSTED_HOSTS": "ALLOWED_HOSTS",
        "use CORS_ORIGINS": "CORS_ORIGIN CORS_ALLOWED_ORIGINS ALLOWED_ORIGINS",
        "use TASKLANE_CORS_CREDENTIALS": "CORS_SUPPORTS_CREDENTIALS",
        "use TASKLANE_TRUSTED_PROXIES": "TRUSTED_PROXIES PROXY_FIX",
        "use WEB_CONCURRENCY": "WEB_WORKERS WORKERS GUNICORN_WORKERS",
        "use TASKLANE_THREADS": "WEB_THREADS WAITRESS_THREADS GUNICORN_THREADS",
        "use TASKLANE_INSTANCE_PATH": "INSTANCE_PATH",
        "use TASKLANE_PROCESSING__STEPS": "PROCESSING_STEPS",
        "use TASKLANE_METRICS__TOKEN": "PROMETHEUS_TOKEN",
        "use SENTRY_DSN": "SENTRY_URL",
        "use per_page in the request": "ITEMS_PER_PAGE POSTS_PER_PAGE TASKS_PER_PAGE",
    }
)
# All names that begin so are of one library; what ADVICE does not have, nothing here is like.
FAMILIES = _by_name(
    {
        NO_SUCH: "SQLALCHEMY_ JWT_ SESSION_COOKIE_ REMEMBER_COOKIE_ MAIL_ FLASK_ RESTX_",
        f"{NO_SUCH}; limits are TASKLANE_LIMITS__USER and its neighbours": "RATELIMIT_",
        "jobs run in RQ: REDIS_URL says where": "CELERY_",
        "use CACHE_URL": "CACHE_REDIS_",
        "use TASKLANE_CACHE__BACKEND and CACHE_URL": "CACHE_MEMCACHED_",
    }
)
# They say nothing about Tasklane: `flask` itself reads them, or whoever runs it as gunicorn does.
_HARMLESS = frozenset({"FLASK_APP", "FLASK_RUN_FROM_CLI", "FLASK_SKIP_DOTENV"})
# What names the environment elsewhere. The generic ones count only where they say `production`.
SELECTORS = (
    "FLASK_ENV",
    "FLASK_CONFIG",
    "FLASK_CONFIG_NAME",
    "FLASK_CONFIGURATION",
    "FLASK_ENVIRONMENT",
    "FLASK_SETTINGS",
    "FLASK_SETTINGS_MODULE",
    "APP_ENV",
    "APP_CONFIG",
    "APP_SETTINGS",
    "APP_ENVIRONMENT",
    "CONFIG_NAME",
    "CONFIG_ENV",
    "CONFIG_MODE",
    "TASKLANE_CONFIG",
    "TASKLANE_ENVIRONMENT",
    "TASKLANE_MODE",
)
GENERIC_SELECTORS = ("ENV", "ENVIRONMENT", "APPLICATION_ENV", "DEPLOY_ENV", "PYTHON_ENV")
# `production`, `prod`, `config.ProductionConfig`.
_PRODUCTION = re.compile(r"(?:^|[^a-z])prod(?:uction)?(?:config(?:uration)?|settings)?$", re.IGNORECASE)
# Files in which other set-ups keep settings, from the root of the project on, and what is read instead.
FILES = _by_name(
    {
        "instance/config.toml": "instance/config.py instance/settings.py instance/config.cfg instance/config.ini"
        " instance/config.json instance/config.yaml instance/config.yml instance/application.cfg config.py settings.py",
        ".env beside manage.py": "instance/.env",
        ".env": ".flaskenv .env.local .env.production",
    }
)


def production_by_another_name(variables: Mapping[str, str]) -> str | None:
    """Return the assignment by which another framework would be in production, if there is one."""
    for name in (*SELECTORS, *GENERIC_SELECTORS):
        if _PRODUCTION.search(variables.get(name, "").strip()):
            return f"{name}={variables[name].strip()}"
    return None


def remarks(env: str, variables: Mapping[str, str], known: frozenset[str], root: Path, instance: Path) -> Iterator[str]:
    """Yield what has no effect, each with what would have one. `known` are the variables that do."""
    for name in sorted(variables):
        if not variables[name] or name in known or name in _HARMLESS:
            continue
        if name in SELECTORS:
            if not _says(env, variables[name]):
                yield f"{name} (use TASKLANE_ENV)"
        elif advice := _advice(name, known):
            yield f"{name} ({advice})"
    for name, ours in FILES.items():
        inside = name.removeprefix("instance/")
        if (root / name if inside == name else instance / inside).is_file():
            yield f"{name} (use {ours})"


def _says(env: str, value: str) -> bool:
    """Return whether another's name for the environment means the one in force, which development is anyway."""
    return env != "development" and value.strip().lower().startswith(env[:4])


def _advice(name: str, known: frozenset[str]) -> str | None:
    if name in ADVICE:
        return ADVICE[name]
    # Flask can be told to take every setting with its name before it.
    bare = name.removeprefix("FLASK_")
    if bare != name and (bare in known or bare in ADVICE):
        return ADVICE.get(bare, f"use {bare}")
    if near := difflib.get_close_matches(name.upper(), known, n=1, cutoff=0.92):
        return f"did you mean {near[0]}?"
    return next((text for family, text in FAMILIES.items() if name.startswith(family)), None)
