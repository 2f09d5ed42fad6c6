"""Pages of a list as answers: with their neighbours as links, and a tag."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from flask import Response
from flask_restx.model import ModelBase
from orjson import Fragment

from api.http.answers import etags
from api.http.answers.marshalling import json_response, marshal
from api.http.answers.models import envelope
from api.http.answers.responses import answering
from api.http.answers.urls import own_url
from api.http.documentation import Verb
from api.http.input.arguments import plain_query
from core.platform import clock
from core.platform.database.paging import Page
from core.platform.text.json_out import dump


def paged(model: ModelBase) -> Callable[[Verb], Verb]:
    """Answer 200 with the returned page as a list."""

    def shape(page: Page) -> Response:
        pagination = {
            "page": page.number,
            "per_page": page.size,
            "pages": page.pages,
            "total": page.total,
            "total_is_exact": page.total_is_exact,
            "next_cursor": page.next_cursor,
        }
        data = dump([marshal(model, item) for item in page.items])
        body = {"status": "success", "data": Fragment(data), "meta": {"pagination": pagination}}
        return json_response(body, headers={"Link": _links(page), "ETag": _page_tag(page, data)})

    return answering(
        shape, 200, "A page of the list.", envelope(model, is_list=True), Link="Neighbouring pages (RFC 8288)."
    )


def _page_tag(page: Page, data: bytes) -> str:
    """Return a weak tag: two cursors that were signed at different times lead to the same place.

    The day is in it because a cursor ends some days later, and whoever has one
    must get a new one before that.
    """
    has_next = page.next_cursor is not None
    seen = (page.number, page.size, page.total, page.total_is_exact, has_next, clock.now().date())
    return etags.weak(data, repr(seen).encode())


def _links(page: Page) -> str:
    targets: dict[str, dict[str, Any]] = {}
    if page.number is None:
        targets["first"] = {"cursor": ""}
        if page.next_cursor:
            targets["next"] = {"cursor": page.next_cursor}
    else:
        ends, last = page.pages is not None, max(page.pages or 1, 1)
        targets["first"] = {"page": 1}
        if ends:
            targets["last"] = {"page": last}
        if page.number > 1:
            targets["prev"] = {"page": min(page.number - 1, last) if ends else page.number - 1}
        if page.next_cursor or page.number < last:
            targets["next"] = {"page": page.number + 1}
    rest = [(name, value) for name, value in plain_query() if name not in ("page", "cursor")]
    return ", ".join(
        f'<{own_url()}?{urlencode([*rest, *target.items()])}>; rel="{name}"' for name, target in targets.items()
    )


def listed(model: ModelBase) -> Callable[[Verb], Verb]:
    """Answer 200 with all of a list that is short by nature: one page, without paging parameters."""

    def shape(values: Any) -> Response:
        data = [marshal(model, value) for value in values]
        count = len(data)
        pagination: dict[str, Any] = {"page": 1, "per_page": max(count, 1), "pages": min(count, 1), "total": count}
        pagination |= {"total_is_exact": True, "next_cursor": None}
        return json_response({"status": "success", "data": data, "meta": {"pagination": pagination}})

    return answering(shape, 200, "The whole list.", envelope(model, is_list=True))
