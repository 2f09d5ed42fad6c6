"""JSON read strictly (RFC 8259): nothing that another reader could take for something else.

Whole numbers are int, others Decimal, so that 19.99 stays what it is.
"""

import json
from decimal import Decimal, InvalidOperation
from typing import Any

from core import texts
from core.db import MAX_ID
from core.errors import Invalid, Malformed

MAX_DEPTH = 32
# What a double can hold, and so what the other end may have meant. Code that
# gets a number from here can also calculate with it: 1e999999999 as an integer
# or in plain notation would fill the memory.
MAX_EXPONENT = 308
_TOO_LARGE = Decimal(1).scaleb(MAX_EXPONENT + 1)


def parse(raw: bytes, *, what: str = "The body") -> Any:
    """Return the value of a JSON text; `what` begins the sentence that refuses it.

    Raises Malformed for what is not JSON, for NaN, duplicate keys and nesting
    deeper than 32, and Invalid, naming the field, for text that cannot be
    stored, integers beyond 64 bits and numbers beyond 1e308.
    """
    try:
        # RFC 8259 forbids to send the mark that some editors write, and allows to pass over it.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed(f"{what} is not UTF-8.") from None
    if raw.count(b"[") + raw.count(b"{") > MAX_DEPTH and depth(text) > MAX_DEPTH:
        raise Malformed(f"{what} is nested deeper than {MAX_DEPTH} levels.")
    try:
        value = DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise Malformed(
            f"{what} is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from None
    require_storable(value)
    return value


def require_storable(value: Any) -> None:
    """Raise Invalid, naming the field, for text and integers that cannot be stored, wherever they came from."""
    details: dict[str, list[str]] = {}
    _check(value, "", details)
    if details:
        raise Invalid("The request has invalid fields.", details=details)


def depth(text: str) -> int:
    """Return how deep the arrays and objects of a JSON text are nested."""
    level = deepest = 0
    in_string = escaped = False
    for character in text:
        if in_string:
            if escaped:
                escaped = False
            elif character == "\\":
                escaped = True
            elif character == '"':
                in_string = False
        elif character == '"':
            in_string = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    return deepest


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Malformed("An object has a key twice.", details={printable(twice): ["Given more than once."]})
    return value


def _refuse_constant(name: str) -> Any:
    raise Malformed(f"{name} is not a JSON number.")


def _integer(digits: str) -> int:
    # Python refuses to convert thousands of digits; nobody needs their value.
    return int(digits) if len(digits) <= 20 else MAX_ID + 1


def _number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:  # An exponent of twenty digits.
        return _TOO_LARGE


def _check(value: Any, path: str, details: dict[str, list[str]]) -> None:
    """Collect what no database stores, whatever the field."""
    match value:
        case str() if texts.UNSTORABLE.search(value):
            details[path or "body"] = ["Must not contain NUL or unpaired surrogate characters."]
        case int() if not -MAX_ID - 1 <= value <= MAX_ID:
            details[path or "body"] = ["Must be an integer of at most 64 bits."]
        case Decimal() if abs(value.adjusted()) > MAX_EXPONENT:
            details[path or "body"] = [f"Must not have an exponent beyond {MAX_EXPONENT}."]
        case dict():
            for name, item in value.items():
                where = f"{path}.{printable(name)}" if path else printable(name)
                if texts.UNSTORABLE.search(name):
                    details[where] = ["Unknown field."]
                _check(item, where, details)
        case list():
            for index, item in enumerate(value):
                _check(item, f"{path}.{index}" if path else str(index), details)


def printable(name: str) -> str:
    """Return a field name that is safe to show, however hostile it was."""
    shown = name.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return shown if len(shown) <= 100 else shown[:100] + "..."


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
)
