"""Reports of unexpected errors to Sentry, or whatever speaks its protocol. Off unless `sentry.dsn` is set.

What the log calls an error is reported, once, with its traceback and the ids that
are on its line. Neither local variables nor headers, bodies or addresses leave the
house, and what does goes through the same redaction as the log.
"""

import importlib
import logging
import sys
from typing import Any

from core.platform.config.errors import ConfigError
from core.platform.config.secret_values import secret_values
from core.platform.config.settings import Settings
from core.platform.logs import context
from core.platform.text.redaction import Redactor

MISSING = "sentry.dsn is set, but the package that it needs is not installed: pip install sentry-sdk"
FLUSH_SECONDS = 2.0
_IDS = {"request_id": context.request_id, "job_id": context.job_id, "job_kind": context.job_kind}
# What the library adds that is about this process and not about the error.
_UNWANTED = ("request", "server_name", "modules", "breadcrumbs")


def init_sentry(settings: Settings) -> None:
    """Report errors of this process, if that is configured. Raises ConfigError without the package."""
    if not settings.sentry.dsn:
        return
    try:
        # An optional package, which takes a while to load.
        sdk: Any = importlib.import_module("sentry_sdk")
        integration: Any = importlib.import_module("sentry_sdk.integrations.logging").LoggingIntegration
    except ImportError:
        raise ConfigError(MISSING) from None
    redactor = Redactor(secret_values(settings))
    sdk.init(
        dsn=settings.sentry.dsn,
        environment=settings.env,
        # Only what is logged as an error; nothing is hooked into the framework, which would collect requests.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[integration(level=None, event_level=logging.ERROR)],
        before_send=lambda event, hint: _prepare(event, redactor),
        include_local_variables=False,
        include_source_context=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=None,
        auto_session_tracking=False,
        send_client_reports=False,
    )


def _prepare(event: dict[str, Any], redactor: Redactor) -> dict[str, Any]:
    """Return what may leave the house of a report."""
    for name in _UNWANTED:
        event.pop(name, None)
    redacted: dict[str, Any] = redactor.structure(event)
    redacted["tags"] = {name: variable.get() for name, variable in _IDS.items() if variable.get()}
    user_id = context.user_id.get()
    if user_id is not None:
        redacted["user"] = {"id": str(user_id)}
    return redacted


def flush() -> None:
    """Wait until reports are sent, but not long: for processes that end without ceremony."""
    # Only a process that reports has loaded the library.
    if sdk := sys.modules.get("sentry_sdk"):
        sdk.flush(timeout=FLUSH_SECONDS)
