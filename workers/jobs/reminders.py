"""Ordering the reminders that are due; the schedule has this run all day."""

from core.mail.reminders import order_reminders
from core.platform.config.current import current_settings
from core.runs.run import Run


def order(run: Run, *, slot: str) -> dict[str, int]:
    """Order every reminder that is due and not ordered yet."""
    return {"ordered": order_reminders(hour=current_settings().mail.reminder_hour)}
