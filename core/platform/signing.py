"""What signs what people are handed: a list of secrets, of which the first is in force."""

from collections.abc import Sequence


def oldest_first(secrets: Sequence[str]) -> list[str]:
    """Return the secrets as itsdangerous wants them: it signs with the last, and takes what any of them has signed."""
    return list(reversed(secrets))
