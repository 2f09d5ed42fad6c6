"""Check of all values: what would be unsafe, or cannot work."""

from collections.abc import Iterator, Mapping
from typing import Any

from core.platform.config.keys import find
from core.platform.config.upstreams import UpstreamSettings, header_faults
from core.platform.config.urls import database_url_problems, redis_url_problems

KNOWN_DEFAULTS = ("changeme", "change-me", "change_me", "change this", "replace-me", "your-secret")
MIN_SECRET_BYTES = 32


def problems(env: str, values: Mapping[str, Any], upstreams: Mapping[str, UpstreamSettings]) -> Iterator[str]:
    """Yield each as a clause of one sentence."""
    if env == "production":
        yield from _in_production(values)
    for name, value in values.items():
        key = find(name)
        if key and (rule := key.about.rule) and not rule.holds(value):
            yield rule.fault.format(key=name, value=value)
    if values["log.max_bytes"] and not values["log.backups"]:
        yield "log.backups must be greater than 0 if log.max_bytes is"
    if values["cors_credentials"] and "*" in values["cors_origins"]:
        yield "cors_origins must name the origins if cors_credentials is on, so * is not possible"
    yield from database_url_problems(env, values["database_url"])
    yield from redis_url_problems("REDIS_URL", values["redis_url"])
    yield from redis_url_problems("CACHE_URL", values["cache.url"])
    for name, upstream in upstreams.items():
        yield from header_faults(f"upstreams.{name}.headers", upstream.headers)


def _in_production(values: Mapping[str, Any]) -> Iterator[str]:
    secrets = {
        "JWT_SECRET_KEY": [values["jwt_secret_key"]],
        "SECRET_KEY": [values["secret_key"]],
        "An entry of SECRET_KEY_PREVIOUS": values["secret_key_previous"],
        "An entry of JWT_PREVIOUS_SECRET_KEYS": values["jwt_previous_secret_keys"],
        "metrics.token": filter(None, [values["metrics.token"]]),
    }
    for name, its in secrets.items():
        yield from (f"{name} {fault}" for secret in its if (fault := _fault_of_secret(secret)))
    if values["metrics.enabled"] and not (values["metrics.token"] or values["metrics.addresses"]):
        yield "metrics.enabled needs metrics.token or metrics.addresses, because anybody could read them"
    if not values["database_url"]:
        yield "DATABASE_URL is not set"


def _fault_of_secret(value: str) -> str:
    if not value:
        return "is not set"
    if any(word in value.lower() for word in KNOWN_DEFAULTS):
        return "is a known default"
    return f"is shorter than {MIN_SECRET_BYTES} bytes" if len(value.encode()) < MIN_SECRET_BYTES else ""
