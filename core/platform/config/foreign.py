"""Names of other programs, by which an operator may have meant a setting of Tasklane.

Frameworks and tutorials name their settings alike. What is set under such a name has no effect here, so it
is told, with the name that has; and one that says `production` is refused while Tasklane would not be in it.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

NO_SUCH = "there is no such setting; docs/configuration.md lists all"
_DATABASE, _REDIS = "use DATABASE_URL", "use REDIS_URL"
_CACHE = "use TASKLANE_CACHE__BACKEND and CACHE_URL"
_LOG = "use TASKLANE_LOG__FILE"
_LIMITS = "use TASKLANE_LIMITS__USER and TASKLANE_LIMITS__ADDRESS"
_PROCESSES, _THREADS = "use WEB_CONCURRENCY", "use TASKLANE_THREADS"

# What is said instead of the name alone.
ADVICE = {
    "SQLALCHEMY_DATABASE_URI": _DATABASE,
    "SQLALCHEMY_DATABASE_URL": _DATABASE,
    "DATABASE_URI": _DATABASE,
    "DB_URL": _DATABASE,
    "DB_URI": _DATABASE,
    "DEV_DATABASE_URL": _DATABASE,
    "DEV_DATABASE_URI": _DATABASE,
    "PROD_DATABASE_URL": _DATABASE,
    "TEST_DATABASE_URI": "use TEST_DATABASE_URL",
    "TESTING_DATABASE_URL": "use TEST_DATABASE_URL",
    "MYSQL_URL": f"{_DATABASE}; SQLite and PostgreSQL are possible",
    "POSTGRES_URL": _DATABASE,
    "POSTGRESQL_URL": _DATABASE,
    "REDIS_URI": _REDIS,
    "REDIS_HOST": _REDIS,
    "REDIS_PORT": _REDIS,
    "REDIS_PASSWORD": _REDIS,
    "RQ_REDIS_URL": _REDIS,
    "BROKER_URL": _REDIS,
    "RESULT_BACKEND": _REDIS,
    "CELERY_BROKER_URL": f"{_REDIS}; jobs run in RQ",
    "CELERY_RESULT_BACKEND": f"{_REDIS}; results are in the database",
    "RATELIMIT_DEFAULT": _LIMITS,
    "RATELIMIT_DEFAULTS": _LIMITS,
    "RATELIMIT_STORAGE_URI": _REDIS,
    "RATELIMIT_STORAGE_URL": _REDIS,
    "RATELIMIT_ENABLED": "use TASKLANE_RATELIMIT_ENABLED",
    "CACHE_TYPE": "use TASKLANE_CACHE__BACKEND",
    "CACHE_DEFAULT_TIMEOUT": "answers are cached until something changes",
    "CACHE_KEY_PREFIX": NO_SUCH,
    "CACHE_THRESHOLD": NO_SUCH,
    "CACHE_DIR": _CACHE,
    "JWT_SECRET": "use JWT_SECRET_KEY",
    "JWT_KEY": "use JWT_SECRET_KEY",
    "JWT_ACCESS_TOKEN_EXPIRES": "use TASKLANE_AUTH__ACCESS_TOKEN_MINUTES",
    "JWT_REFRESH_TOKEN_EXPIRES": "use TASKLANE_AUTH__REFRESH_TOKEN_DAYS",
    "JWT_EXPIRATION_DELTA": "use TASKLANE_AUTH__ACCESS_TOKEN_MINUTES",
    "PERMANENT_SESSION_LIFETIME": "use TASKLANE_AUTH__BROWSER_SESSION_HOURS",
    "APP_SECRET_KEY": "use SECRET_KEY",
    "APP_SECRET": "use SECRET_KEY",
    "SECRET": "use SECRET_KEY",
    "SECRET_KEYS": "use SECRET_KEY",
    "SECRET_KEY_FALLBACKS": "use SECRET_KEY_PREVIOUS",
    "PREVIOUS_SECRET_KEY": "use SECRET_KEY_PREVIOUS",
    "PREVIOUS_SECRET_KEYS": "use SECRET_KEY_PREVIOUS",
    "SECRET_KEY_PREVIOUS_KEYS": "use SECRET_KEY_PREVIOUS",
    "JWT_SECRET_KEY_PREVIOUS": "use JWT_PREVIOUS_SECRET_KEYS",
    "LOG_FILE": _LOG,
    "LOG_FILENAME": _LOG,
    "LOG_PATH": _LOG,
    "LOG_DIR": _LOG,
    "LOGFILE": _LOG,
    "LOG_FORMAT": "use TASKLANE_LOG_FORMAT",
    "LOG_MAX_BYTES": "use TASKLANE_LOG__MAX_BYTES",
    "LOG_BACKUP_COUNT": "use TASKLANE_LOG__BACKUPS",
    "LOG_TO_STDOUT": "it always logs there",
    "LOGLEVEL": "use LOG_LEVEL",
    "LOGGING_LEVEL": "use LOG_LEVEL",
    "MAIL_HOST": "use MAIL_SERVER",
    "SMTP_HOST": "use MAIL_SERVER",
    "SMTP_SERVER": "use MAIL_SERVER",
    "SMTP_PORT": "use MAIL_PORT",
    "SMTP_USER": "use MAIL_USERNAME",
    "SMTP_USERNAME": "use MAIL_USERNAME",
    "SMTP_PASSWORD": "use MAIL_PASSWORD",
    "MAIL_USER": "use MAIL_USERNAME",
    "MAIL_DEFAULT_SENDER": "use MAIL_SENDER",
    "MAIL_FROM": "use MAIL_SENDER",
    "MAIL_SUPPRESS_SEND": "without MAIL_SERVER, messages are files",
    "MAIL_TIMEOUT": "use TASKLANE_MAIL__TIMEOUT_SECONDS",
    "FLASK_DEBUG": "there is no debug mode; LOG_LEVEL=DEBUG logs more",
    "FLASK_RUN_PORT": "use PORT",
    "FLASK_RUN_HOST": "use TASKLANE_HOST",
    "SERVER_NAME": "use TASKLANE_PUBLIC_URL and TRUSTED_HOSTS",
    "PREFERRED_URL_SCHEME": "use TASKLANE_PUBLIC_URL",
    "BASE_URL": "use TASKLANE_PUBLIC_URL",
    "PUBLIC_URL": "use TASKLANE_PUBLIC_URL",
    "APPLICATION_ROOT": NO_SUCH,
    "MAX_CONTENT_LENGTH": NO_SUCH,
    "ALLOWED_HOSTS": "use TRUSTED_HOSTS",
    "CORS_ORIGIN": "use CORS_ORIGINS",
    "CORS_ALLOWED_ORIGINS": "use CORS_ORIGINS",
    "ALLOWED_ORIGINS": "use CORS_ORIGINS",
    "CORS_SUPPORTS_CREDENTIALS": "use TASKLANE_CORS_CREDENTIALS",
    "TRUSTED_PROXIES": "use TASKLANE_TRUSTED_PROXIES",
    "PROXY_FIX": "use TASKLANE_TRUSTED_PROXIES",
    "WEB_WORKERS": _PROCESSES,
    "WORKERS": _PROCESSES,
    "WEB_THREADS": _THREADS,
    "WAITRESS_THREADS": _THREADS,
    "GUNICORN_WORKERS": _PROCESSES,
    "GUNICORN_THREADS": _THREADS,
    "INSTANCE_PATH": "use TASKLANE_INSTANCE_PATH",
    "PROCESSING_STEPS": "use TASKLANE_PROCESSING__STEPS",
    "PROMETHEUS_TOKEN": "use TASKLANE_METRICS__TOKEN",
    "SENTRY_URL": "use SENTRY_DSN",
    "ITEMS_PER_PAGE": "use per_page in the request",
    "POSTS_PER_PAGE": "use per_page in the request",
    "TASKS_PER_PAGE": "use per_page in the request",
}
# All names that begin so are of one library; what ADVICE does not have, nothing here is like.
FAMILIES = {
    "SQLALCHEMY_": NO_SUCH,
    "RATELIMIT_": f"{NO_SUCH}; limits are TASKLANE_LIMITS__USER and its neighbours",
    "CELERY_": "jobs run in RQ: REDIS_URL says where",
    "CACHE_REDIS_": "use CACHE_URL",
    "CACHE_MEMCACHED_": _CACHE,
    "JWT_": NO_SUCH,
    "SESSION_COOKIE_": NO_SUCH,
    "REMEMBER_COOKIE_": NO_SUCH,
    "MAIL_": NO_SUCH,
    "FLASK_": NO_SUCH,
    "RESTX_": NO_SUCH,
}
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
# Files in which other set-ups keep settings, from the root of the project on.
FILES = {
    "instance/config.py": "instance/config.toml",
    "instance/settings.py": "instance/config.toml",
    "instance/config.cfg": "instance/config.toml",
    "instance/config.ini": "instance/config.toml",
    "instance/config.json": "instance/config.toml",
    "instance/config.yaml": "instance/config.toml",
    "instance/config.yml": "instance/config.toml",
    "instance/application.cfg": "instance/config.toml",
    "instance/.env": ".env beside manage.py",
    "config.py": "instance/config.toml",
    "settings.py": "instance/config.toml",
    ".flaskenv": ".env",
    ".env.local": ".env",
    ".env.production": ".env",
}


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
