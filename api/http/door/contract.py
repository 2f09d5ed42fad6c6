"""Contract of a verb: the refusals, headers and credentials that each operation has because it passes the door."""

from api.http.answers import conditional
from api.http.answers.downloads import is_download
from api.http.answers.refusals import refuses
from api.http.documentation import Verb, document
from api.http.door import idempotency
from api.http.input.takes import input_of
from core.platform.access import SCOPES, Permission

SECURITY: list[dict[str, list[str]]] = [{"Password": []}, {"Bearer": []}, {"ApiKey": []}]


def document_operation(
    verb: Verb, method: str, permission: Permission, *, is_counted: bool, needs_database: bool, has_state: bool
) -> None:
    """Add to a verb the refusals, headers and credentials that follow from what it is."""
    takes = input_of(verb)
    codes = {400, 413, 415, 500}
    codes |= set() if is_download(verb) else {406}
    codes |= {503} if needs_database else set()
    codes |= set() if permission is Permission.PUBLIC else {401, 403}
    codes |= {429} if is_counted else set()
    codes |= {422} if takes.body is not None or takes.form is not None else set()
    if method == "GET":
        codes |= {412}
        conditional.document_read(verb)
    elif has_state:
        codes |= {412, 428} if method in conditional.GUARDED_METHODS else {412}
        conditional.document_write(verb)
    if method == "POST":
        codes |= {409, 422}
        document(verb, params=idempotency.PARAMETER)
    document(refuses(*codes)(verb), security=_security(permission))


def _security(permission: Permission) -> list[dict[str, list[str]]]:
    """Return by which credentials an operation with this permission is reached."""
    if permission is Permission.PUBLIC:
        return []
    if permission is Permission.SESSION_REFRESH:
        # By a refresh token alone, which no log-in of the document and no cookie stands for.
        return [{"Bearer": []}]
    return [way for way in SECURITY if permission in SCOPES or "ApiKey" not in way]
