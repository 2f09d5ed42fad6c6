"""JSON out, fast, by orjson: for answers and for files alike."""

import json
from decimal import Decimal
from typing import Any

import orjson

_OPTIONS = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


def dump(value: Any) -> bytes:
    """Return `value` as UTF-8 JSON: moments are RFC 3339 with `Z`, enums their values, amounts exact."""
    try:
        return orjson.dumps(value, default=_default, option=_OPTIONS)
    except TypeError:
        # Text that is no valid Unicode: the standard library can spell it with escapes.
        return json.dumps(value, default=str).encode()


def _default(value: Any) -> Any:
    if isinstance(value, Decimal) and value.is_finite():
        # Plain notation: not everybody who reads 1E+2 takes it for an exact number.
        return orjson.Fragment(f"{value:f}")
    raise TypeError(f"{type(value).__name__} is not JSON.")
