"""Jobs that the service orders for itself."""

from core.operations.cleanup import clean_up as forget
from core.platform.config.current import current_settings
from core.runs.run import Run


def clean_up(run: Run, *, slot: str) -> dict[str, int]:
    """Delete expired sessions, files, finished jobs, slots of the schedule and what has long been in the trash."""
    return forget(current_settings(), run.require_held)
