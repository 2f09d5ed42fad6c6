"""Making the database, and filling it."""

import sys

import click

from core.bootstrap import upgrade_database
from core.operations.commands.common import in_app
from core.operations.commands.process import Failure
from core.operations.demo import accounts, volume
from core.operations.demo.rows import PLANS, Size
from core.platform.errors import Conflict


@click.command("init-db")
@in_app
def init_db() -> None:
    """Create the database, or bring it to the newest version. May be repeated."""
    upgrade_database()
    click.echo("The database is up to date.")


@click.command("seed")
@click.option("--size", type=click.Choice([size.value for size in Size]), help="Add bulk data as well.")
@click.option("--seed", "number", type=int, default=1, show_default=True, help="Another number, other bulk data.")
@in_app
def seed_command(size: str | None, number: int) -> None:
    """Create the demo accounts `admin` and `user` and some example tasks. May be repeated.

    Prints the password of each account that it creates; it cannot be shown again.
    With --size, a demo company follows: 100 (small), 10,000 (medium) or a million
    (large) tasks with people, projects, items and posts of the last year. What was
    interrupted goes on where it stopped, and what is complete stays as it is.
    """
    passwords = accounts.create_demo_users()
    count = accounts.create_example_tasks()
    for username, password in passwords.items():
        click.echo(f"username {username}   password {password}")
    click.echo(f"{len(passwords)} accounts and {count} tasks created.")
    if size:
        _seed_company(Size(size), number)


def _seed_company(size: Size, number: int) -> None:
    try:
        password = volume.begin(size, seed=number)
    except Conflict as error:
        raise Failure(f"The {size} demo company cannot be created here. {error.message}") from None
    if password:
        click.echo(f"{PLANS[size].users} accounts at {size}.example.com created, with the password {password}")
    missing = volume.missing(size)
    if not missing:
        click.echo(f"The {size} demo company is there already.")
        return
    with click.progressbar(length=missing, label="Tasks", file=sys.stderr, show_pos=True) as progress:
        stored = 0
        for count in volume.fill(size):
            progress.update(count)
            stored += count
    click.echo(f"{stored} tasks of the {size} demo company created.")
