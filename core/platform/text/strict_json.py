"""JSON read strictly (RFC 8259): nothing that another reader could take for something else.

Whole numbers are int, others Decimal, so that 19.99 stays what it is.
"""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from core.platform.errors import Invalid, Malformed
from core.platform.text import checks
from core.platform.text.checks import MAX_ID
from core.platform.text.faults import Faults

MAX_DEPTH = 32
# Members of objects and entries of arrays, all together. The largest body that an operation takes has
# some thousand; a megabyte has room for half a million, which would take seconds to look at.
MAX_VALUES = 10_000
# A string, or what is left of a text after a quotation mark that is never closed. The possessive
# repetitions, and that it always matches, keep it from being tried again and again.
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")
# What a double can hold, and so what the other end may have meant. Code that
# gets a number from here can also calculate with it: 1e999999999 as an integer
# or in plain notation would fill the memory.
MAX_EXPONENT = 308
_TOO_LARGE = Decimal(1).scaleb(MAX_EXPONENT + 1)


def parse(raw: bytes, *, what: str = "The body") -> Any:
    """Return the value of a JSON text; `what` begins the sentence that refuses it.

    Raises Malformed for what is not JSON, for NaN, duplicate keys and nesting
    deeper than 32, and Invalid, naming the field, for text that cannot be
    stored, integers beyond 64 bits, numbers beyond 1e308, and for more than
    MAX_VALUES values. Sizes are looked at before anything is made of the text.
    """
    try:
        # RFC 8259 forbids to send the mark that some editors write, and allows to pass over it.
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Malformed(f"{what} is not UTF-8.") from None
    _require_small(raw, what)
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
    faults = Faults()
    _check(value, (), faults)
    if faults:
        raise Invalid("The request has invalid fields.", details=faults.details, unnamed=faults.unnamed)


def _require_small(raw: bytes, what: str) -> None:
    """Raise Malformed for what is nested too deep, and Invalid for too many values."""
    brackets = raw.count(b"[") + raw.count(b"{")
    if brackets <= MAX_DEPTH and brackets + raw.count(b",") <= MAX_VALUES:
        return
    # Quotation marks that are no part of a string. As these are at least as many as the strings,
    # there are not many strings to go through if they are few.
    if raw.count(b'"') - raw.count(b'\\"') > 2 * MAX_VALUES:
        raise _too_many(what)
    structure = _STRING.sub(b"", raw)
    if _is_deep(structure):
        raise Malformed(f"{what} is nested deeper than {MAX_DEPTH} levels.")
    if structure.count(b",") + structure.count(b"[") + structure.count(b"{") > MAX_VALUES:
        raise _too_many(what)


def _is_deep(structure: bytes) -> bool:
    """Return whether the brackets of a text are nested too deep, as far as they are not too many anyway."""
    level = 0
    for number, bracket in enumerate(_BRACKET.finditer(structure)):
        level += 1 if bracket[0] in (b"[", b"{") else -1
        if level > MAX_DEPTH or number > 2 * MAX_VALUES:
            return level > MAX_DEPTH
    return False


def _too_many(what: str) -> Invalid:
    return Invalid(f"{what} is too large.", details={"body": [f"Must have at most {MAX_VALUES} values."]})


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        seen: set[str] = set()
        twice = next(name for name, _ in pairs if name in seen or seen.add(name))  # type: ignore[func-returns-value]
        raise Malformed("An object has a key twice.", details={printable(twice): ["Given more than once."]})
    return value


def _refuse_constant(name: str) -> Any:
    raise Malformed(f"{name} is not a JSON number.")


def _integer(digits: str) -> int:
    # Python refuses to convert thousands of digits; no caller needs their value.
    return int(digits) if len(digits) <= 20 else MAX_ID + 1


def _number(digits: str) -> Decimal:
    try:
        return Decimal(digits)
    except InvalidOperation:  # An exponent of twenty digits.
        return _TOO_LARGE


def _check(value: Any, path: tuple[str | int, ...], faults: Faults) -> None:
    """Collect what no database stores, whatever the field."""
    if isinstance(value, dict):
        for name, item in value.items():
            if checks.UNSTORABLE.search(name):
                faults.add(_place((*path, name)), "Unknown field.")
            _check(item, (*path, name), faults)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            _check(item, (*path, index), faults)
    elif sentence := _unstorable(value):
        faults.add(_place(path), sentence)


def _unstorable(value: Any) -> str:
    """Return why a text or a number cannot be stored, or nothing."""
    match value:
        case str() if checks.UNSTORABLE.search(value):
            return "Must not contain NUL or unpaired surrogate characters."
        case int() if not -MAX_ID - 1 <= value <= MAX_ID:
            return "Must be an integer of at most 64 bits."
        case Decimal() if abs(value.adjusted()) > MAX_EXPONENT:
            return f"Must not have an exponent beyond {MAX_EXPONENT}."
    return ""


def _place(path: tuple[str | int, ...]) -> str:
    return ".".join(printable(str(part)) for part in path) or "body"


def printable(name: str) -> str:
    """Return a field name that is safe to show, however hostile it was."""
    shown = name[:101].encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")
    return shown if len(shown) <= 100 else shown[:100] + "..."


DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_refuse_constant, parse_int=_integer, parse_float=_number
)
