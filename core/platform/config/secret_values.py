"""Secrets within the settings, which no log may show."""

import contextlib
from urllib.parse import parse_qsl, unquote, urlsplit

from core.platform.config.keys import is_secret, is_url
from core.platform.config.settings import Settings
from core.platform.text.redaction import is_secret_name


def value_of(settings: Settings, key: str) -> object:
    """Return the value of a dotted key."""
    value: object = settings
    for part in key.split(".", 3):
        value = value[part] if isinstance(value, dict) else getattr(value, part)
    return value


def secret_values(settings: Settings) -> set[str]:
    """Return every secret in the settings, also those within URLs, to keep them out of logs."""
    found: set[str] = {urlsplit(settings.sentry.dsn).username or ""}
    for key in settings.sources:
        value = value_of(settings, key)
        if is_secret(key):
            found |= set(value if isinstance(value, list) else [str(value)])
        elif is_url(key):
            with contextlib.suppress(ValueError):
                parts = urlsplit(str(value))
                found |= {parts.password or "", unquote(parts.password or "")}
                found |= {word for name, word in parse_qsl(parts.query) if is_secret_name(name)}
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
