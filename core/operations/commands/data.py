"""Making the database, and filling it."""

import click

from core.operations import demo
from core.operations.commands.common import in_app
from core.platform.database.migrations import upgrade_database


@click.command("init-db")
@in_app
def init_db() -> None:
    """Create the database, or bring it to the newest version. May be repeated."""
    upgrade_database()
    click.echo("The database is up to date.")


@click.command("seed")
@in_app
def seed_command() -> None:
    """Create the demo accounts `admin` and `user` and some example tasks. May be repeated.

    Prints the password of each account that it creates; it cannot be shown again.
    """
    passwords = demo.create_demo_users()
    count = demo.create_example_tasks()
    for username, password in passwords.items():
        click.echo(f"username {username}   password {password}")
    click.echo(f"{len(passwords)} accounts and {count} tasks created.")
