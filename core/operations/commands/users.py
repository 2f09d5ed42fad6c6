"""Managing accounts."""

import sys
from typing import Any

import click

from core.auth import accounts
from core.operations.commands.common import in_app, refusals
from core.platform.access import OPERATOR, Role
from core.platform.config.current import current_settings
from core.platform.preconditions import ANY_STATE
from core.removal import service as removal
from core.users import service as users
from core.users.model import User


@click.group()
def user() -> None:
    """Create, list, change and delete accounts. NAME is a username or an e-mail address."""


_password_stdin = click.option(
    "--password-stdin", is_flag=True, help="Read the password from standard input, one line."
)


def _read_password(from_stdin: bool) -> str:
    if from_stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=True))


@user.command("create")
@click.argument("name")
@click.argument("email")
@click.option("--role", type=click.Choice([role.value for role in Role]), default=Role.USER.value, show_default=True)
@_password_stdin
@in_app
def create_user(name: str, email: str, role: str, password_stdin: bool) -> None:
    """Create an account with the username NAME and the address EMAIL.

    Asks for the password unless --password-stdin is given.
    """
    password = _read_password(password_stdin)
    with refusals():
        created = accounts.create(username=name, email=email, password=password, role=Role(role))
    click.echo(f"Created {created.role} {created.username} with id {created.id}.")


@user.command("list")
@in_app
def list_users() -> None:
    """List all accounts."""
    for row in users.list_all():
        state = "active" if row.is_active else "inactive"
        click.echo(f"{row.id:>6}  {row.role:<6} {state:<9} {row.username:<24} {row.email}")


@user.command("password")
@click.argument("name")
@_password_stdin
@in_app
def set_password(name: str, password_stdin: bool) -> None:
    """Give NAME a new password and end all sessions and API keys of the account."""
    password = _read_password(password_stdin)
    with refusals():
        row = users.get_by_login(name)
        accounts.set_password(user_id=row.id, password=password, secret_keys=current_settings().secret_keys)
    click.echo(f"{row.username} has a new password.")


@user.command("role")
@click.argument("name")
@click.argument("role", type=click.Choice([role.value for role in Role]))
@in_app
def set_role(name: str, role: str) -> None:
    """Give NAME a role. The last active administrator stays one."""
    row = _change(name, role=role)
    click.echo(f"{row.username} is now {row.role}.")


def _change(name: str, **values: Any) -> User:
    with refusals():
        return accounts.change(OPERATOR, ANY_STATE, user_id=users.get_by_login(name).id, **values)


@user.command("activate")
@click.argument("name")
@in_app
def activate_user(name: str) -> None:
    """Let NAME log in again."""
    click.echo(f"{_change(name, is_active=True).username} is active.")


@user.command("deactivate")
@click.argument("name")
@in_app
def deactivate_user(name: str) -> None:
    """Lock NAME out and end all sessions and API keys of the account."""
    click.echo(f"{_change(name, is_active=False).username} is inactive.")


@user.command("delete")
@click.argument("name")
@click.option("--transfer-to", metavar="NAME", help="Who gets everything that the account has.")
@in_app
def delete_user(name: str, transfer_to: str | None) -> None:
    """Delete the account of NAME. Refuses to lose anything: see --transfer-to."""
    with refusals():
        row = users.get_by_login(name)
        receiver = None if transfer_to is None else users.get_by_login(transfer_to).id
        removal.delete_user(OPERATOR, ANY_STATE, user_id=row.id, transfer_to=receiver)
    click.echo(f"{row.username} is deleted.")
