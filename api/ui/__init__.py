"""The page of Swagger UI, its files, and the reference to read, each under a policy that allows no inline script."""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, abort, make_response, render_template, request, url_for

from api.reference import reference_of
from api.ui import assets, reading

# Scripts and styles come from files of this host and from nowhere else, so no digest and no exception is needed.
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        # Swagger UI draws its arrows from data: URLs.
        "img-src 'self' data:",
        "connect-src 'self'",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)
_FOREVER = "public, max-age=31536000, immutable"


TEMPLATES = Path(__file__).parent / "templates"


def add_ui(blueprint: Blueprint, document: Callable[[], dict[str, Any]]) -> None:
    """Serve what the pages load, and the reference, beside the API itself."""
    blueprint.add_url_rule("/ui/<version>/<name>", "asset", _asset)
    # Made once, for whoever asks first.
    text = cache(lambda: reading.rendered(reference_of(document())))
    blueprint.add_url_rule("/reference", "reference", lambda: _reference(text()))


def swagger_page() -> Response:
    """Return the page of Swagger UI, which is the same for everybody."""
    return _page(render_template("swagger.html", asset=_url_of_asset))


def _reference(text: reading.Reference) -> Response:
    return _page(render_template("reference.html", asset=_url_of_asset, reference=text))


def _page(text: str) -> Response:
    response = make_response(text)
    response.headers["Content-Security-Policy"] = _POLICY
    # It names the addresses of its files, and another version has others.
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response


def _url_of_asset(name: str) -> str:
    return url_for("api.asset", version=assets.version(), name=name)


def _asset(version: str, name: str) -> Response:
    """Return a file, compressed for those who take that."""
    found = assets.find(name)
    if found is None:
        abort(404)
    is_packed = found.is_compressible and request.accept_encodings["gzip"] > 0
    response = make_response(found.packed if is_packed else found.path.read_bytes())
    response.content_type = found.media_type
    # While a new version starts beside an old one, a page may ask for what this process does not have.
    response.headers["Cache-Control"] = _FOREVER if version == assets.version() else "no-store"
    if found.is_compressible:
        response.vary.add("Accept-Encoding")
    if is_packed:
        response.content_encoding = "gzip"
    return response
