"""Secrets within the settings, which no log may show."""

import contextlib
from urllib.parse import parse_qsl, unquote, urlsplit

from core.platform.config.settings import Settings
from core.platform.text.redaction import is_secret_name


def secret_values(settings: Settings) -> set[str]:
    """Return every secret in the settings, also those within URLs, to keep them out of logs."""
    found: set[str] = {*settings.secret_keys, settings.jwt_secret_key, *settings.jwt_previous_secret_keys}
    found |= {settings.mail.password, settings.metrics.token}
    urls = [settings.database_url, settings.redis_url, settings.cache.url, settings.sentry.dsn]
    for url in [*urls, *(upstream.base_url for upstream in settings.upstreams.values())]:
        with contextlib.suppress(ValueError):
            parts = urlsplit(url)
            found |= {parts.password or "", unquote(parts.password or "")}
            found |= {value for name, value in parse_qsl(parts.query) if is_secret_name(name)}
    found |= {urlsplit(settings.sentry.dsn).username or ""}
    for upstream in settings.upstreams.values():
        found |= set(upstream.headers.values())
    return found - {""}


def masked_url(url: str) -> str:
    """Return a URL that may be shown: without its password and without what its query says."""
    scheme, _, rest = url.partition("://")
    where, question, query = rest.partition("?")
    names = "&".join(f"{part.partition('=')[0]}=..." for part in query.split("&")) if question else ""
    if "@" in where:
        # The user part may be a secret as well, so everything before the host goes.
        where = f"********@{where.rpartition('@')[2]}"
    return f"{scheme}://{where}{question}{names}"
