"""Bell that wakes the relay when a job is due, so that it need not look all the time.

It is information only: a relay that has not heard it looks by itself soon.
"""

import os

from sqlalchemy.orm import Session

from core.platform import redis
from core.platform.config.current import current_settings
from core.platform.config.settings import Settings
from core.platform.database.session import after_commit
from core.platform.redis_scripts import Script

CHANNEL = "tasklane:due"
_RING = "return tostring(redis.call('PUBLISH', ARGV[1], ''))"


class _Bell:
    """The bell of one server, rung over connections that are kept; not at all for a while after it did not answer."""

    def __init__(self, settings: Settings) -> None:
        self._script = Script(redis.connect(settings), _RING)
        self._call = self._script.call((), (CHANNEL,))
        self._absence = redis.Absence(redis.QUIET_SECONDS)

    def ring(self) -> None:
        self._absence.tell(lambda: self._script.ask(self._call))


# By process, because a fork must not share connections, and by URL.
_bells: dict[tuple[int, str], _Bell] = {}


def ring_after(session: Session) -> None:
    """Wake the relay when the transaction that makes a job due is committed."""
    after_commit(session, _ring)


def _ring() -> None:
    settings = current_settings()
    key = (os.getpid(), settings.redis_url)
    bell = _bells.get(key)
    if bell is None:
        bell = _bells.setdefault(key, _Bell(settings))
    bell.ring()
