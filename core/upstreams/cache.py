"""Lifetime of the cached answers of upstreams (RFC 9111).

All callers are one to an upstream, because nothing of their credentials is sent
there; so an answer for one is an answer for all.
"""

import re
from collections.abc import Mapping

# An answer that varies by anything else may differ although it was asked for in the same words.
_SENT_ALIKE = frozenset({"accept", "accept-encoding", "accept-language", "authorization", "origin", "user-agent"})
_FORBIDDING = frozenset({"no-store", "no-cache", "private", "must-understand"})


def fresh_seconds(headers: Mapping[str, str], *, longest: float) -> float:
    """Return how long an answer with these headers may be cached, at most `longest`."""
    directives: dict[str, list[str]] = {}
    for part in headers.get("cache-control", "").lower().split(","):
        name, _, value = part.strip().partition("=")
        directives.setdefault(name, []).append(value.strip('" '))
    varies = {name.strip().lower() for name in headers.get("vary", "").split(",") if name.strip()}
    if directives.keys() & _FORBIDDING or "set-cookie" in headers or not varies <= _SENT_ALIKE:
        return 0.0
    ages = directives.get("s-maxage") or directives.get("max-age") or ["0"]
    spent = headers.get("age", "0")
    if not all(re.fullmatch("[0-9]{1,9}", age) for age in [*ages, spent]):
        return 0.0
    return max(0.0, min(longest, min(map(int, ages)) - int(spent)))
