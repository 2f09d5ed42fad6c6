"""Let requests meet again and again: the last owners of projects, and many callers who want the same rows.

`python -m tests.faults.races --engine postgresql` exits with 1 if a project is
left without an owner, or if anybody is answered with 5xx.
"""

import sys

import click

from api import create_app
from core.platform.access import Role
from core.platform.database.base import db
from core.platform.database.migrations import upgrade_database
from tests.faults.crowd import database_of, database_options
from tests.faults.report import table
from tests.faults.stack import new_settings
from tests.support.people import make_person
from tests.support.races import PAIRS, RACES, Crowding, make_owners, race_for_the_last_owner


@click.command()
@database_options
@click.option("--rounds", default=100, show_default=True, help="How often each race is run.")
@click.option("--size", default=6, show_default=True, help="How many of each sort meet.")
def main(engine: str, database: str | None, rounds: int, size: int) -> None:
    """Run every race so many times. Exits with 1 if one leaves a project ownerless or is answered with 5xx."""
    with new_settings(engine, **database_of(database)) as (settings, _, _):
        app = create_app(settings=settings)
        with app.app_context():
            upgrade_database()
        admin = make_person(app, "races.admin", Role.ADMIN)
        wrong: list[str] = []
        for _ in range(rounds):
            for pair, world in zip(PAIRS, make_owners(app, admin, len(PAIRS)), strict=True):
                found = race_for_the_last_owner(world, pair)
                wrong += [found] if found else []
        answers = {}
        for name, race in RACES.items():
            crowd = Crowding(app, admin)
            for _ in range(rounds):
                race(crowd, size)
            answers[name] = crowd.answers
        with app.app_context():
            db.engine.dispose()
    broken = sum(count for counter in answers.values() for status, count in counter.items() if status >= 500)
    rows = [("owners", f"{rounds * len(PAIRS)} races, {len(wrong)} wrong")]
    click.echo(table([*rows, *((name, dict(sorted(counter.items()))) for name, counter in answers.items())]))
    for sentence in wrong[:20]:
        click.echo(sentence, err=True)
    sys.exit(1 if wrong or broken else 0)


if __name__ == "__main__":
    main()
