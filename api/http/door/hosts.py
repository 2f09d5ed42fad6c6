"""Names under which the service may be called, and the redirect from http to https."""

from urllib.parse import quote, urlsplit

from flask import Flask, Response, request
from werkzeug.sansio.utils import host_is_trusted

from core.platform.config.settings import Settings
from core.platform.errors import Malformed

# Balancers and Prometheus ask by address and without TLS, and get nothing that depends on either.
METRICS = "/metrics"
PROBES = frozenset({"/health", "/health/ready", "/api/v1/health", "/api/v1/health/ready", METRICS})
# What a path may contain as it is (RFC 3986, section 3.3).
_PLAIN = "/!$&'()*+,;=:@-._~"


def init_hosts(app: Flask, settings: Settings) -> None:
    """Refuse names that are not ours, and send those who come by http to https."""

    # In a name, capitals mean nothing (RFC 4343), which the look-up does not know.
    hosts = [host.lower() for host in settings.trusted_hosts]

    @app.before_request
    def check() -> Response | None:
        if request.path.rstrip("/") in PROBES:
            return None
        if hosts and not host_is_trusted(request.host.lower(), hosts):
            # Not by Flask's own TRUSTED_HOSTS: that refuses before any of our error handling can run.
            raise Malformed("This service is not known by the name in the Host header.")
        if settings.https_redirect and _came_by_http(settings):
            return _redirect(settings)
        return None


def _came_by_http(settings: Settings) -> bool:
    """Return whether a trusted proxy says so. This process itself speaks only http, so it cannot know."""
    return settings.trusted_proxies > 0 and not request.is_secure and "X-Forwarded-Proto" in request.headers


def _redirect(settings: Settings) -> Response:
    """Return a redirect that keeps method and body (RFC 9110, section 15.4.9)."""
    public = urlsplit(settings.public_url)
    host = public.netloc if public.scheme == "https" else request.host.removesuffix(":80")
    path = quote(request.path, safe=_PLAIN)
    query = quote(request.query_string, safe=f"{_PLAIN}?%")
    location = f"https://{host}{path}?{query}" if query else f"https://{host}{path}"
    # The Host is of the client's choice, so no cache may keep this for other clients.
    return Response(status=308, headers={"Location": location, "Cache-Control": "no-store"})
