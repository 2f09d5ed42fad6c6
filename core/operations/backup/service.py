"""Making backups, looking at them, and restoring them.

A backup is a compressed tar file: `manifest.json` says what it is, `database`
is the copy of the database, and `secrets/` has the secrets that Tasklane made
itself. Without these no script could log in with an API key after a restore, so
whoever has the file has them: it is readable for its owner only.

Redis is not part of it: whatever has to outlive a restart is in the database.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from core.operations.backup import archive
from core.operations.backup.archive import Manifest
from core.operations.backup.engines import BackupError, engine_of
from core.platform import clock
from core.platform.config.settings import SECRETS, Settings
from core.platform.database.migrations import known_revisions
from core.platform.disk.private_files import sync_folder
from core.platform.disk.scratch import scratch_folder


def make(settings: Settings, target: Path, *, in_folder: bool = False) -> tuple[Path, Manifest]:
    """Make a backup in a folder, or as a file that does not exist yet; return where it is, and what it is.

    With `in_folder` the target is a folder, which is made for its owner only if there is none.
    It appears under its name when it is complete and on the disk. Raises BackupError.
    """
    engine = engine_of(settings.database_url)
    revision = engine.revision()
    if not revision:
        raise BackupError("The database is empty, so there is nothing to back up.")
    if in_folder:
        _make_folder(target)
    now = clock.now()
    path = target / f"tasklane-{now:%Y%m%dT%H%M%SZ}.tar.gz" if target.is_dir() else target
    if path.exists():
        raise BackupError(f"{path} exists already.")
    if not path.parent.is_dir():
        raise BackupError(f"There is no folder {path.parent}.")
    try:
        # Beside the target, where there has to be room anyway.
        with scratch_folder(path.parent, ".tasklane-") as folder:
            copy = folder / "database"
            engine.copy_to(copy, folder)
            size, digest = archive.measured(copy)
            manifest = Manifest(archive.FORMAT, engine.name, revision, f"{now:%Y-%m-%dT%H:%M:%SZ}", size, digest)
            draft = folder / "backup"
            archive.write(draft, manifest, copy, _generated_secrets(settings))
            os.replace(draft, path)
            sync_folder(path.parent)
    except OSError as error:
        raise BackupError(f"{path} cannot be written: {error.strerror}.") from None
    return path, manifest


def _make_folder(folder: Path) -> None:
    """Make a folder, and those above it that are missing, for its owner only."""
    try:
        for missing in [place for place in (*reversed(folder.parents), folder) if not place.exists()]:
            missing.mkdir(mode=0o700, exist_ok=True)
        if not folder.is_dir():
            raise BackupError(f"{folder} is not a folder.")
    except OSError as error:
        raise BackupError(f"The folder {folder} cannot be made: {error.strerror}.") from None


def prune(folder: Path, keep: int) -> list[Path]:
    """Delete all but the newest backups in a folder, and return what was deleted."""
    old = sorted(folder.glob("tasklane-*Z.tar.gz"), reverse=True)[keep:]
    for path in old:
        path.unlink()
    return old


def examine(settings: Settings, path: Path) -> Manifest:
    """Return what a backup is, having read all of it. Raises BackupError if anything is missing or damaged."""
    with _unpacked(path, settings) as (manifest, _):
        return manifest


def restore(settings: Settings, path: Path, *, replace: bool) -> Manifest:
    """Replace the database by that of a backup, whole or not at all, and return what the backup is.

    A database that has something in it is only replaced if `replace` says so.
    Raises BackupError, also for a backup by a newer version of Tasklane.
    """
    engine = engine_of(settings.database_url)
    with _unpacked(path, settings) as (manifest, folder):
        if manifest.engine != engine.name:
            raise BackupError(
                f"The backup is of {manifest.engine}, and the database of this installation is {engine.name}."
                " Use `export` and `import` to move from one to the other."
            )
        if manifest.revision not in known_revisions():
            raise BackupError(f"The backup is by a newer version of Tasklane (schema {manifest.revision}).")
        if engine.revision() and not replace:
            raise BackupError("The database is not empty. Say --replace to give up everything that is in it.")
        engine.read_from(folder / "database", folder)
        # After it: an installation whose database stays as it is keeps its secrets.
        _restore_secrets(settings, folder / "secrets")
    return manifest


@contextmanager
def _unpacked(path: Path, settings: Settings) -> Iterator[tuple[Manifest, Path]]:
    """Unpack a backup into a folder for as long as it takes, all of it checked."""
    with ExitStack() as stack:
        try:
            settings.instance_path.mkdir(parents=True, exist_ok=True)
            # Not where the system keeps temporary files, which may be smaller than the database.
            folder = stack.enter_context(scratch_folder(settings.instance_path, ".restore-"))
            manifest = archive.unpack(path, folder)
        except OSError as error:
            raise BackupError(f"{settings.instance_path} cannot be written: {error.strerror}.") from None
        yield manifest, folder


# --- the secrets ----------------------------------------------------------------


def _generated_secrets(settings: Settings) -> dict[str, str]:
    return {name: getattr(settings, name) for name in SECRETS if settings.has_made(name)}


def _restore_secrets(settings: Settings, folder: Path) -> None:
    """Put the secrets of a backup where this installation keeps its own, unless it gets them from elsewhere."""
    for name in SECRETS:
        if (folder / name).exists() and settings.has_made(name):
            os.replace(folder / name, settings.instance_path / name)
    sync_folder(settings.instance_path)
