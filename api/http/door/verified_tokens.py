"""Memory of the access tokens that this process has verified: a signature that held once holds again."""

import hashlib
import threading
import time
from collections.abc import Mapping
from typing import Any

from cachetools import LRUCache

# Some 6 MB; a token that was forgotten is only verified again.
MAX_TOKENS = 10_000


class VerifiedTokens:
    """Claims of tokens that were verified under the keys of one application, by a digest of the token.

    Those of cookies are not here: the library compares their CSRF token while it verifies them.
    What can change is judged at each request all the same: here whether the token
    has expired, and by the database whether its session still counts.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._claims: LRUCache[bytes, Mapping[str, Any]] = LRUCache(MAX_TOKENS)

    def find(self, token: str) -> Mapping[str, Any] | None:
        """Return the claims of a token that was verified and has not expired."""
        key = _digest(token)
        with self._lock:
            claims = self._claims.get(key)
            if claims is not None and claims["exp"] <= time.time():
                # The library says what is wrong with it.
                del self._claims[key]
                return None
        return claims

    def remember(self, token: str, claims: Mapping[str, Any]) -> None:
        """Remember a token that has just been verified. One that never expires is verified each time."""
        if isinstance(claims.get("exp"), int):
            with self._lock:
                self._claims[_digest(token)] = claims


def _digest(token: str) -> bytes:
    # The memory of a process may end up in a dump; it need not have the tokens of everybody.
    # Of this digest Python has the code itself, and need not ask a library for it each time.
    return hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=32).digest()
