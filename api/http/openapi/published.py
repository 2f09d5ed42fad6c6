"""Documents as they are served: the same bytes under the same tag, made once for each place that they are read at."""

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from threading import Lock
from typing import Any

from flask import Response, current_app, request

from api.http.answers import conditional, etags
from core.platform.text.json_out import dump

# Of one installation: it may be known by several names, and be below several paths.
_PLACES = 8
# Documents share parts that are made with the first of them.
_making = Lock()


@dataclass(frozen=True, slots=True)
class Published:
    """Document in JSON, as it is and in a tenth of its size."""

    content: bytes
    compressed: bytes
    # A tag names these bytes, and so tells the two apart (RFC 9110, section 8.8.3.3).
    tags: tuple[str, str]

    def respond(self) -> Response:
        """Answer with the document, or with 304 to who has it already."""
        is_compressed = request.accept_encodings.best_match(["gzip", "identity"]) == "gzip"
        content = self.compressed if is_compressed else self.content
        response = current_app.response_class(content, mimetype="application/json")
        response.headers["ETag"] = self.tags[is_compressed]
        response.headers["Vary"] = "Accept-Encoding"
        if is_compressed:
            response.headers["Content-Encoding"] = "gzip"
        # Whoever has a copy asks whether it still holds: the next release may add to it.
        response.headers["Cache-Control"] = "public, no-cache"
        return conditional.answer_read(response)


def published(make: Callable[..., dict[str, Any]]) -> Callable[..., Published]:
    """Return a function that publishes the document of a place, and remembers it for the next who asks there."""

    @lru_cache(maxsize=_PLACES)
    def publish(*place: str) -> Published:
        with _making:
            content = dump(make(*place))
        # Without the moment, so that each process has the same bytes and the same tag.
        compressed = gzip.compress(content, mtime=0)
        return Published(content, compressed, (etags.strong(content), etags.strong(compressed)))

    return publish
