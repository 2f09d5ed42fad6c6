"""The commands that move and run jobs."""

import sys

import click
from flask import Flask

from core.bootstrap import create_core_app, current_settings
from core.commands.common import die_with_parent, exit_with_parent_option
from core.jobs.kinds import QUEUES
from core.logs import configure_logging
from workers import scheduler as scheduler_process
from workers.runner import TasklaneWorker


@click.command()
@click.option("--queues", default=",".join(QUEUES), show_default=True, help="Queues to work on, most urgent first.")
@click.option("--burst", is_flag=True, help="Leave when the queues are empty.")
@exit_with_parent_option
def worker(queues: str, burst: bool, exit_with_parent: int | None) -> None:
    """Run jobs. SIGTERM lets a short job finish and hands a long one back."""
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise click.BadParameter(f"The queues are {', '.join(QUEUES)}.", param_hint="--queues")
    app = _core_app_with_logs()
    die_with_parent(exit_with_parent)
    TasklaneWorker(app, names).work(burst=burst, logging_level="WARNING")


@click.command()
@exit_with_parent_option
def scheduler(exit_with_parent: int | None) -> None:
    """Order scheduled jobs, and send due ones to the queues. Several may run; nothing happens twice."""
    app = _core_app_with_logs()
    die_with_parent(exit_with_parent)
    scheduler_process.run(app)


def _core_app_with_logs() -> Flask:
    """Return the core application of a long-running process, whose output is its log."""
    app = create_core_app()
    with app.app_context():
        configure_logging(current_settings(), sys.stdout)
    return app
