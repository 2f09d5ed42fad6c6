"""Long polling within bounds: those who wait must leave threads for those who work."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app

from core.platform.config.current import current_settings

MAX_WAIT = 30
EXTENSION = "tasklane.waiting"
LEAVING = "tasklane.leaving"


def init_waiting(app: Flask) -> None:
    """Let at most half of the request threads wait."""
    with app.app_context():
        app.extensions[EXTENSION] = threading.BoundedSemaphore(max(current_settings().threads // 2, 1))
    app.extensions[LEAVING] = threading.Event()


def end_waiting(app: Flask) -> None:
    """Answer every caller who waits at once, now and from now on: this process leaves."""
    leaving: threading.Event = app.extensions[LEAVING]
    leaving.set()


def current_leaving() -> threading.Event:
    """Return what is set when this process leaves, so that a wait can end with it."""
    leaving: threading.Event = current_app.extensions[LEAVING]
    return leaving


@contextmanager
def waiting(seconds: float) -> Iterator[float]:
    """Yield how long the caller may wait: as long as they ask for, or 0 if too many wait already."""
    places: threading.BoundedSemaphore = current_app.extensions[EXTENSION]
    if not seconds or not places.acquire(blocking=False):
        yield 0
        return
    try:
        yield seconds
    finally:
        places.release()
