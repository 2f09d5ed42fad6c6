"""Settings that follow from others: the embedded database and Redis, the secrets that Tasklane makes itself."""

import contextlib
import hashlib
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, make_url

from core.platform.config import testing
from core.platform.config.errors import ConfigError
from core.platform.config.problems import MIN_SECRET_BYTES
from core.platform.config.settings import MADE, SECRETS
from core.platform.config.urls import is_in_memory, sqlalchemy_url, sqlite_file
from core.platform.disk.private_files import new_private_file, sync_folder
from core.platform.disk.scratch import scratch_folder


def fill_in(env: str, instance_path: Path, named_path: Path, values: dict[str, Any], sources: dict[str, str]) -> None:
    """Compute what the embedded defaults leave open, and spell URLs as SQLAlchemy wants them.

    `named_path` is from where files of SQLite are named; tests write to another `instance_path`.
    """
    if not values["database_url"] or _is_asked_for_memory(env, values, sources):
        path = str(instance_path / "tasklane.db")
        values["database_url"] = URL.create("sqlite", database=path).render_as_string()
        sources["database_url"] = testing.TEMPORARY if env == "testing" else "embedded"
    values["database_url"] = _absolute(sqlalchemy_url(values["database_url"]), named_path)
    if not values["redis_url"]:
        values["redis_url"] = f"unix://{embedded_socket(instance_path)}?db=0"
        sources["redis_url"] = "embedded"
    for key in SECRETS:
        if not values[key]:
            values[key] = secrets.token_hex(32) if env == "testing" else _kept_secret(instance_path / key)
            sources[key] = "generated" if env == "testing" else MADE.format(key)
    values["log_level"] = values["log_level"].upper()
    values["public_url"] = values["public_url"].rstrip("/")


def _is_asked_for_memory(env: str, values: Mapping[str, Any], sources: Mapping[str, str]) -> bool:
    """Return whether TEST_DATABASE_URL asks for a database in memory, which only one connection could use."""
    url = make_url(sqlalchemy_url(values["database_url"]))
    is_asked = env == "testing" and sources["database_url"] != "override"
    return is_asked and url.get_backend_name() == "sqlite" and is_in_memory(url)


def _absolute(database_url: str, instance_path: Path) -> str:
    """Return the URL with the whole path of a file of SQLite, which is named from the instance folder on.

    So a command finds the same file from wherever it is run.
    """
    url = make_url(database_url)
    file = sqlite_file(url)
    # An absolute path stays what it is.
    return url.set(database=str(instance_path / file)).render_as_string() if file else database_url


def embedded_socket(instance_path: Path) -> Path:
    """Return where the embedded server of this instance folder listens.

    A unix socket's path is limited to about 100 bytes (sun_path is 104 on
    macOS), so an instance folder deep in the tree gets a short one elsewhere.
    """
    socket = instance_path / "valkey.sock"
    if len(os.fsencode(socket)) <= 100:
        return socket
    digest = hashlib.sha256(os.fsencode(instance_path)).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"tasklane-{os.getuid()}-{digest}" / "valkey.sock"


def _kept_secret(path: Path) -> str:
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
