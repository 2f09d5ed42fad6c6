"""Examines an installation, part by part, and says what to do about what it finds."""

import os
import shutil
from collections.abc import Iterator

from core.bootstrap import current_upstreams
from core.operations import health
from core.operations.doctor.configuration import examine_configuration, examine_secrets
from core.operations.doctor.database import examine_database, unusable_file
from core.operations.doctor.findings import Finding, Verdict, found
from core.operations.doctor.neighbours import examine_jobs, examine_mail, examine_redis
from core.platform.config.current import current_settings
from core.platform.config.settings import Settings
from core.platform.config.urls import sqlite_file
from core.platform.database.base import db
from core.platform.database.write_check import WriteCheck

# Bytes that should be free where data is written.
DISK_WARNING, DISK_FAILURE = 1_000_000_000, 100_000_000


def examine() -> Iterator[Finding]:
    """Yield what is found in the installation of the running application, changing nothing that counts."""
    settings = current_settings()
    errors: dict[str, Exception] = {}
    unusable = unusable_file(settings)
    state = health.check(
        settings,
        current_upstreams(),
        WriteCheck(),
        with_database=unusable is None,
        on_error=errors.__setitem__,
    )
    yield from examine_configuration(settings)
    yield from examine_secrets(settings)
    yield from ([unusable] if unusable else examine_database(settings, state["checks"], errors))
    yield from examine_redis(settings, state["checks"]["redis"], errors)
    yield from examine_jobs(state)
    yield from examine_mail(settings)
    yield from _disk(settings)
    for name, breaker in state["upstreams"].items():
        is_open = breaker != "closed"
        yield found("upstreams", not is_open, f"{name}: {breaker}", "", worse=Verdict.WARNING)


def _disk(settings: Settings) -> Iterator[Finding]:
    places = {settings.instance_path}
    if file := sqlite_file(db.engine.url):
        places.add(file.parent)
    for place in sorted(places):
        try:
            free = shutil.disk_usage(place).free
        except OSError as error:
            advice = "Make the folder, or let the user that runs this enter it."
            yield Finding("disk", Verdict.FAILED, f"{place} cannot be used: {error.strerror}", advice)
            continue
        worse = Verdict.FAILED if free < DISK_FAILURE else Verdict.WARNING
        yield found("disk", free >= DISK_WARNING, f"{free / 1e9:,.1f} GB free at {place}", "Make room.", worse=worse)
        can_write = os.access(place, os.W_OK)
        if not can_write:
            yield Finding("disk", Verdict.FAILED, f"{place} cannot be written", "Give it to the user that runs this.")
