#!/usr/bin/env python3
"""Every command of Tasklane by name, and the one file that knows api, core and workers together."""

import gc
import signal
import sys

if __name__ == "__main__":
    # A client that only some installations use brings a command line of its own, and with it what colours terminals:
    # each process would have 3 MB more, and start later. It does without where that cannot be imported.
    sys.modules["httpx._main"] = None  # type: ignore[assignment]
    # Ctrl-C while the modules load ends the process at once, without a word; `main` undoes this.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    # To look for garbage among what modules make while they load, again and again, takes a third of that time.
    gc.disable()

import importlib
import os
import warnings
from pathlib import Path
from typing import TextIO

import click

from core.operations.commands import names

# Variable by which the processes that this one starts know what was shown already.
SHOWN = "_TASKLANE_SHOWN"


class Commands(click.Group):
    """The commands, each loaded when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(names.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        command = names.load(cmd_name)
        if __name__ == "__main__":
            # What the modules have left stays to the end, and is not looked at any more.
            gc.freeze()
            gc.enable()
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in names.COMMANDS.items()])


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
        sentence = importlib.import_module("core.operations.commands.common").explain(error)
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
