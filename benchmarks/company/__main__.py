"""Fill the database that Tasklane is set to use: `python -m benchmarks.company small`.

A company has 100 (small), 10,000 (medium) or a million (large) tasks. What was interrupted
goes on where it stopped, and what is complete stays as it is.
"""

import sys

import click

from benchmarks.company import store
from benchmarks.company.rows import PLANS, Size
from core.operations.commands.common import in_app, refusals


@click.command()
@click.argument("size", type=click.Choice([size.value for size in Size]))
@click.option("--seed", type=int, default=1, show_default=True, help="Another number, another company.")
@in_app
def company(size: str, seed: int) -> None:
    """Store a company of a size, and print the password that all its people have."""
    wanted = Size(size)
    with refusals():
        password = store.begin(wanted, seed=seed)
    if password:
        click.echo(f"{PLANS[wanted].users} accounts at {size}.example.com created, with the password {password}")
    missing = store.missing(wanted)
    if not missing:
        click.echo(f"The {size} company is there already.")
        return
    with click.progressbar(length=missing, label="Tasks", file=sys.stderr, show_pos=True) as progress:
        for count in store.fill(wanted):
            progress.update(count)
    click.echo(f"{missing} tasks of the {size} company created.")


if __name__ == "__main__":
    company()
