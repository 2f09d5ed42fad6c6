"""Answers that were expensive to make, kept for as long as they are true.

Every entry carries the stamp of what it was made from (`core.changes`), and is
found only under the same stamp. So an entry can be old, but never stale, also
when another process has written; and no entry ever has to be searched for and
removed in other processes.
"""

from typing import Any

from cachelib.serializers import BaseSerializer
from flask import Flask
from flask_caching import Cache

# Entries; the one made longest ago gives way.
THRESHOLD = 500
SECONDS = 3600


class _Bytes(BaseSerializer):
    """Keeps bytes as they are: a cache must never be a way to smuggle in a pickle."""

    def dumps(self, value: Any, protocol: int = 0) -> bytes:
        return bytes(value)

    def loads(self, bvalue: bytes) -> bytes:
        return bvalue


class StampedCache:
    """A Flask-Caching cache whose entries say what they were made from."""

    def __init__(self) -> None:
        self._entries = Cache(with_jinja2_ext=False)

    def init_app(self, app: Flask) -> None:
        """Give the application a cache of its own, in this process."""
        app.config.update(
            CACHE_TYPE="SimpleCache",
            CACHE_SERIALIZER=_Bytes,
            CACHE_THRESHOLD=THRESHOLD,
            CACHE_DEFAULT_TIMEOUT=SECONDS,
        )
        self._entries.init_app(app)

    def get(self, key: str, *, stamp: str) -> bytes | None:
        """Return what was kept under the key if it was made from the data of this stamp."""
        entry: bytes = self._entries.get(key) or b""
        made_from, _, value = entry.partition(b"\n")
        return value if made_from == stamp.encode() else None

    def set(self, key: str, value: bytes, *, stamp: str) -> None:
        """Keep a value that was made from the data of this stamp, instead of an earlier one."""
        self._entries.set(key, stamp.encode() + b"\n" + value)

    def delete(self, key: str) -> None:
        """Forget what was kept under the key."""
        self._entries.delete(key)


cache = StampedCache()
