"""The web application: the core application plus HTTP plumbing plus version 1."""

from flask import Flask, redirect
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter, IntegerConverter, PathConverter
from werkzeug.wrappers import Response as BaseResponse

from api.cli import FlaskCommands
from api.http.answers.errors import init_errors
from api.http.answers.headers import init_headers
from api.http.door.cors import init_cors
from api.http.door.deprecation import init_deprecations
from api.http.door.hosts import init_hosts
from api.http.door.limits import init_limits
from api.http.door.tokens import init_tokens
from api.http.input.request_id import init_request_ids
from api.http.input.utf8 import init_utf8
from api.http.serving.access_log import init_access_log
from api.http.serving.kept_answers import init_kept_answers
from api.http.serving.metrics import init_metrics
from api.http.serving.waiting import init_waiting
from api.v1 import create_blueprint, deprecations
from core.bootstrap import create_core_app
from core.operations import degradation
from core.platform.config.current import current_settings
from core.platform.config.settings import Settings
from core.platform.text.checks import MAX_ID

MAX_BODY_BYTES = 1024 * 1024


class IdConverter(IntegerConverter):
    """A number in a path that fits the database; any other is a 404."""

    regex = "[0-9]{1,19}"

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **{"max": MAX_ID, **kwargs})  # type: ignore[arg-type]


class AnyPathConverter(PathConverter):
    """The rest of a path, with line breaks too: what is wrong with them is for the operation to say."""

    regex = r"[^/][\s\S]*?"


class RestConverter(BaseConverter):
    """All the rest of a path, even if it begins with a slash, which `path` refuses."""

    part_isolating = False
    regex = r"[\s\S]+"
    weight = 200


def create_app(config_name: str | None = None, *, settings: Settings | None = None) -> Flask:
    """Return the web application, by default for the environment named by TASKLANE_ENV.

    Raises ConfigError when the configuration cannot be used.
    """
    app = create_core_app(config_name, settings=settings)
    app.cli = FlaskCommands()
    app.config.update(
        MAX_CONTENT_LENGTH=MAX_BODY_BYTES,
        RESTX_MASK_SWAGGER=False,
    )
    # Both /tasks and /tasks/ are the same, without a redirect that would lose a body.
    app.url_map.strict_slashes = False
    app.url_map.merge_slashes = False
    app.url_map.converters["int"] = IdConverter
    app.url_map.converters["path"] = AnyPathConverter
    app.url_map.converters["rest"] = RestConverter

    # Before all that stands around it: the counts of what is in work, and what believes a proxy.
    init_kept_answers(app)
    is_hosted = settings is None  # By another server than our own, which says this once for all of its processes.
    with app.app_context():
        settings = current_settings()
    if is_hosted:
        degradation.tell(settings)
        if settings.trusted_proxies:  # Our own server does this itself.
            count = settings.trusted_proxies
            app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_port=count)  # type: ignore[method-assign]
    # after_request functions run last to first: headers must see what the others set.
    init_metrics(app, settings)
    init_access_log(app)
    init_headers(app, settings)
    init_request_ids(app)
    init_errors(app)
    init_hosts(app, settings)
    init_utf8(app)
    init_tokens(app)
    with app.app_context():
        init_limits(app, settings)
        init_waiting(app)
    init_cors(app, settings)
    app.register_blueprint(create_blueprint())
    init_deprecations(app, deprecations.DEPRECATIONS)
    _register_root(app)
    return app


def _register_root(app: Flask) -> None:
    @app.get("/")
    def root() -> BaseResponse:
        return redirect("/api/")

    # Platforms probe without a version in the path.
    for path in ("/health", "/health/ready"):
        endpoint = "api.system_health" if path == "/health" else "api.system_readiness"
        app.add_url_rule(path, f"root{path.replace('/', '_')}", app.view_functions[endpoint], methods=["GET"])
