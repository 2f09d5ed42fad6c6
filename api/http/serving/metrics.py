"""The path /metrics: whether it is there, and who may read it. Its content is made in `exposition.py`."""

import hmac
import importlib
from ipaddress import ip_network

from flask import Flask, Response, request

from api.http.door.hosts import METRICS
from api.http.input.continuation import GO_ON
from api.http.input.peer import peer_address
from api.http.serving.access_log import route, seconds_so_far
from core.operations import installation
from core.platform.cache.answers import METERS
from core.platform.config.current import current_settings
from core.platform.config.settings import Settings
from core.platform.errors import Forbidden, InvalidToken, Unauthenticated


def init_metrics(app: Flask, settings: Settings) -> None:
    """Count what happens and show it, if that is switched on. If not, nothing is loaded, counted or answered."""
    if not settings.metrics.enabled:
        return
    # Loaded here, because no command but one that serves needs it.
    exposition = importlib.import_module("api.http.serving.exposition")
    meters = exposition.Meters()
    app.extensions[METERS] = meters
    with app.app_context():
        meters.watch_pool()
    # Around everything, so that no refusal can leave a request counted as being in work.
    app.wsgi_app = meters.counting(app.wsgi_app)  # type: ignore[method-assign]

    @app.after_request
    def count(response: Response) -> Response:
        if response.status_code != GO_ON:
            meters.count_request(request.method, route(), response.status_code, seconds_so_far())
        return response

    @app.get(METRICS)
    def metrics() -> Response:
        """Show the metrics to those who may read them."""
        require_reader(current_settings())
        text = meters.render(installation.look(current_settings()))
        return Response(text, content_type=exposition.CONTENT_TYPE, headers={"Cache-Control": "no-store"})


def require_reader(settings: Settings) -> None:
    """Raise Forbidden for a strange address, and Unauthenticated without the token, if these are configured."""
    networks = [ip_network(text) for text in settings.metrics.addresses]
    address = peer_address()
    if networks and not (address and any(address in network for network in networks)):
        raise Forbidden("Metrics are not shown to this address.")
    if not settings.metrics.token:
        return
    if "Authorization" not in request.headers:
        raise Unauthenticated("Credentials are needed.")
    scheme, _, token = request.headers["Authorization"].partition(" ")
    is_right = hmac.compare_digest(token.strip().encode(), settings.metrics.token.encode())
    if scheme.lower() != "bearer" or not is_right:
        raise InvalidToken("This token is not valid here.")
