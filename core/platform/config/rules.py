"""Rules for the texts of the configuration."""

import re
from collections.abc import Callable
from email.errors import MessageError
from email.policy import SMTP
from ipaddress import ip_network
from typing import Any

from limits import parse_many

from core.platform.config.declaration import Rule

_NAME = r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?"
# A name or an address, or a dot and the name below which all are meant. Without a port: it decides nothing.
_HOST = re.compile(rf"\.?{_NAME}|\[[0-9A-Fa-f:.]+\]")
# What a browser says in `Origin` (RFC 6454), or any. Nothing in it can be taken for a pattern.
_ORIGIN = re.compile(rf"https?://{_NAME}(?::[0-9]{{1,5}})?|\*")


def split_key_limit(line: str) -> tuple[int, str]:
    """Return the number of a key and its limit. Raises ValueError."""
    number, separator, limit = line.partition(":")
    if not separator:
        raise ValueError
    return int(number), limit.strip()


def _each(is_good: Callable[[str], object]) -> Callable[[list[str]], bool]:
    return lambda entries: all(map(is_good, entries))


def _can(parse: Callable[[str], Any]) -> Callable[[str], bool]:
    """Return whether something can be parsed, as a function."""

    def is_good(text: str) -> bool:
        try:
            parse(text)
        except ValueError:
            return False
        return True

    return is_good


def _is_sender(text: str) -> bool:
    """Return whether a text can be the From of a message: one address of plain ASCII, with or without a name."""
    if not text.isprintable():
        return False
    try:
        header = SMTP.header_factory("From", text)
    except (IndexError, MessageError):  # The parser stumbles over an address that ends too early.
        return False
    addresses = [address for address in header.addresses if address.username and address.domain.isascii()]
    return len(header.addresses) == len(addresses) == 1 and addresses[0].username.isascii() and not header.defects


def either(one: str, other: str) -> Rule:
    """Return the rule that a text is one of two words."""
    return Rule(lambda text: text in (one, other), f"{{key}} {{value!r}} is neither {one} nor {other}")


LOG_LEVEL = Rule(
    lambda level: level.upper() in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"),
    "{key} {value!r} is not a logging level",
)
LIMIT = Rule(_can(parse_many), "{key} {value!r} is not a limit such as '5 per minute'")
KEY_LIMITS = Rule(
    _each(_can(lambda line: parse_many(split_key_limit(line)[1]))),
    "{key} has an entry that is not like '12: 6000 per minute'",
)
SENDER = Rule(_is_sender, "{key} {value!r} is not an address such as 'Tasklane <tl@example.com>'")
ORIGINS = Rule(_each(_ORIGIN.fullmatch), "{key} has an entry that is not like https://app.example.com")
HOSTS = Rule(_each(_HOST.fullmatch), "{key} has an entry that is not like tasks.example.com or .example.com")
NETWORKS = Rule(_each(_can(ip_network)), "{key} has an entry that is not like 10.0.0.7 or 10.0.0.0/8")
