"""The commands that move and run jobs."""

import signal
import sys

import click
from flask import Flask

from core.bootstrap import create_core_app
from core.jobs.kinds import QUEUES
from core.operations import degradation
from core.operations.commands.process import MANAGE, die_with_parent, pool_member_options, share_folder
from core.platform.config.current import current_settings
from core.platform.config.load import load_settings
from core.platform.logs.setup import configure_logging
from core.platform.process.pool import Pool, announce_ready
from workers import scheduler as scheduler_process
from workers import worker as worker_process

# What handing a job back takes at most, after the grace period is over.
HAND_BACK_SECONDS = 4.0


@click.command()
@click.option("--queues", default=",".join(QUEUES), show_default=True, help="Queues to work on, most urgent first.")
@click.option("--concurrency", type=click.IntRange(1, 64), default=1, show_default=True, help="Jobs run at once.")
@click.option("--burst", is_flag=True, help="Leave when the queues are empty.")
@pool_member_options
def worker(queues: str, concurrency: int, burst: bool, exit_with_parent: int | None, ready_fd: int | None) -> None:
    """Run jobs. SIGTERM lets a short job finish and hands a long one back.

    With --concurrency, as many processes work, and what dies is replaced; SIGHUP
    replaces them one by one, with new code and settings.
    """
    names = [name.strip() for name in queues.split(",") if name.strip()]
    unknown = [name for name in names if name not in QUEUES]
    if unknown or not names:
        raise click.BadParameter(f"The queues are {', '.join(QUEUES)}.", param_hint="--queues")
    if concurrency > 1:
        if burst:
            raise click.BadParameter("It does not go together with --concurrency.", param_hint="--burst")
        settings = load_settings()
        share_folder(settings)
        configure_logging(settings, sys.stdout)
        degradation.tell(settings)
        stop_seconds = settings.jobs.shutdown_grace_seconds + HAND_BACK_SECONDS
        Pool([*MANAGE, "worker", "--queues", queues], concurrency, stop_seconds=stop_seconds).run()
        return
    app = _core_app_with_logs(is_told_already=ready_fd is not None)
    die_with_parent(exit_with_parent)
    worker_process.run(app, names, burst=burst, announce=lambda: announce_ready(ready_fd))
    # A platform may say so twice; who is ending already ends well all the same.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


@click.command()
@click.option("--once", is_flag=True, help="Do what is due now, then leave: for hosts that have cron only.")
@pool_member_options
def scheduler(once: bool, exit_with_parent: int | None, ready_fd: int | None) -> None:
    """Order scheduled jobs, and send due ones to the queues. Several may run; nothing happens twice."""
    app = _core_app_with_logs()
    die_with_parent(exit_with_parent)
    scheduler_process.run(app, once=once, announce=lambda: announce_ready(ready_fd))


def _core_app_with_logs(*, is_told_already: bool = False) -> Flask:
    """Return the core application of a long-running process, whose output is its log."""
    app = create_core_app()
    with app.app_context():
        configure_logging(current_settings(), sys.stdout)
        if not is_told_already:
            degradation.tell(current_settings())
    return app
