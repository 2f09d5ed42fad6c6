"""Declaration of the input of a verb: the document shows it, and the door reads it so."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from flask import request
from flask_restx.model import ModelBase
from flask_restx.reqparse import RequestParser
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.documentation import Verb, document
from api.http.input import continuation, media
from api.http.input.arguments import load_query
from api.http.input.forms import FRAMING_BYTES, FormParser, limit_size
from api.http.input.query import NO_PARAMETERS


@dataclass(frozen=True, slots=True)
class Input:
    """Input that a verb takes: a JSON body of this model or a form with a file, and parameters in its query.

    `any_query` welcomes every parameter, because an upstream reads them; the text of such a
    verb says what becomes of them. `or_urlencoded` takes a form without files beside JSON.
    `missing_status` answers a body without its required fields.
    """

    body: ModelBase | None = None
    _: KW_ONLY
    query: RequestParser = NO_PARAMETERS
    form: FormParser | None = None
    any_query: bool = False
    or_urlencoded: bool = False
    missing_status: int = 422

    def __call__(self, verb: Verb) -> Verb:
        """Declare a verb to take this, as a decorator."""
        verb.input = self  # type: ignore[attr-defined]
        parts = (self.body, self.form, None if self.query is NO_PARAMETERS else self.query)
        return document(verb, expect=[part for part in parts if part is not None])

    def load_query(self) -> dict[str, Any]:
        """Return the parameters of the request. Raises Malformed for those that the verb does not take."""
        return request.args.to_dict(flat=False) if self.any_query else load_query(self.query)

    def require_readable(self) -> None:
        """Refuse a body by what is said of it: that it is too large, encoded, or of another type."""
        if self.form is not None:
            request.max_content_length = self.form.max_bytes + FRAMING_BYTES
        limit_size()
        if (request.content_length or 0) > (request.max_content_length or 0):
            raise RequestEntityTooLarge
        if request.content_length or self.body is not None or self.form is not None:
            media.require_plain()
        if not continuation.is_asked():
            return  # Whoever reads the body looks at its type, after whether there is one.
        if self.form is not None:
            media.require(media.MULTIPART)
        elif self.body is not None:
            media.require_json(*([media.URLENCODED] if self.or_urlencoded else []))


# How a verb says it: `@takes(task_in)`.
takes = Input
# The input of a verb that says nothing.
NOTHING = Input()


def input_of(verb: Verb) -> Input:
    """Return the input that a verb has declared."""
    declared: Input = getattr(verb, "input", NOTHING)
    return declared
