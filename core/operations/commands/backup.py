"""Making backups, and restoring them."""

from pathlib import Path

import click

from core.operations.backup import service
from core.operations.backup.archive import Manifest
from core.operations.backup.engines import BackupError
from core.operations.commands.process import Failure
from core.platform.config.load import load_settings
from core.platform.config.secret_values import masked_url


@click.command()
@click.argument("target", default=".")
@click.option("--keep", type=click.IntRange(1), metavar="N", help="Then delete all but the newest N backups there.")
def backup(target: str, keep: int | None) -> None:
    """Write a backup to TARGET, a folder or a new file, while everything runs.

    With --keep, or when TARGET ends with a slash, it is a folder, and made if
    there is none.

    It has the whole database of one moment, with the files of jobs, and the
    secrets that Tasklane made itself, so keep it as safe as these. It has neither
    instance/config.toml nor the environment.
    """
    place, ends_like_folder = Path(target), target.endswith("/")
    try:
        # Who names a file that is not there yet means a file, and not a folder of this name.
        if keep and not ends_like_folder and not place.is_dir() and (place.exists() or place.suffix == ".gz"):
            raise Failure("--keep needs a folder.")
        path, manifest = service.make(load_settings(), place, in_folder=ends_like_folder or bool(keep))
        old = service.prune(place, keep) if keep else []
    except BackupError as error:
        raise Failure(str(error)) from None
    except OSError as error:
        raise Failure(f"{target} cannot be used: {error.strerror}.") from None
    click.echo(f"{path} has {_described(manifest)}.")
    for gone in old:
        click.echo(f"{gone} is deleted.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Give up what is in the database now.")
@click.option("--check", is_flag=True, help="Only say what the file has, and whether it is whole.")
def restore(file: Path, replace: bool, check: bool) -> None:
    """Replace the database by that of the backup FILE. Stop Tasklane before, and start it after.

    It is restored whole or not at all. A backup of an older version of Tasklane
    is brought to this one by `init-db`.
    """
    settings = load_settings()
    try:
        if check:
            click.echo(f"{file} is whole, and has {_described(service.examine(settings, file))}.")
            return
        manifest = service.restore(settings, file, replace=replace)
    except BackupError as error:
        raise Failure(str(error)) from None
    click.echo(f"{masked_url(settings.database_url)} has {_described(manifest)}.")
    click.echo("Run `python manage.py init-db` before you start Tasklane.")


def _described(manifest: Manifest) -> str:
    return (
        f"the {manifest.engine} database of {manifest.created_at} "
        f"(schema {manifest.revision}, {manifest.size / 1e6:,.1f} MB)"
    )
