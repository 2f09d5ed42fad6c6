"""Cached answers: expensive to make, and used for as long as they are true.

Every entry carries the stamp of what it was made from (`core.platform.cache.marks`), and is
found only under the same stamp. So an entry can be old, but never stale, also
when another process has written; and no entry ever has to be searched for and
removed in other processes. docs/caching.md lists what is cached.

Entries are bytes. In Redis they are signed, so that no program that can write there
can put words into the mouth of the API, and nothing is ever unpickled.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable
from functools import cache as once
from typing import Any, TypeVar

from flask import Flask, current_app
from flask_caching import Cache
from flask_caching.backends.base import BaseCache
from redis import Redis
from redis.exceptions import RedisError
from sqlalchemy.orm import Session

from core.platform import redis
from core.platform.cache.marks import service as marks
from core.platform.cache.marks.model import Topic
from core.platform.cache.marks.repository import MarkRepository
from core.platform.cache.memory import MemoryCache
from core.platform.config.load import ROOT
from core.platform.config.settings import Settings
from core.platform.database.base import db
from core.platform.database.session import snapshot

log = logging.getLogger("tasklane.cache")

# The longest time that an entry is cached. It is for the memory, not for the truth.
SECONDS = 3600
# What is larger is made anew each time; so many bytes are cached in one process.
MAX_ENTRY_BYTES = 1024 * 1024
MAX_MEMORY_BYTES = 32 * 1024 * 1024
# How long a request waits for the server at most, and how long it is left alone after a failure.
REDIS_TIMEOUT = 0.2
REDIS_PAUSE = 5.0
_SIGNATURE_BYTES = 16

Value = TypeVar("Value")


class MemoryBytes(BaseCache):
    """A backend of Flask-Caching: bytes in this process. What was not asked for the longest makes room."""

    def __init__(self) -> None:
        super().__init__(default_timeout=SECONDS)
        self._entries = MemoryCache(max_total_bytes=MAX_MEMORY_BYTES)

    def get(self, key: str) -> bytes | None:
        return self._entries.find((key,))

    def set(self, key: str, value: bytes, timeout: Any = None) -> bool:
        self._entries.keep((key,), value, seconds=SECONDS)
        return True


class RedisBytes(BaseCache):
    """A backend of Flask-Caching: signed bytes on a server for all processes. No answer of it is a miss."""

    def __init__(self, client: "Redis", signing_key: bytes) -> None:
        super().__init__(default_timeout=SECONDS)
        self._client = client
        self._signing_key = signing_key
        self._absence = redis.Absence(REDIS_PAUSE)

    @classmethod
    def factory(cls, app: Flask, config: dict[str, Any], args: list[Any], kwargs: dict[str, Any]) -> "RedisBytes":
        return cls(kwargs["client"], kwargs["signing_key"])

    def get(self, key: str) -> bytes | None:
        found = self._ask(lambda client: client.get(key))
        if not isinstance(found, bytes):
            return None
        signature, value = found[:_SIGNATURE_BYTES], found[_SIGNATURE_BYTES:]
        # Also whatever another program, or another installation, has put there.
        return value if hmac.compare_digest(signature, self._signature(key, value)) else None

    def set(self, key: str, value: bytes, timeout: Any = None) -> bool:
        signed = self._signature(key, value) + value
        return bool(self._ask(lambda client: client.set(key, signed, ex=SECONDS)))

    def _signature(self, key: str, value: bytes) -> bytes:
        # With the key, so that a true answer cannot be passed off as that to another question.
        text = key.encode() + b"\n" + value
        return hashlib.blake2b(text, key=self._signing_key, digest_size=_SIGNATURE_BYTES).digest()

    def _ask(self, question: Callable[["Redis"], Value]) -> Value | None:
        if not self._absence.may_try():
            return None
        try:
            answer = question(self._client)
        except (RedisError, OSError) as error:
            if self._absence.note_failure():
                log.warning("The cache does not answer, so answers are made anew: %s", type(error).__name__)
            return None
        self._absence.note_answer()
        return answer


class StampedCache:
    """A Flask-Caching cache whose entries say what they were made from."""

    def __init__(self) -> None:
        self._entries = Cache(with_jinja2_ext=False)
        self._near_entries = Cache(with_jinja2_ext=False)

    def init_app(self, app: Flask, settings: Settings) -> None:
        """Give the application a cache: of its own, or on a server."""
        # Neither another version of the code nor another secret has made what this one finds.
        app.extensions[_EDITION] = hashlib.sha256(f"{code_digest()} {settings.secret_key}".encode()).digest()
        in_memory = {"CACHE_TYPE": "core.platform.cache.answers.MemoryBytes", "CACHE_DEFAULT_TIMEOUT": SECONDS}
        config: dict[str, Any] = dict(in_memory)
        if settings.cache.backend == "redis":
            client = redis.connect(settings, url=settings.cache.url, timeout=REDIS_TIMEOUT)
            config["CACHE_TYPE"] = "core.platform.cache.answers.RedisBytes"
            config["CACHE_OPTIONS"] = {"client": client, "signing_key": app.extensions[_EDITION]}
        self._entries.init_app(app, config)
        self._near_entries.init_app(app, in_memory)

    def get(self, key: str, *, stamp: str, near: bool = False, is_counted: bool = True) -> bytes | None:
        """Return what was cached under the key if it was made from the data of this stamp.

        What is cached `near` is in this process whatever the configuration: what one
        statement makes again is not worth the way to a server. Who does not know yet whether the
        answer will be given counts the look-up later.
        """
        entry: bytes = self._choose(near).get(self._name(key)) or b""
        made_from, _, value = entry.partition(b"\n")
        is_hit = made_from == stamp.encode()
        meters = current_app.extensions.get(METERS)
        if meters is not None and is_counted:
            meters.count_lookup(is_near=near, is_hit=is_hit)
        return value if is_hit else None

    def set(self, key: str, value: bytes, *, stamp: str, near: bool = False) -> None:
        """Cache a value that was made from the data of this stamp, instead of an earlier one."""
        if len(value) <= MAX_ENTRY_BYTES:
            self._choose(near).set(self._name(key), stamp.encode() + b"\n" + value)

    def memoized(self, key: str, *topics: Topic, make: Callable[[Session], bytes], condition: str = "") -> bytes:
        """Return what `make` makes of one state of these tables, cached until anything in them changes.

        Under a key there is one entry; `condition` is on what else it depends,
        such as the day. What `make` raises passes through, and is not cached.
        """
        stamp = f"{marks.stamp(db.session(), *topics)} {condition}"
        value = self.get(key, stamp=stamp)
        if value is None:
            with snapshot() as session:
                stamp = f"{MarkRepository(session).stamp(*topics)} {condition}"
                value = make(session)
            self.set(key, value, stamp=stamp)
        return value

    def _choose(self, near: bool) -> Cache:
        return self._near_entries if near else self._entries

    def edition(self) -> bytes:
        """Return the prefix that separates this installation and version of the code from others."""
        edition: bytes = current_app.extensions[_EDITION]
        return edition

    def _name(self, key: str) -> str:
        digest = hashlib.blake2b(key.encode(), key=self.edition(), digest_size=20).hexdigest()
        return f"tasklane:cache:{digest}"


_EDITION = "tasklane.edition"
# Under this name the web application has the counter of look-ups, if there is one.
METERS = "tasklane.meters"


@once
def code_digest() -> str:
    """Return a digest of the code that makes answers."""
    digest = hashlib.blake2b(digest_size=16)
    for folder in ("api", "core"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()


cache = StampedCache()
