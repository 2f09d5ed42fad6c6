"""Rules for text that people send, enforced where models are assigned.

The HTTP models check the same limits earlier and for all fields at once; these
hold for every other way in, such as commands and imports.
"""

import contextlib
import importlib
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from core.platform.errors import Invalid
from core.platform.text import zones

# What is wrong with a value, in the same words wherever it comes from.
BLANK = "Must not be blank."
TOO_SHORT = "Must be at least {0} characters long."
TOO_LONG = "Must be at most {0} characters long."
NO_DAY = "Must be a calendar day such as 2026-11-20."
NO_MOMENT = "Must be a moment with its offset such as 2026-11-20T09:30:00Z."
REQUIRED = "This field is required."
SERVER_SET = "This field is set by the server."
TAKEN = "This value is already taken."

# What a pattern of the OpenAPI document takes for white space (ECMA 262, WhiteSpace and LineTerminator). Python's own
# idea of it has U+001C to U+001F and U+0085 too, and not U+FEFF.
WHITE_SPACE = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)
# White space, and what shows nothing either: controls, format characters, fillers, the empty Braille cell. For classes
# of regular expressions of any language, most of which know no others than these 16 bits.
NOT_SEEN = (
    r"\u0000-\u0020\u007f-\u00a0\u00ad\u034f\u061c\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f"
    r"\u2000-\u200f\u2028-\u202f\u205f-\u206f\u2800\u3000\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
_SEEN = re.compile(
    rf"[^{NOT_SEEN}\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
USERNAME = re.compile(r"[A-Za-z0-9_.-]{3,80}")
# The largest number of a row, and the largest whole number that both engines store.
MAX_ID = 2**63 - 1
CENT = Decimal("0.01")
MONEY_LIMIT = Decimal(10**10)
DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
# RFC 3339, section 5.6: any number of digits of a second, `T` and `Z` in either case, 60 for a leap second.
MOMENT = re.compile(
    r"(\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d):([0-5]\d|60)(?:\.(\d+))?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII | re.IGNORECASE,
)


def day(value: str) -> date:
    """Return a calendar day written as YYYY-MM-DD (RFC 3339, full-date); raise ValueError otherwise."""
    # date.fromisoformat takes week dates and compact forms too.
    if not DAY.fullmatch(value):
        raise ValueError(f"{value!r} is not a calendar day.")
    return date.fromisoformat(value)


def moment(value: str) -> datetime:
    """Return a moment with its offset (RFC 3339, date-time) in UTC, cut to microseconds; raise ValueError otherwise.

    The second that is a leap second counts as the first of the next minute.
    """
    # datetime.fromisoformat takes much more, such as moments of no known zone, and not all of this.
    found = MOMENT.fullmatch(value)
    if found is None:
        raise ValueError(f"{value!r} is not a moment.")
    minute, second, fraction, offset = found.groups(default="")
    is_leap = second == "60"
    whole = f"{minute}:{59 if is_leap else second}.{fraction[:6]:0<6}{offset}".upper().replace("Z", "+00:00")
    try:
        parsed = datetime.fromisoformat(whole).astimezone(UTC)
        if is_leap and (parsed.hour, parsed.minute) != (23, 59):
            raise ValueError(f"{value!r} is not a moment at which a second is inserted.")
        return parsed + timedelta(seconds=1) if is_leap else parsed
    except OverflowError:
        raise ValueError(f"{value!r} is beyond the calendar.") from None


def strip(value: str) -> str:
    """Return `value` without white space at its ends, as the document's patterns understand that."""
    return value.strip(WHITE_SPACE)


def is_blank(value: str) -> bool:
    """Return whether nothing of `value` can be seen."""
    return not _SEEN.search(value)


def _refuse(field: str, sentence: str) -> Invalid:
    return Invalid("The request has invalid fields.", details={field: [sentence]})


def together(*checks: Callable[[], object]) -> None:
    """Make all checks; raise one Invalid that names all that they find wrong."""
    details: dict[str, list[str]] = {}
    for check in checks:
        try:
            check()
        except Invalid as error:
            for field, sentences in (error.details or {}).items():
                details.setdefault(field, []).extend(sentences)
    if details:
        raise Invalid("The request has invalid fields.", details=details)


def storable(field: str, value: str) -> str:
    """Return `value`; raise Invalid for characters that no engine stores alike."""
    if UNSTORABLE.search(value):
        raise _refuse(field, "Must not contain NUL or unpaired surrogate characters.")
    return value


def line(field: str, value: str, *, shortest: int = 1, longest: int) -> str:
    """Return `value` trimmed; raise Invalid unless shortest..longest characters remain."""
    value = strip(storable(field, value))
    if is_blank(value):
        raise _refuse(field, BLANK)
    if len(value) < shortest:
        raise _refuse(field, TOO_SHORT.format(shortest))
    return at_most(field, value, longest)


def body(field: str, value: str, *, longest: int) -> str:
    """Return `value` as it is; raise Invalid if it is blank or longer than `longest` characters."""
    if is_blank(storable(field, value)):
        raise _refuse(field, BLANK)
    return at_most(field, value, longest)


def at_most(field: str, value: str, longest: int) -> str:
    """Return `value`; raise Invalid if it is longer than `longest` characters."""
    if len(value) > longest:
        raise _refuse(field, TOO_LONG.format(longest))
    return value


def matching(field: str, value: str, pattern: re.Pattern[str], sentence: str) -> str:
    """Return `value`; raise Invalid with the sentence unless all of it matches."""
    if not pattern.fullmatch(value):
        raise _refuse(field, sentence)
    return value


def has_whole_cents(value: Decimal) -> bool:
    """Return whether an amount has at most two decimal places, as far as it is small enough to be one at all."""
    # Decimal cannot quantize what has more digits than its precision.
    return not -MONEY_LIMIT < value < MONEY_LIMIT or value == value.quantize(CENT)


def money(field: str, value: Decimal) -> Decimal:
    """Return an exact amount with two decimal places; raise Invalid if it has more, or is negative or too large."""
    if not value.is_finite() or value < 0 or value >= MONEY_LIMIT or not has_whole_cents(value):
        raise _refuse(field, "Must be a number from 0 to 9999999999.99 with at most two decimal places.")
    return value.quantize(CENT) + 0  # The sum turns -0.00 into 0.00.


def username(value: str) -> str:
    """Return a valid username; raise Invalid otherwise."""
    return matching("username", value, USERNAME, "Must be 3 to 80 letters, digits, '_', '.' or '-'.")


def email(value: str) -> str:
    """Return the address with its domain normalised (RFC 5321, 4.1.2); raise Invalid otherwise.

    Internal domains such as corp.local are welcome; the local part is ASCII, so
    that upper and lower case compare alike on every engine.
    """
    # Loaded here, because its tables of characters take longer than any rule, and most processes see no address.
    validator: Any = importlib.import_module("email_validator")
    with contextlib.suppress(ValueError):
        # Many an internal network is called corp.local, whatever RFC 6762 says.
        validator.SPECIAL_USE_DOMAIN_NAMES.remove("local")
    try:
        checked = validator.validate_email(
            storable("email", strip(value)),
            check_deliverability=False,
            allow_smtputf8=False,
            globally_deliverable=False,
        )
    except validator.EmailNotValidError:
        raise _refuse("email", "Must be a valid e-mail address.") from None
    normalized: str = checked.ascii_email or checked.normalized
    if len(normalized) > 120:
        raise _refuse("email", "Must be at most 120 characters long.")
    if "." not in checked.ascii_domain:
        raise _refuse("email", "Must be a valid e-mail address.")
    return normalized


def time_zone(field: str, value: str) -> str:
    """Return the name of a time zone; raise Invalid, with the nearest name, if there is none of this name."""
    try:
        return zones.find(value).key
    except ValueError as error:
        raise _refuse(field, str(error)) from None


def login_name(value: str) -> str:
    """Return what two spellings of one username or address have in common."""
    name = strip(value)
    if "@" in name:
        with contextlib.suppress(Invalid):
            name = email(name)
    return name.lower()


def password(value: str, *, field: str = "password") -> str:
    """Return an acceptable password, 8 to 128 characters; raise Invalid otherwise."""
    if not 8 <= len(storable(field, value)) <= 128:
        raise _refuse(field, "Must be 8 to 128 characters long.")
    return value
