"""Parameters in paths, each with what Swagger UI fills in for it.

Swagger 2.0 has no `example` for a parameter that is no body. `x-example` is the
extension that Swagger UI reads; without it, it refuses to execute anything
before the user has filled the parameter in.
"""

from typing import Any

Parameters = dict[str, dict[str, Any]]


def text(name: str, meaning: str, *, example: str | None = None) -> Parameters:
    """Return the documentation of a parameter; without an example if one that exists could not be guessed."""
    return {name: {"description": meaning, **({} if example is None else {"x-example": example})}}


def _number(name: str, thing: str, *, example: int = 1) -> Parameters:
    # Or many a generator takes 32 bits.
    return {name: {"description": f"The number of the {thing}.", "format": "int64", "x-example": example}}


ITEM_ID = _number("item_id", "item")
JOB_ID = text("job_id", "The id of the job.")
KEY_ID = _number("key_id", "key")
POST_ID = _number("post_id", "post")
PROJECT_ID = _number("project_id", "project")
TASK_ID = _number("task_id", "task")
# Of the demo accounts, the one that is no administrator: most that is done to an account is not done to one's own.
USER_ID = _number("user_id", "user", example=2)
