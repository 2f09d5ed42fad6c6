"""The scheduler process: it runs the relay."""

import logging
import signal
import threading

from flask import Flask

from core.bootstrap import current_settings
from workers.relay import Relay

log = logging.getLogger("tasklane.scheduler")


def run(app: Flask) -> None:
    """Run until SIGINT or SIGTERM. Needs the main thread, for the signals."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda signum, frame: stop.set())
    with app.app_context():
        log.info("Scheduler started")
        Relay(current_settings()).run(stop)
    log.info("Scheduler stopped")
