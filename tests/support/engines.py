"""Engines on which tests run, and the files of tests that need only one of them."""

from typing import Any

import pytest

ENGINES = ("sqlite", "postgresql")
# What runs on both is seen by coverage once: tracing makes a test take half as long again, and the lines are the same.
BOTH = ("sqlite", pytest.param("postgresql", marks=pytest.mark.no_cover))

# For a single test that is about more, or about less, than its file.
on_both = pytest.mark.parametrize("engine_name", BOTH, indirect=True)
on_sqlite = pytest.mark.parametrize("engine_name", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("engine_name", ["postgresql"], indirect=True)

# Files whose subject is no SQL, with the one engine they take and why. What they find out on one engine is true on
# the other: that both store, lock and find alike is what the tests of both are for. A file that is missing here runs
# on both.
ONE: dict[str, tuple[str, str]] = {
    "api/test_auth.py": (
        "sqlite",
        "bodies, tokens and answers of the log-in; its races run on both",
    ),
    "api/test_before_the_body.py": ("sqlite", "sockets and bytes in front of any database"),
    "api/test_blank_text.py": ("sqlite", "validation of texts"),
    "api/test_browser_session.py": ("sqlite", "cookies, origins and CSRF"),
    "api/test_codes.py": ("sqlite", "which statuses there are"),
    "api/test_deprecations.py": ("sqlite", "headers, counters and the document"),
    "api/test_document.py": ("sqlite", "the document, which no database changes"),
    "api/test_openapi.py": ("sqlite", "the document, as above"),
    "api/test_contract.py": ("sqlite", "the document, as above"),
    "api/test_conversion.py": ("sqlite", "needs no database"),
    "api/test_document_clients.py": ("sqlite", "programs that read the document"),
    "api/test_errors.py": ("sqlite", "the envelope and what JSON is refused; errors of engines are in test_outages"),
    "api/test_exports.py": ("sqlite", "validation of what is ordered; files of both are in workers/test_exports"),
    "api/test_foreign_names.py": ("sqlite", "names of parameters"),
    "api/test_headers.py": ("sqlite", "headers, CORS and hosts"),
    "api/test_imports.py": ("sqlite", "forms and what is refused; effects of both are in core/test_imports"),
    "api/test_kept_answers.py": ("sqlite", "headers and words; what changes meanwhile is seen on both"),
    "api/test_limits.py": ("sqlite", "counters, which are in Redis"),
    "api/test_lists_of_values.py": ("sqlite", "validation of lists"),
    "api/test_job_rights.py": (
        "sqlite",
        "rights of owners and keys, which policies decide; races are in core/test_races",
    ),
    "api/test_keys.py": ("sqlite", "scopes, and what ends a key; parallel uses, pages and costs run on both"),
    "api/test_mass_assignment.py": ("sqlite", "names of fields that are refused"),
    "api/test_matrix.py": (
        "sqlite",
        "rights on operations; lists of those who may see are asked on both in their files",
    ),
    "api/test_media.py": ("sqlite", "media types"),
    "api/test_metrics.py": ("sqlite", "counters, which are in files"),
    "api/test_notifications.py": ("sqlite", "choices, links and texts of messages"),
    "api/test_oauth.py": ("sqlite", "the form of the log-in"),
    "api/test_page_answers.py": ("sqlite", "the fields of answers that pages print"),
    "api/test_password_reset.py": ("sqlite", "tokens and messages"),
    "api/test_ratelimit_fields.py": ("sqlite", "headers of counters, which are in Redis"),
    "api/test_refusals.py": ("sqlite", "sizes and costs of refusals before any query"),
    "api/test_reports.py": ("sqlite", "validation of what is ordered; figures of both are in core/test_reports"),
    "api/test_retry_after.py": ("sqlite", "a header"),
    "api/test_secret_rotation.py": ("sqlite", "keys of signatures"),
    "api/test_security.py": ("sqlite", "what is recorded; parallel failures, lists and clean-up run on both"),
    "api/test_ui.py": ("sqlite", "pages and files, which no database changes"),
    "api/test_system.py": ("sqlite", "greetings and probes; engines that fail are in faults/test_degradation"),
    "api/test_try_it_out.py": ("sqlite", "the page of the document"),
    "api/test_upstreams.py": ("sqlite", "calls of other services"),
    "api/test_utf8.py": ("sqlite", "bytes that are no text"),
    "core/test_mail.py": ("sqlite", "texts of messages and the talk with a mail server"),
    "core/test_online_migrations.py": ("postgresql", "locks of tables, which SQLite has none of"),
    "core/test_redaction.py": ("sqlite", "lines of logs"),
    "e2e/test_staleness.py": ("postgresql", "several processes that write at once"),
    "workers/test_reports.py": ("sqlite", "pictures; their figures on both are in core/test_reports"),
}


def engines_of(file: str) -> tuple[Any, ...]:
    """Return the engines of the tests in a file, which is named from the folder of all tests."""
    return (ONE[file][0],) if file in ONE else BOTH
