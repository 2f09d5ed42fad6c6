"""Keys of the configuration: what is declared of each, and the variables that set them."""

from collections.abc import Iterator
from dataclasses import is_dataclass
from typing import get_type_hints

from core.platform.config import upstream_keys
from core.platform.config.declaration import Key, key_of
from core.platform.config.settings import Settings

ENVIRONMENTS = ("development", "testing", "production")
PREFIX = "TASKLANE_"
# These two choose the layers themselves, so they are read before any file.
SELECTORS = ("TASKLANE_ENV", "TASKLANE_INSTANCE_PATH")
# Fields of Settings without a key of their own: they come from SELECTORS, are
# computed, or are tables whose entries an operator names.
_COMPUTED = frozenset({"env", "instance_path", "sources", upstream_keys.TABLE})


def _declared(cls: type = Settings, prefix: str = "") -> Iterator[tuple[str, Key]]:
    for name, hint in get_type_hints(cls, include_extras=True).items():
        if is_dataclass(hint):
            yield from _declared(hint, f"{prefix}{name}.")  # type: ignore[arg-type]
        elif cls is not Settings or name not in _COMPUTED:
            yield prefix + name, key_of(hint)


# By their dotted names.
KEYS: dict[str, Key] = dict(_declared())
# By the names that platforms and other tools already use for some of them.
PLAIN_NAMES = {key.about.variable: name for name, key in KEYS.items() if key.about.variable}
# These have values in the testing environment with which they lead nowhere.
LEADING_OUT = {name: "" for name, key in KEYS.items() if key.about.leads_out}
# The testing environment takes these instead of their namesakes.
TEST_NAMES = {f"TEST_{variable}": name for variable, name in PLAIN_NAMES.items() if name in LEADING_OUT}


def find(name: str) -> Key | None:
    """Return the key of a dotted name, or None if there is no such key."""
    return KEYS.get(name) or upstream_keys.find(name)


def variable_of(name: str) -> str:
    """Return the variable that every key has."""
    return PREFIX + name.upper().replace(".", "__").replace("-", "_")


def is_secret(name: str) -> bool:
    """Return whether the value of a key must never be shown."""
    key = find(name)
    return key is not None and key.about.is_secret


def is_url(name: str) -> bool:
    """Return whether the value of a key may contain credentials before its host."""
    key = find(name)
    return key is not None and key.about.is_url
