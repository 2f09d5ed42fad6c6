"""Every command by its name, for the programs that know them: `manage.py`, and `flask --app api`."""

import importlib

import click

# Where each command is and what `--help` says of it. A module is loaded when its command is
# called, because loading all of them takes longer than most commands do.
COMMANDS = {
    "dev": (
        "core.operations.commands.dev:dev",
        "Run everything on this machine: database, queue server, web, worker, scheduler.",
    ),
    "serve": ("core.operations.commands.serve:serve", "Serve the API with waitress, and nothing else."),
    "worker": ("workers.commands:worker", "Run jobs."),
    "scheduler": ("workers.commands:scheduler", "Order scheduled jobs, and send due ones to the queues."),
    "db": ("flask_migrate.cli:db", "Perform database migrations."),
    "init-db": ("core.operations.commands.data:init_db", "Create the database, or bring it to the newest version."),
    "seed": (
        "core.operations.commands.data:seed_command",
        "Create the demo accounts `admin` and `user` and some example tasks.",
    ),
    "import": (
        "core.operations.commands.import_:import_command",
        "Import tasks, posts, items or users from FILE, without a worker.",
    ),
    "user": ("core.operations.commands.users:user", "Create, list, change and delete accounts."),
    "jobs": ("core.operations.commands.jobs:jobs", "Look at background jobs, cancel them, have them tried again."),
    "export": ("api.commands:export", "Write tasks, posts, items or users to a file, all rows of one moment."),
    "doctor": (
        "core.operations.commands.doctor:doctor",
        "Examine the installation: database, Redis, clocks, secrets, mail, workers, disk.",
    ),
    "backup": (
        "core.operations.commands.backup:backup",
        "Write a backup to TARGET, a folder or a new file, while everything runs.",
    ),
    "restore": (
        "core.operations.commands.backup:restore",
        "Replace the database by that of the backup FILE. Stop Tasklane before, and start it after.",
    ),
    "mail": ("core.operations.commands.mail:mail", "Try out the mail server."),
    "config": ("core.operations.commands.config:config", "Print the effective settings and where each comes from."),
    "reference": ("api.commands:reference_command", "Print the API reference as Markdown."),
    "openapi": ("api.commands:openapi", "Print the OpenAPI document, in version 3.1 or 2.0."),
    "routes": ("api.commands:routes", "Show the routes of the API."),
    "shell": ("api.commands:shell", "Run a Python shell in the context of the application."),
}

# Started by other commands only.
HIDDEN_COMMANDS = {"serve-process": ("api.commands:serve_process", "Serve on a socket that listens already.")}


def load(name: str) -> click.Command | None:
    """Return a command, or None if there is none of this name."""
    place = COMMANDS.get(name) or HIDDEN_COMMANDS.get(name)
    if place is None:
        return None
    module, _, attribute = place[0].partition(":")
    command: click.Command = getattr(importlib.import_module(module), attribute)
    return command
