"""Declaration of the input of a verb: the document shows it, and the door reads it so."""

from collections.abc import Callable
from dataclasses import dataclass
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
    """Input that a verb takes: none, unless it says so with `takes`."""

    body: ModelBase | None = None
    form: FormParser | None = None
    query: RequestParser = NO_PARAMETERS
    any_query: bool = False
    or_urlencoded: bool = False
    missing_status: int = 422

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


def takes(
    body: ModelBase | None = None,
    *,
    query: RequestParser | None = None,
    form: FormParser | None = None,
    any_query: bool = False,
    or_urlencoded: bool = False,
    missing_status: int = 422,
) -> Callable[[Verb], Verb]:
    """Declare what a verb takes: a JSON body of this model or a form with a file, and parameters in its query.

    `any_query` welcomes every parameter, because an upstream reads them; the text of such a
    verb says what becomes of them. `or_urlencoded` takes a form without files beside JSON.
    `missing_status` answers a body without its required fields.
    """

    def decorate(verb: Verb) -> Verb:
        verb.input = Input(  # type: ignore[attr-defined]
            body=body,
            form=form,
            query=NO_PARAMETERS if query is None else query,
            any_query=any_query,
            or_urlencoded=or_urlencoded,
            missing_status=missing_status,
        )
        return document(verb, expect=[one for one in (body, form, query) if one is not None])

    return decorate


def input_of(verb: Verb) -> Input:
    """Return what a verb has declared to take."""
    declared: Input = getattr(verb, "input", Input())
    return declared
