"""Password hashing with argon2id (RFC 9106; parameters of the OWASP Password Storage Cheat Sheet)."""

import threading

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

# 19 MiB, two passes, one lane.
_hasher = PasswordHasher(memory_cost=19 * 1024, time_cost=2, parallelism=1)

# A burst of logins must not take all memory and every request thread.
_slots = threading.BoundedSemaphore(4)

# A hash with the parameters above of a password that is not known.
NOBODYS_HASH = "$argon2id$v=19$m=19456,t=2,p=1$v35vll+lmQFR3NKxNBGqgw$2EFWpWl/54sTWaSE/7Z/c9LbrTind8bqSiyc0OpyK2A"


def hash_password(password: str) -> str:
    """Return the hash to store."""
    with _slots:
        return _hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Return whether the password is right, in the same time whether there is a hash or not."""
    with _slots:
        try:
            right = _hasher.verify(password_hash or NOBODYS_HASH, password)
        except (VerificationError, InvalidHashError, UnicodeEncodeError):
            return False
    return right and password_hash is not None


def needs_rehash(password_hash: str) -> bool:
    """Return whether the hash was made with weaker parameters than today's."""
    return _hasher.check_needs_rehash(password_hash)
