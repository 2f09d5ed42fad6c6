"""Bell that wakes the relay when a job is due, so that it need not look all the time.

It is information only: a relay that has not heard it looks by itself soon.
"""

from sqlalchemy.orm import Session

from core.platform import redis
from core.platform.config.current import current_settings
from core.platform.database.session import after_commit

CHANNEL = "tasklane:due"


def ring_after(session: Session) -> None:
    """Wake the relay when the transaction that makes a job due is committed."""
    after_commit(session, _ring)


def _ring() -> None:
    redis.tell(current_settings(), lambda pipeline: pipeline.publish(CHANNEL, ""))
