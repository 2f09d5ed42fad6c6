"""Headers that every answer has."""

from flask import Flask, Response, request

from api.http.input.media import tell_patch_types
from core.platform.config.settings import Settings

# An answer is data. Whatever it says, a browser must load nothing for it, run nothing and show it in no frame.
POLICY = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
# What every answer has, unless it has its own. Also what the server itself refuses.
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_ALWAYS = [(name.lower(), (name, value)) for name, value in ALWAYS.items()]
# By what an answer of the API differs.
VARIES = ("Authorization", "Cookie", "X-API-Key", "Accept")
_VARY = ", ".join(VARIES)


def init_headers(app: Flask, settings: Settings) -> None:
    """Say how an answer may be cached, by what it varies, and what a browser may do with it."""
    strict_transport = f"max-age={settings.hsts_seconds}"

    @app.after_request
    def add_headers(response: Response) -> Response:
        tell_patch_types(response)
        if response.status_code in (204, 304):
            response.headers.pop("Content-Type", None)  # Of a body that is not there.
        if request.path.startswith("/api/v1"):
            _vary(response)
            if "Cache-Control" not in response.headers:
                # A reader may keep its copy, but has to ask whether it still holds.
                is_read = request.method in ("GET", "HEAD")
                response.headers["Cache-Control"] = "private, no-cache" if is_read else "no-store"
        present = {name.lower() for name, _ in response.headers}
        response.headers.extend([header for name, header in _ALWAYS if name not in present])
        # Over plain http, browsers ignore it (RFC 6797, section 7.2), because an attacker could have put it there.
        if settings.hsts_seconds and request.is_secure:
            response.headers["Strict-Transport-Security"] = strict_transport
        return response


def _vary(response: Response) -> None:
    if "Vary" not in response.headers:
        response.headers["Vary"] = _VARY
        return
    for name in VARIES:
        response.vary.add(name)
