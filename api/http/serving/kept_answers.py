"""The door, without Flask: kept answers to requests that were asked before, word for word.

The usual way to such an answer is almost all framework. Here it is asked what the usual way asks, by the same
functions and in the same order: whose token this is and whether its session still counts, what may be
told to whom, whether anything has changed since, how often the caller has asked. What the usual way has
said of the same words before, such as headers that do not depend on the caller, is said again.
Whatever is not completely clear, and whatever fails, goes the usual way.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from cachetools import LRUCache
from flask import Flask, Response, request

from api.http.answers import cached, etags
from api.http.answers.cached import KEPT, Found, Kept
from api.http.door import limit_headers, limits, tokens
from api.http.door.limit_headers import Quota, told
from api.http.input import request_id
from api.http.input.continuation import ASKED
from api.http.serving import access_log
from core.platform import clock
from core.platform.access import Actor
from core.platform.cache.answers import METERS
from core.platform.cache.marks import service as marks
from core.platform.database.trouble import is_outage
from core.platform.errors import DomainError
from core.platform.logs import context

log = logging.getLogger("tasklane.kept")

Environ = dict[str, Any]
# Of questions that were answered last; one that was forgotten goes the usual way once.
MAX_QUESTIONS = 5_000
LONGEST_QUESTION = 2_000
MAX_FORMS = 200
LONGEST_LAST = 2_000
EXTENSION = "tasklane.kept_answers"
# What an answer is made of, as far as the caller does not matter.
_WORDS = ("SCRIPT_NAME", "PATH_INFO", "QUERY_STRING", "HTTP_HOST", "SERVER_NAME", "SERVER_PORT", "wsgi.url_scheme")
_MORE_WORDS = ("HTTP_ACCEPT", "HTTP_X_FORWARDED_PROTO")
# With one of these it is another question, or needs a look at more than the token.
_DOUBTS = frozenset(
    f"HTTP_{name}"
    for name in (
        *("IF_MATCH", "IF_MODIFIED_SINCE", "IF_UNMODIFIED_SINCE", "IF_RANGE", "RANGE", "EXPECT", "X_FIELDS"),
        *("COOKIE", "X_API_KEY", "X_CSRF_TOKEN", "ORIGIN", "TRANSFER_ENCODING", "CONTENT_ENCODING"),
    )
)
# What each answer says anew, here as there.
_OF_ITS_OWN = frozenset(
    {"content-length", "etag", "link", "x-request-id"} | {name.lower() for name in limit_headers.NAMES}
)
# What an answer that was kept cannot have. Of what is deprecated every call is counted, and it may end.
_UNKEPT = frozenset({"retry-after", "set-cookie", "deprecation"})
_ROUTE = "tasklane.kept_route"


@dataclass(frozen=True, slots=True)
class _Form:
    """An answer as the usual way gives it, without what it says anew each time."""

    line: str
    headers: tuple[tuple[str, str], ...]
    has_length: bool
    has_link: bool


@dataclass(slots=True)
class _Question:
    """A question that the usual way has answered, and how."""

    kept: Kept
    route: str
    path: str
    forms: dict[int, _Form] = field(default_factory=dict)
    # The state of everything when it was answered last, and the answer, if that is short.
    last: tuple[tuple[object, ...], Found] | None = None


class KeptAnswers:
    """A WSGI application before another one, the usual way."""

    def __init__(self, app: Flask, usual: Callable[..., Iterable[bytes]]) -> None:
        self.is_on = True
        self._app = app
        self._usual = usual
        self._lock = threading.Lock()
        self._questions: LRUCache[tuple[str | None, ...], _Question] = LRUCache(MAX_QUESTIONS)
        self._forms: LRUCache[_Form, _Form] = LRUCache(MAX_FORMS)

    def __call__(self, environ: Environ, start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer, here or by the usual way."""
        words = _words(environ) if self.is_on else None
        if words is None:
            return self._usual(environ, start_response)
        with self._lock:
            question = self._questions.get(words)
        answer = None if question is None else self._try(question, environ)
        if answer is None:
            return self._learn(words, environ, start_response)
        line, headers, body = answer
        start_response(line, headers)
        return [body] if body else []

    def _try(self, question: _Question, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes] | None:
        try:
            return self._answer(question, environ)
        except DomainError:
            return None  # The usual way says what is wrong.
        except Exception as error:
            if not is_outage(error):
                log.error("A kept answer cannot be given, so the usual way gives one.", exc_info=error)
            return None

    def _answer(self, question: _Question, environ: Environ) -> tuple[str, list[tuple[str, str]], bytes] | None:
        began_at = time.perf_counter()
        own_id = request_id.begin(environ.get("HTTP_X_REQUEST_ID", ""), environ.get("REMOTE_ADDR"))
        known = tokens.recognize(self._app, environ["HTTP_AUTHORIZATION"])
        if known is None:
            return None
        environ[tokens.RECOGNIZED] = known
        actor, all_marks = known
        found = self._find(question, environ, actor, all_marks)
        form = None if found is None else question.forms.get(304 if found.body is None else 200)
        if found is None or form is None:
            return None
        status, body = (304, b"") if found.body is None else (200, found.body)
        # To hear that nothing has changed is free, as long as one more would be let in.
        count = limits.count_known(self._app, actor, counts=status != 304)
        if count is None:
            return None
        context.user_id.set(actor.user_id)
        headers = [*form.headers, ("ETag", found.headers["ETag"]), (request_id.HEADER, own_id)]
        if form.has_length:
            headers.append(("Content-Length", str(len(body))))
        if form.has_link:
            headers.append(("Link", found.headers["Link"]))
        if count.windows:
            headers += told((Quota(limits.policy_of(actor), count.windows),), status, None)
        self._note(question, found, status, time.perf_counter() - began_at, len(body))
        return form.line, headers, body

    def _find(self, question: _Question, environ: Environ, actor: Actor, all_marks: str) -> Found | None:
        """Return the kept answer to a caller who may have it."""
        sent = environ.get("HTTP_IF_NONE_MATCH")
        # All that an answer depends on.
        state = (actor, marks.stamp_of(all_marks, question.kept.topics), sent, clock.now().date())
        # Read once: another thread may put another caller's answer there while the states are compared.
        last = question.last
        if last is not None and last[0] == state:
            return last[1]
        if not actor.has(question.kept.resource.permissions["GET"]):  # type: ignore[attr-defined]
            return None
        known = None if sent is None else etags.named_in(etags.IF_NONE_MATCH, sent)
        with self._app.app_context():
            found = cached.find(question.kept, actor, all_marks, known)
        if found is not None and len(found.body or b"") + len(sent or "") <= LONGEST_LAST:
            question.last = state, found
        return found

    def _note(self, question: _Question, found: Found, status: int, seconds: float, size: int) -> None:
        meters = self._app.extensions.get(METERS)
        if meters is not None:
            if found.is_near is not None:
                meters.count_lookup(is_near=found.is_near, is_hit=True)
            meters.count_request("GET", question.route, status, seconds)
        if access_log.log.isEnabledFor(logging.INFO):
            access_log.write_line("GET", question.route, question.path, status, seconds, size)

    def _learn(
        self, words: tuple[str | None, ...], environ: Environ, start_response: Callable[..., Any]
    ) -> Iterable[bytes]:
        """Go the usual way, and note how it answers what could be answered here the next time."""
        said: list[tuple[str, list[tuple[str, str]]]] = []

        def start(line: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            said.append((line, headers))
            return start_response(line, headers, *rest)

        answer = self._usual(environ, start)
        if KEPT in environ and _ROUTE in environ and len(said) == 1:
            self._remember(words, environ[KEPT], environ[_ROUTE], *said[0])
        return answer

    def _remember(
        self,
        words: tuple[str | None, ...],
        kept: Kept,
        place: tuple[str, str],
        line: str,
        headers: list[tuple[str, str]],
    ) -> None:
        status = int(line[:3])
        names = {name.lower() for name, _ in headers}
        is_plain = getattr(kept.resource, "count", None) is limits.count_request
        if status not in (200, 304) or names & _UNKEPT or "etag" not in names or not is_plain:
            return
        fixed = tuple((name, value) for name, value in headers if name.lower() not in _OF_ITS_OWN)
        form = _Form(line, fixed, "content-length" in names, "link" in names)
        with self._lock:
            # Almost all answers share a handful of forms.
            form = self._forms.setdefault(form, form)
            question = self._questions.get(words)
            if question is None or question.kept != kept:
                question = self._questions[words] = _Question(kept, *place)
            question.forms[status] = form


def init_kept_answers(app: Flask) -> None:
    """Give kept answers before the application is asked. Nothing else may stand around it yet."""
    kept_answers = KeptAnswers(app, app.wsgi_app)
    app.extensions[EXTENSION] = kept_answers
    app.wsgi_app = kept_answers  # type: ignore[method-assign]

    @app.after_request
    def note_place(response: Response) -> Response:
        if KEPT in request.environ:
            request.environ[_ROUTE] = access_log.route(), access_log.shown_path()
        return response


def _words(environ: Environ) -> tuple[str | None, ...] | None:
    """Return what is asked, None where it is not completely clear that it is a plain question of a bearer."""
    if environ["REQUEST_METHOD"] != "GET" or "HTTP_AUTHORIZATION" not in environ or not _DOUBTS.isdisjoint(environ):
        return None
    if environ.get("CONTENT_LENGTH") not in (None, "", "0") or ASKED in environ:
        return None
    if "*" in environ.get("HTTP_IF_NONE_MATCH", ""):
        return None
    words = tuple([environ.get(name) for name in _WORDS] + [environ.get(name) for name in _MORE_WORDS])
    return words if sum(map(len, filter(None, words))) <= LONGEST_QUESTION else None
