"""Warnings of what a production installation cannot do as it is configured, logged when its processes start."""

import logging

from core.platform.config.derived import embedded_socket
from core.platform.config.settings import Settings

log = logging.getLogger("tasklane.start")

WITHOUT_REDIS = (
    "REDIS_URL is not set, so no job runs: e-mails, processing, exports, imports and reports are accepted and"
    " wait in the database. Rate limits are counted in each web process for itself."
)


def is_without_redis(settings: Settings) -> bool:
    """Return whether no setting says where Redis is, and `dev`, which brings its own, does not run either."""
    is_embedded = settings.sources["redis_url"] == "embedded"
    return settings.env == "production" and is_embedded and not embedded_socket(settings.instance_path).exists()


def tell(settings: Settings) -> None:
    """Log what is missing."""
    if is_without_redis(settings):
        log.warning("%s", WITHOUT_REDIS)
