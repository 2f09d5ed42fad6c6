"""The secrets that Tasklane makes itself and keeps in the instance folder."""

import contextlib
import os
import secrets
from pathlib import Path

from core.platform.config.errors import ConfigError
from core.platform.config.rules import MIN_SECRET_BYTES
from core.platform.disk.private_files import new_private_file, sync_folder
from core.platform.disk.scratch import scratch_folder


def kept_secret(path: Path) -> str:
    """Return the secret in `path`, made at first use so that tokens survive a restart."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            # Written whole beside it, then linked: two processes that start
            # together agree on one secret, and neither reads half of one.
            with scratch_folder(path.parent, f".{path.name}-") as folder:
                with new_private_file(folder / "draft") as file:
                    file.write(secrets.token_hex(32).encode())
                with contextlib.suppress(FileExistsError):
                    os.link(folder / "draft", path)
            sync_folder(path.parent)
        kept = path.read_text().strip()
    except OSError as error:
        raise ConfigError(f"The instance folder {path.parent} is not usable: {error.strerror}.") from None
    if len(kept) < MIN_SECRET_BYTES:
        raise ConfigError(f"{path} is damaged. Delete it to get a new secret; everybody has to log in again then.")
    return kept
