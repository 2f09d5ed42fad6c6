"""Version 1: the Api object and the explicit list of its namespaces."""

from typing import Any

from flask import Blueprint

from api.http.answers.models import shared
from api.ui import TEMPLATES, add_ui, swagger_page
from api.v1 import (
    audit,
    auth,
    bulk,
    exports,
    history,
    imports,
    items,
    jobs,
    keys,
    notifications,
    posts,
    profiles,
    projects,
    reports,
    resets,
    search,
    stats,
    system,
    tasks,
    upstreams,
    users,
)
from api.v1.document import AUTHORIZATIONS, DESCRIPTION, TasklaneApi
from core.version import VERSION

# In the order in which people need them, which the document, Swagger UI and docs/api.md have from here.
NAMESPACES = (
    tasks.ns,
    bulk.ns,
    history.ns,
    posts.ns,
    projects.ns,
    items.ns,
    search.ns,
    stats.ns,
    profiles.ns,
    jobs.ns,
    exports.ns,
    imports.ns,
    reports.ns,
    auth.ns,
    keys.ns,
    resets.ns,
    notifications.ns,
    users.ns,
    audit.ns,
    upstreams.ns,
    system.ns,
    shared,
)


def create_blueprint() -> Blueprint:
    """Return everything below /api: Swagger UI, the documents, and version 1."""
    blueprint = Blueprint("api", __name__, url_prefix="/api", template_folder=TEMPLATES)
    api: Any = TasklaneApi(
        blueprint,
        version=VERSION,
        title="Tasklane",
        description=DESCRIPTION,
        authorizations=AUTHORIZATIONS,
        doc="/",
        validate=False,
    )
    api.documentation(swagger_page)
    add_ui(blueprint, lambda: api.document)
    for namespace in NAMESPACES:
        api.add_namespace(namespace)
    return blueprint
