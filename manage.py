#!/usr/bin/env python3
"""Every command of Tasklane by name, and the one file that knows api, core and workers together."""

import gc
import signal

if __name__ == "__main__":
    # Ctrl-C while the modules load ends the process at once, without a word; `main` undoes this.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # To look for garbage among what modules make while they load, again and again, takes a third of that time.
    gc.disable()

import importlib
import os
import sys
import warnings
from pathlib import Path
from typing import TextIO

import click

# Where each command is and what `--help` says of it. A module is loaded when its command is
# called, because loading all of them takes longer than most commands do.
COMMANDS = {
    "dev": ("core.commands.dev:dev", "Run everything on this machine: database, queue server, web, worker, scheduler."),
    "serve": ("core.commands.serve:serve", "Serve the API with waitress, and nothing else."),
    "worker": ("workers.commands:worker", "Run jobs."),
    "scheduler": ("workers.commands:scheduler", "Order scheduled jobs, and send due ones to the queues."),
    "db": ("flask_migrate.cli:db", "Perform database migrations."),
    "init-db": ("core.commands.data:init_db", "Create the database, or bring it to the newest version."),
    "seed": ("core.commands.data:seed_command", "Create the demo accounts `admin` and `user` and some example tasks."),
    "import": (
        "core.commands.import_:import_command",
        "Import tasks, posts, items or users from FILE, without a worker.",
    ),
    "user": ("core.commands.users:user", "Create, list, change and delete accounts."),
    "jobs": ("core.commands.jobs:jobs", "Look at background jobs, cancel them, have them tried again."),
    "export": ("api.commands:export", "Write tasks, posts, items or users to a file, all rows of one moment."),
    "doctor": (
        "core.commands.doctor:doctor",
        "Examine the installation: database, Redis, clocks, secrets, mail, workers, disk.",
    ),
    "backup": (
        "core.commands.backup:backup",
        "Write a backup to TARGET, a folder or a new file, while everything runs.",
    ),
    "restore": (
        "core.commands.backup:restore",
        "Replace the database by that of the backup FILE. Stop Tasklane before, and start it after.",
    ),
    "mail": ("core.commands.mail:mail", "Try out the mail server."),
    "config": ("core.commands.config:config", "Print the effective settings and where each comes from."),
    "reference": ("api.commands:reference_command", "Print the API reference as Markdown."),
    "routes": ("api.commands:routes", "Show the routes of the API."),
    "shell": ("api.commands:shell", "Run a Python shell in the context of the application."),
}


# Names, for the processes that this one starts, what was shown already.
SHOWN = "_TASKLANE_SHOWN"

# Started by other commands only.
HIDDEN_COMMANDS = {"serve-process": ("api.commands:serve_process", "Serve on a socket that listens already.")}


class Commands(click.Group):
    """The commands, each loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        place = COMMANDS.get(cmd_name) or HIDDEN_COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, name = place[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        if __name__ == "__main__":
            # What the modules have left stays to the end, and nobody has to look at it any more.
            gc.freeze()
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.pass_context
def cli(ctx: click.Context) -> None:
    """Tasklane, a self-hosted task API.

    Start everything on this machine with `manage.py dev`. On a platform, run
    `serve`, `worker` and `scheduler` as processes of their own. Settings come
    from config.toml, instance/config.toml, .env and the environment; `config`
    shows the result.
    """
    if ctx.invoked_subcommand == "db":
        # Flask-Migrate's commands look for their application here.
        script = importlib.import_module("flask.cli").ScriptInfo
        ctx.obj = script(create_app=importlib.import_module("core.bootstrap").create_core_app)


def main() -> None:
    """Run a command; what a person can mend ends in one sentence and exit code 1."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    warnings.showwarning = _show_warning
    try:
        cli.main(prog_name=Path(sys.argv[0]).name)
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        sentence = importlib.import_module("core.commands.common").explain(error)
        if sentence is None:
            raise
        click.echo(f"tasklane: {sentence}", err=True)
        sys.exit(1)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Show what an operator can mend, such as a setting that has no effect, and nothing else.

    The processes that this one starts have the same settings, and do not show it again.
    """
    shown = os.environ.get(SHOWN, "")
    if category.__name__ == "ConfigWarning" and str(message) not in shown:
        click.echo(f"tasklane: {message}", err=True)
        os.environ[SHOWN] = f"{shown}{message}\n"


if __name__ == "__main__":
    main()
