"""Facts on Tasklane that Schemathesis needs beside its document, because Swagger 2.0 cannot say them."""

import itertools
import re
from typing import Any

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure

KEY = "Idempotency-Key"

# A request that the document allows may be refused with one of these sentences, and why the document allows it.
BEYOND_THE_DOCUMENT = {
    "Use either page or cursor.": "Parameters cannot exclude each other.",
    "This is not a cursor.": "Only the service can make one.",
    "This cursor belongs to another list.": "Only the service can make one.",
    "The list cannot be sorted like this.": "A list of words cannot have each at most once whatever its sign.",
    "Must have at most two decimal places.": "multipleOf 0.01 is checked in floats by most, which refuses 19.99.",
    "Must be a time zone of the IANA database": "There are six hundred of them, and more each year.",
    "Must be a valid e-mail address.": "The format allows what no mail server does.",
    "The filters cannot be used.": "Which there are depends on another field.",
    "The name of the file does not tell.": "It is said by the name of a part, or else by another part.",
    "an operation was refused": "What an operation needs depends on its kind.",
    "There is no such": "What there is changes.",
    "Must be in the future.": "It depends on the day.",
    "This range of days cannot be used.": "A field cannot be compared with another, and a day has no bounds.",
    "Must be an amount such as 19.99.": "As above.",
    "Must be an integer": "A pattern has no bounds, and a value of any type none at all.",
    "This is not your password.": "Only its owner knows it.",
    "Unknown field.": "It does say that; parts of earlier answers are tried as fields even so.",
    "Must not have an exponent beyond 308.": "As above, of 1e-310.",
    "Giver and receiver are the same.": "A field cannot be compared with another.",
    "Must not be blank.": "Which characters are space is not the same for all regular expressions.",
    "At least one field is needed.": "Flask-RESTX knows no minProperties.",
}


_number = itertools.count()


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Keep what would have most requests refused, or answered like an earlier one, from hiding everything behind it."""
    if "page" in case.query:
        case.query.pop("cursor", None)
    key = case.headers.get(KEY)
    if isinstance(key, str) and re.fullmatch("[ -~]{1,255}", key):
        case.headers[KEY] = f"{key[:200]} {next(_number)}"


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Return whether what a check has found is a fault."""
    if failure.title == "Missing Content-Type header":
        # A body that is not there has no type (RFC 9110, section 8.3).
        return response.status_code not in (204, 304)
    if failure.title == "Schema-valid request rejected":
        return _is_valid(case) and not any(sentence in response.text for sentence in BEYOND_THE_DOCUMENT)
    return True


def _is_valid(case: Case) -> bool:
    """Return whether the headers are as the document wants them: the coverage phase takes 0 for a value of any."""
    for parameter in case.operation.headers:
        pattern, value = parameter.definition.get("pattern"), case.headers.get(parameter.name)
        if pattern and value is not None and not re.search(pattern, str(value)):
            return False
    return True
