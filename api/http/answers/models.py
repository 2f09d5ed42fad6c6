"""Models of the envelopes around data, and of pages, errors and accepted jobs."""

from typing import Any

from flask_restx import Namespace, fields
from flask_restx.model import ModelBase

from api.http.input.fields import Anything, NullableBoolean, NullableInteger, NullableText

# Models that belong to no domain. It has no routes, so Swagger UI does not show it.
shared = Namespace("shared")


class Faults(fields.Raw):
    """Sentences about each field that is wrong."""

    def __init__(self) -> None:
        super().__init__(
            description="Field path to a list of sentences; absent where there is no field to name.",
            example={"title": ["This field is required."]},
        )

    def schema(self) -> dict[str, Any]:
        return {**super().schema(), "additionalProperties": {"type": "array", "items": {"type": "string"}}}


error_body = shared.model(
    "ErrorBody",
    {
        "message": fields.String(required=True, example="The request has invalid fields."),
        "code": fields.String(required=True, example="validation_failed"),
        "request_id": fields.String(required=True, example="5f0c7f6e4d8b4d0f9a3c1c0e0e6f7b1a"),
        "details": Faults(),
    },
)
error_out = shared.model(
    "ErrorResponse",
    {
        "status": fields.String(required=True, enum=["error"], example="error"),
        "error": fields.Nested(error_body, required=True),
    },
)
# The same as RFC 9457 has it, for who asks for application/problem+json.
problem_out = shared.model(
    "Problem",
    {
        "type": fields.String(required=True, example="about:blank"),
        "title": fields.String(required=True, description="Of its status.", example="Unprocessable Entity"),
        "status": fields.Integer(required=True, example=422),
        "detail": fields.String(required=True, example="The request has invalid fields."),
        "code": fields.String(required=True, example="validation_failed"),
        "request_id": fields.String(required=True, example="5f0c7f6e4d8b4d0f9a3c1c0e0e6f7b1a"),
        "errors": Faults(),
    },
)

_meta = shared.model(
    "PageMeta",
    {
        "pagination": fields.Nested(
            shared.model(
                "Pagination",
                {
                    "page": NullableInteger(required=True, description="Null in cursor mode.", example=1),
                    "per_page": fields.Integer(required=True, example=20),
                    "pages": NullableInteger(
                        required=True,
                        description="Null in cursor mode, and where not all rows were counted.",
                        example=3,
                    ),
                    "total": NullableInteger(required=True, description="Null in cursor mode.", example=42),
                    "total_is_exact": NullableBoolean(
                        required=True,
                        description="False if there may be more than `total`: lists are counted up to 10,000, searches"
                        " up to 1,000 of each type. Null in cursor mode.",
                        example=True,
                    ),
                    "next_cursor": NullableText(required=True, description="Null on the last page."),
                },
            ),
            required=True,
        )
    },
)

accepted_out = shared.model(
    "AcceptedJob",
    {
        "job_id": fields.String(required=True, example="0b8cfbf8-7a3e-4a57-9a2b-0f2f3f6a3b51"),
        "job_url": fields.String(required=True, description="Where to follow the job."),
    },
)


anything_out = shared.model(
    "AnyValueResponse",
    {
        "status": fields.String(required=True, enum=["success"], example="success"),
        "data": Anything(required=True, description="Any JSON value."),
    },
)


def envelope(model: ModelBase, *, is_list: bool = False) -> ModelBase:
    """Return the model of an answer that has this one, or a list of it, as `data`."""
    data = fields.List(fields.Nested(model), required=True) if is_list else fields.Nested(model, required=True)
    body: dict[str, Any] = {"status": fields.String(required=True, enum=["success"], example="success"), "data": data}
    if is_list:
        body["meta"] = fields.Nested(_meta, required=True)
    name = f"{model.name}{'Page' if is_list else 'Response'}"
    return shared.models.get(name) or shared.model(name, body)
