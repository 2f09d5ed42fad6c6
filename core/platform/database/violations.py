"""Meaning of a violated constraint."""

import re

from sqlalchemy.exc import IntegrityError

from core.platform.database.base import Base
from core.platform.errors import Conflict
from core.platform.text import checks


def conflict_of(error: IntegrityError) -> Conflict | None:
    """Translate a violated unique constraint, whose name ends with the field's; None for any other."""
    diagnosis = getattr(error.orig, "diag", None)
    name = getattr(diagnosis, "constraint_name", None)
    if name is None:
        words = str(error.orig)
        if match := re.search(r"index '(uq_\w+)'", words):
            name = match.group(1)
        elif match := re.search(r"UNIQUE constraint failed: (\w+)\.(\w+)", words):
            name = f"uq_{match.group(1)}_{match.group(2)}"
    if name is None or not name.startswith("uq_"):
        return None
    for table in Base.metadata.tables:
        if name.startswith(f"uq_{table}_"):
            field = name.removeprefix(f"uq_{table}_")
            return Conflict(f"This {field} is already taken.", details={field: [checks.TAKEN]})
    return None
