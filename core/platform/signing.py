"""Secrets of the installation, of which the first is in force, and what is signed or named with them."""

import hashlib
import hmac
from collections.abc import Sequence


def oldest_first(secrets: Sequence[str]) -> list[str]:
    """Return the secrets as itsdangerous wants them: it signs with the last, and takes what any of them has signed."""
    return list(reversed(secrets))


def digest(secret: str, purpose: str, value: str) -> str:
    """Return the HMAC of a value for a purpose: a name from which it cannot be guessed without the secret."""
    return hmac.new(secret.encode(), f"{purpose}:{value}".encode(), hashlib.sha256).hexdigest()
