"""The types of settings: what a text of a file or the environment means as a number, a truth or a list."""

from typing import Any, get_args, get_origin

from core.platform.config.errors import ConfigError


def typed(key: str, kind: Any, value: Any, source: str, *, is_secret: bool) -> Any:
    """Convert a value from a file or the environment to the type that the key declares. Raises ConfigError."""
    try:
        if kind is bool:
            return _boolean(value)
        if get_origin(kind) is list:
            items = value.split(",") if isinstance(value, str) else list(value)
            return [get_args(kind)[0](item.strip()) for item in items if item.strip()]
        if isinstance(value, bool) or (kind is str and not isinstance(value, str)):
            raise ValueError
        return kind(value)
    except (TypeError, ValueError, AttributeError):
        name = "list" if get_origin(kind) is list else kind.__name__
        shown = "its value" if is_secret else repr(value)
        raise ConfigError(f"{key}: {shown} from {source} is not a valid {name}.") from None


def _boolean(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    words = {"true": True, "1": True, "yes": True, "on": True}
    words |= {"false": False, "0": False, "no": False, "off": False}
    if isinstance(value, str) and value.strip().lower() in words:
        return words[value.strip().lower()]
    raise ValueError
