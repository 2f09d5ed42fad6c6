"""The scheduler process: it orders what is due by the schedule, and runs the relay."""

import logging
import signal
import threading
from collections.abc import Callable
from datetime import datetime
from types import FrameType

from flask import Flask

from core.audit import rotation
from core.jobs import schedule
from core.jobs.schedule import SCHEDULE, Entry
from core.platform import clock
from core.platform.config.current import current_settings
from core.platform.database import outage_log
from core.platform.database.base import db
from core.platform.database.trouble import is_outage
from workers.relay import ALIVE_SECONDS_ONCE, Relay

log = logging.getLogger("tasklane.scheduler")

TICK_SECONDS = 1.0


def run(app: Flask, *, once: bool = False, announce: Callable[[], None] = lambda: None) -> None:
    """Run until SIGINT or SIGTERM, or only `once`. Needs the main thread, for the signals.

    `announce` is called when it has begun.
    """
    stop = threading.Event()
    with app.app_context():
        relay = Relay(current_settings())

        def leave(signum: int, frame: FrameType | None) -> None:
            stop.set()
            relay.awake.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, leave)
        if once:
            _run_once(relay)
            return
        log.info("Scheduler started")
        announce()
        # The relay has a thread of its own, so that no job waits for the schedule.
        timetable = threading.Thread(target=_follow, args=(app, stop), daemon=True)
        timetable.start()
        relay.run(stop)
        timetable.join(TICK_SECONDS * 5)
    log.info("Scheduler stopped")


def _run_once(relay: Relay) -> None:
    rotation.note(current_settings().secret_keys)
    ordered = schedule.order_due(clock.now())
    relay.tell_of_life(ALIVE_SECONDS_ONCE)
    sent = relay.send_due()
    log.info("%s scheduled jobs ordered, %s jobs sent", ordered, sent)


def _follow(app: Flask, stop: threading.Event) -> None:
    ticker = Ticker()
    noted = None
    with app.app_context():
        while not stop.wait(TICK_SECONDS):
            try:
                if noted != (today := clock.now().date()):
                    rotation.note(current_settings().secret_keys)
                    noted = today
                ticker.tick(clock.now())
            except Exception as error:
                if is_outage(error):
                    outage_log.tell(log, error)
                else:
                    log.exception("The schedule failed; it goes on.")
            finally:
                db.session.remove()


class Ticker:
    """Asks the database about an entry only when its slot has changed."""

    def __init__(self, entries: tuple[Entry, ...] = SCHEDULE) -> None:
        self.entries = entries
        self._seen: dict[str, datetime] = {}

    def tick(self, now: datetime) -> int:
        """Order what is due; return how many jobs that were."""
        ordered = 0
        for entry in self.entries:
            slot = entry.newest_slot(now)
            if self._seen.get(entry.name) != slot:
                count = schedule.order_due(now, (entry,))
                self._seen[entry.name] = slot
                if count:
                    log.info("%s ordered for its slot %s", entry.name, slot.isoformat())
                ordered += count
        return ordered
