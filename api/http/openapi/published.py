"""Documents as they are served: the same bytes under the same tag, made once for each place that they are read at."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from flask import Response, current_app

from api.http.answers import conditional, etags
from core.platform.text.json_out import dump

# Of one installation: it may be known by several names, and be below several paths.
_PLACES = 8


@dataclass(frozen=True, slots=True)
class Published:
    """Document in JSON, and the tag of it."""

    content: bytes
    tag: str

    def respond(self) -> Response:
        """Answer with the document, or with 304 to who has it already."""
        response = current_app.response_class(self.content, mimetype="application/json")
        response.headers["ETag"] = self.tag
        # Whoever has a copy asks whether it still holds: the next release may add to it.
        response.headers["Cache-Control"] = "public, no-cache"
        return conditional.answer_read(response)


def published(make: Callable[..., dict[str, Any]]) -> Callable[..., Published]:
    """Return a function that publishes the document of a place, and remembers it for the next who asks there."""

    @lru_cache(maxsize=_PLACES)
    def publish(*place: str) -> Published:
        content = dump(make(*place))
        return Published(content, etags.strong(content))

    return publish
