"""Request bodies: read strictly, checked against the documented model, converted.

Flask-RESTX's own check answers 400 and names fields awkwardly; the contract
wants 422 with one list of sentences for each field path.
"""

from itertools import islice
from typing import Any

from flask import request
from flask_restx.model import ModelBase

from api.http.input import media
from api.http.input.body_faults import note_fault
from api.http.input.body_schema import shape_of
from core.platform.errors import Invalid, Malformed
from core.platform.text import checks, redaction, strict_json
from core.platform.text.faults import MAX_FAULTS, Faults

LACKING = "The request lacks required fields."
# How many errors of a body are looked at: as many as the longest list has entries.
MAX_ERRORS = 1_000


def load_body(model: ModelBase, *, missing_status: int = 422, needs_a_field: bool = False) -> dict[str, Any]:
    """Return the body of the current request, checked and converted as `model` says.

    `missing_status=400` is for credentials, whose absence is a malformed
    request; `needs_a_field` refuses `{}`. Raises Malformed, Invalid and
    WrongType.
    """
    value = load_object()
    if needs_a_field and not value:
        raise Malformed("At least one field is needed.")
    return check(model, value, missing_status=missing_status)


def load_object(*others: str) -> dict[str, Any]:
    """Return the body of the current request, any JSON object. Raises like `load_body`.

    `others` are the types that the operation takes, too, and that its caller has seen to.
    """
    raw = request.get_data()
    if not raw:
        raise Malformed("A JSON body is needed.")
    media.require_json(*others)
    value = strict_json.parse(raw)
    if not isinstance(value, dict):
        raise Malformed("The body must be a JSON object.")
    # No body of ours has more members.
    members = islice(value.items(), MAX_FAULTS)
    redaction.confide(*(item for name, item in members if redaction.is_secret_name(name)))
    return value


def check(model: ModelBase, value: dict[str, Any], *, missing_status: int = 422) -> dict[str, Any]:
    """Return `value` trimmed, checked and converted as `model` says. Raises Malformed and Invalid."""
    shape = shape_of(model)
    for name in shape.trimmed & value.keys():
        if isinstance(value[name], str):
            value[name] = checks.strip(value[name])
    faults = Faults()
    missing = False
    for error in islice(shape.validator.iter_errors(value), MAX_ERRORS):
        missing = missing or error.validator == "required"
        note_fault(error, faults)
    if faults:
        named: dict[str, Any] = {"details": faults.details, "unnamed": faults.unnamed}
        if missing and missing_status == 400:
            raise Malformed(LACKING, **named)
        raise Invalid("The request has invalid fields.", **named)
    for name, convert in shape.converters.items():
        if value.get(name) is not None:
            value[name] = convert(value[name])
    return value
