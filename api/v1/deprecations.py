"""Deprecations of version 1. docs/versioning.md says when an operation may get a line here.

For example: `Deprecation("GET /v1/tasks/process/status/{job_id}", date(2027, 3, 1), successor="/v1/jobs/{job_id}")`.
"""

from api.http.door.deprecation import Deprecation

DEPRECATIONS: tuple[Deprecation, ...] = ()
