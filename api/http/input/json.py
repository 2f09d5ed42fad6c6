"""JSON out, as `core.platform.text.json_out` writes it; JSON in, as `core.platform.text.strict_json` reads it."""

from typing import Any

from flask.json.provider import DefaultJSONProvider

from core.platform.text.json_out import dump
from core.platform.text.strict_json import parse, printable, require_storable

__all__ = ["OrjsonProvider", "dump", "parse", "printable", "require_storable"]


class OrjsonProvider(DefaultJSONProvider):
    """Flask's JSON, by orjson: moments are RFC 3339 with `Z`, enums their values."""

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return dump(obj).decode()
