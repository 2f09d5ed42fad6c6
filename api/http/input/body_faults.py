"""Faults of a body in sentences: one list for each field path."""

from itertools import chain
from typing import Any

from jsonschema import ValidationError

from api.http.input.fields import NOT_BLANK, TRIMMED
from core.platform.errors import Invalid
from core.platform.text import checks
from core.platform.text.faults import MAX_FAULTS, Faults
from core.platform.text.strict_json import printable

SERVER_OWNED = frozenset(
    {
        "id",
        "owner_id",
        "user_id",
        "created_by",
        "author",
        "version",
        "created_at",
        "updated_at",
        "completed_at",
        "role",
        "is_active",
    }
)

_TYPES = {
    "string": "a string",
    "integer": "an integer",
    "number": "a number",
    "boolean": "true or false",
    "object": "an object",
    "array": "a list",
    "null": "null",
}


def note_fault(error: ValidationError, faults: Faults) -> None:
    """Note the field path and a sentence for each thing that is wrong."""
    path = [printable(str(part)) for part in error.absolute_path]
    schema: Any = error.schema
    limit: Any = error.validator_value
    value: Any = error.instance
    match error.validator:
        case "required":
            # jsonschema reports each missing name by itself; only the message says which.
            name = next(name for name in limit if name not in value and repr(name) in error.message)
            faults.add(".".join([*path, name]), checks.REQUIRED)
        case "additionalProperties":
            unknown = [name for name in value if name not in schema["properties"]]
            for name in unknown[:MAX_FAULTS]:
                where = ".".join([*path, printable(name)])
                if name in SERVER_OWNED:
                    faults.add(where, checks.SERVER_SET)
                else:
                    faults.add_unknown(where, "Unknown field.", name, schema["properties"])
            faults.add_more(len(unknown[MAX_FAULTS:]))
        case "format" if isinstance(error.cause, Invalid) and error.cause.details:
            for sentence in chain(*error.cause.details.values()):
                faults.add(".".join(path), sentence)
        case validator:
            faults.add(".".join(path) or "body", _sentence(str(validator), limit, schema))


_FORMATS = {
    "date": checks.NO_DAY,
    "date-time": checks.NO_MOMENT,
    "decimal": "Must have at most two decimal places.",
}
_SENTENCES = {
    "minLength": checks.TOO_SHORT,
    "maxLength": checks.TOO_LONG,
    "minItems": "Must have at least {0} entries.",
    "maxItems": "Must have at most {0} entries.",
    "uniqueItems": "Must not have an entry twice.",
    "minimum": "Must be at least {0}.",
    "maximum": "Must be at most {0}.",
    "pattern": "Must match {0}.",
}


def _sentence(validator: str, limit: Any, schema: dict[str, Any]) -> str:
    if validator == "type":
        names = limit if isinstance(limit, list) else [limit]
        return f"Must be {' or '.join(_TYPES[name] for name in names)}."
    if validator == "enum":
        return f"Must be one of {', '.join(str(item) for item in limit if item is not None)}."
    if (validator == "minLength" and limit == 1) or (validator == "pattern" and limit in (NOT_BLANK, TRIMMED)):
        return checks.BLANK
    if validator == "format":
        return _FORMATS[limit]
    if validator == "maximum" and schema.get("exclusiveMaximum"):
        return f"Must be less than {limit}."
    return _SENTENCES.get(validator, "Is not valid.").format(limit)
