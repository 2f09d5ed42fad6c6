"""Secrets that sign links and cursors: a list, of which the first is in force."""

from collections.abc import Sequence


def oldest_first(secrets: Sequence[str]) -> list[str]:
    """Return the secrets as itsdangerous wants them: it signs with the last, and takes what any of them has signed."""
    return list(reversed(secrets))
