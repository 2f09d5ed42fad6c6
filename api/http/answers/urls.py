"""URLs of requests, as answers link to them."""

from functools import lru_cache

from flask import request
from werkzeug.sansio.utils import get_current_url


def own_url() -> str:
    """Return the URL of the current request without its query."""
    return _url(request.scheme, request.host, request.root_path, request.path)


# Quoting takes longer than many a part of an answer, and most requests are for a few collections.
_url = lru_cache(maxsize=1024)(get_current_url)
