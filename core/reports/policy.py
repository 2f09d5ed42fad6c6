"""Right to order a report."""

from core.platform.access import Actor, Permission


def may_order(actor: Actor) -> bool:
    """Return whether the actor may have tasks reported on: a report shows what reading them would."""
    return actor.has(Permission.TASKS_READ)
