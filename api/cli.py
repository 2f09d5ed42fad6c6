"""The commands of `manage.py` for those who type `flask --app api` instead."""

import click
from flask.cli import AppGroup

from core.operations.commands import names


class FlaskCommands(AppGroup):
    """Flask's own commands (`run`, `routes`, `shell`, `db`), and all others of Tasklane."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *names.COMMANDS})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or names.load(cmd_name)
