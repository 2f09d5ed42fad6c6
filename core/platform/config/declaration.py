"""Declaration of a setting, beside its type: `port: Annotated[int, Setting(between(0, 65535), variable="PORT")]`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, NamedTuple, get_args, get_origin


@dataclass(frozen=True, slots=True)
class Rule:
    """Rule for a value, and what is said of a `{key}` whose `{value}` breaks it."""

    holds: Callable[[Any], object]
    fault: str


def between(least: float, most: float) -> Rule:
    """Return the rule that a number is in a range, both ends included."""
    return Rule(lambda value: least <= value <= most, f"{{key}} must be {least} to {most}, not {{value}}")


@dataclass(frozen=True, slots=True)
class Setting:
    """All that is declared of a setting but its name and its type."""

    rule: Rule | None = None
    variable: str = ""  # of platforms and other tools, beside the one that every key has
    also: str = ""  # another name for the same
    is_secret: bool = False  # never shown
    is_url: bool = False  # may contain credentials before its host
    leads_out: bool = False  # of the installation, to what tests must not touch


class Key(NamedTuple):
    """A key of the configuration: its type, and what is declared of it."""

    type: Any
    about: Setting


def key_of(hint: Any) -> Key:
    """Return the key that a type hint declares."""
    return Key(*get_args(hint)) if get_origin(hint) is Annotated else Key(hint, Setting())
