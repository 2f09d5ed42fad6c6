"""JSON of Flask itself, by orjson."""

from typing import Any

from flask.json.provider import DefaultJSONProvider

from core.platform.text.json_out import dump


class OrjsonProvider(DefaultJSONProvider):
    """Flask's JSON, in which moments are RFC 3339 with `Z`, and enums their values."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return dump(obj).decode()
