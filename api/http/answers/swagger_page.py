"""The page of Swagger UI, under a policy that runs its scripts and no others."""

import base64
import hashlib
import re
from typing import Any

from flask import Response, make_response
from flask_restx.apidoc import ui_for

_SCRIPT = re.compile(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_STYLE = re.compile(r"<style[^>]*>(.*?)</style>", re.DOTALL)
_STYLE_ATTRIBUTE = re.compile(r'\sstyle="([^"]*)"')


def swagger_page(api: Any) -> Response:
    """Return the page, with a policy that names the digests of what is written into it.

    So neither `unsafe-inline` nor a template of our own is needed: whatever
    Flask-RESTX writes there runs, and what an attacker could smuggle in does not.
    """
    page = ui_for(api)
    styles = [*_digests(_STYLE, page), *_digests(_STYLE_ATTRIBUTE, page)]
    policy = {
        "default-src": ["'none'"],
        "script-src": ["'self'", *_digests(_SCRIPT, page)],
        "style-src": ["'self'", "'unsafe-hashes'", *styles],
        # Swagger UI draws its arrows from data: URLs.
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
    }
    response = make_response(page)
    response.headers["Content-Security-Policy"] = "; ".join(f"{name} {' '.join(at)}" for name, at in policy.items())
    return response


def _digests(pattern: re.Pattern[str], page: str) -> list[str]:
    """Return how a policy names each text that the pattern finds (CSP 3, section 8.3)."""
    texts = dict.fromkeys(pattern.findall(page))
    return [f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'" for text in texts]
