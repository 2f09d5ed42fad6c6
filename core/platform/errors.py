"""The refusals of the domain.

Services raise these and know nothing of HTTP; `api.http.answers.errors` is the one
place that turns them into answers. `details` names the offending fields, each
with a list of sentences that a person can act on.
"""

from collections.abc import Mapping, Sequence

Details = Mapping[str, Sequence[str]]


class DomainError(Exception):
    """A request that cannot be granted, with a sentence for the caller.

    `unnamed` is the number of faults beside those in `details`.
    """

    code = "domain_error"

    def __init__(self, message: str, *, details: Details | None = None, unnamed: int = 0) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        self.unnamed = unnamed


class Malformed(DomainError):
    """The request cannot be understood: a broken body, or a parameter that cannot be used."""

    code = "bad_request"


class Unauthenticated(DomainError):
    """The credentials are missing, wrong, expired or revoked."""

    code = "unauthenticated"


class InvalidToken(Unauthenticated):
    """A token was presented that is malformed, forged, of the wrong kind, or of an ended session."""

    code = "invalid_token"


class ExpiredToken(InvalidToken):
    """The token was good, and its time is over; the refresh token helps."""

    code = "token_expired"


class Forbidden(DomainError):
    """The caller is known, but may not do this."""

    code = "forbidden"


class NotFound(DomainError):
    """There is no such thing."""

    code = "not_found"


class Conflict(DomainError):
    """The request contradicts the present state: a duplicate or an illegal transition."""

    code = "conflict"


class PreconditionFailed(DomainError):
    """The thing is not in the state that the caller demands. `current` names its state, if it has one."""

    code = "precondition_failed"

    def __init__(self, message: str, *, current: str | None = None) -> None:
        super().__init__(message)
        self.current = current


class PreconditionRequired(DomainError):
    """Here nothing may be changed without saying which state is meant."""

    code = "precondition_required"


class Expired(DomainError):
    """The thing was valid once, for example a paging cursor, and is too old now."""

    code = "gone"


class Invalid(DomainError):
    """A field holds a value that the domain refuses."""

    code = "validation_failed"


class Unavailable(DomainError):
    """A dependency that this operation needs does not answer. `retry_after` is in seconds, if known."""

    code = "unavailable"

    def __init__(self, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TooManyAttempts(DomainError):
    """Refusal of a caller that tried too often. `retry_after` is in seconds."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class JobFailed(DomainError):
    """A job can never succeed, so trying again is pointless."""

    code = "job_failed"
