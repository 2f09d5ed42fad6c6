"""Negotiation of the type of an answer (RFC 9110, section 12.5.1)."""

from flask import request

JSON = "application/json"
PROBLEM = "application/problem+json"  # RFC 9457


def preferred_type() -> str | None:
    """Return how the client wants its errors, or None if it takes no JSON at all.

    Parameters such as charset are ignored: they do not make JSON another type.
    """
    qualities: dict[str, float] = {}
    for value, quality in request.accept_mimetypes:
        name = value.partition(";")[0].strip().lower()
        qualities[name] = max(quality, qualities.get(name, 0))
    if not qualities:
        return JSON
    json_quality = next((qualities[name] for name in (JSON, "application/*", "*/*") if name in qualities), 0)
    problem_quality = qualities.get(PROBLEM, 0)
    if problem_quality > 0 and problem_quality >= json_quality:
        return PROBLEM
    return JSON if json_quality > 0 else None
