"""Search over HTTP."""

from dataclasses import asdict, replace

from flask import request
from flask_restx import Namespace, fields

from api.http.answers.cached import cached_page
from api.http.answers.pages import paged
from api.http.door.resource import SecureResource
from api.http.input import query
from api.http.input.fields import Id, Moment
from api.http.input.takes import takes
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import MAX_PAGE, MAX_PER_PAGE, Page
from core.search import service
from core.search.index import HitKind
from core.search.repository import MOST_RANKED
from core.search.terms import QUERY_LENGTH

ns = Namespace("search", description="Find tasks, posts and items", path="/v1/search")

hit_out = ns.model(
    "SearchHit",
    {
        "type": fields.String(required=True, enum=list(HitKind), example="task"),
        "id": Id(required=True),
        "title": fields.String(required=True, description="Plain text.", example="Renew the TLS certificate"),
        "snippet": fields.String(
            required=True,
            description="An extract as safe HTML: found words are in `<mark>`, everything else is escaped.",
            example="Renew the TLS <mark>certificate</mark>",
        ),
        "score": fields.Float(required=True, description="From 0 to 1, which is the best of this search.", example=1.0),
        "url": fields.String(
            required=True, description="The resource.", example="https://tasks.example.com/api/v1/tasks/7"
        ),
        "created_at": Moment(required=True),
    },
)

_PLURALS = {HitKind.TASK: "tasks", HitKind.POST: "posts", HitKind.ITEM: "items"}

search_query = query.parser()
query.add(
    search_query,
    "q",
    query.text(QUERY_LENGTH, example="certificate"),
    'All of these words must be there, the last one as a beginning from two letters on; "quoted" words as a phrase.',
    required=True,
)
query.add(search_query, "type", query.one_or_more(HitKind), "Only these, comma-separated or repeated.")
query.add(search_query, "project_id", query.integer(), "Only tasks of this project and posts about them.")
query.add(
    search_query,
    "sort",
    query.one_of(("relevance", "newest"), aliases={"date": "newest"}),
    "The best first by default; `newest` and `date` are the same.",
)
query.add(search_query, "page", query.integer(maximum=MAX_PAGE), "The number of the page, from 1.")
query.add(search_query, "limit", query.integer(maximum=MAX_PER_PAGE), "Hits on a page; 20 by default.")


@ns.route("")
class Search(SecureResource):
    """Tasks, posts and items that the caller may see, by their words."""

    operations = {"GET": "search_content"}
    permissions = {"GET": Permission.SEARCH_READ}

    @takes(query=search_query)
    @ns.doc(
        description=(
            f"Ranks the newest {MOST_RANKED:,} matches of each type, and counts no more than those. Words in a title"
            " weigh more than any in the text. Neither case nor accents matter, and ł, ø, ß and the like are found by"
            " l, o, ss. Scripts without spaces, such as Chinese and Thai, are found inside of a text; emoji and signs"
            " of currencies are words. Nothing in `q` but double quotes has a meaning; nothing but punctuation in it"
            " is 400. There is no cursor. An API key finds only what its scopes let it read."
        )
    )
    @cached_page(Topic.TASKS, Topic.POSTS, Topic.ITEMS, Topic.PROJECTS, Topic.PROJECT_MEMBERS)
    @paged(hit_out)
    def get(self) -> Page:
        """Find tasks, posts and items by their words."""
        page = service.search(
            self.actor,
            text=self.query["q"],
            kinds=self.query.get("type", tuple(HitKind)),
            project_id=self.query.get("project_id"),
            newest=self.query.get("sort") == "newest",
            number=self.query.get("page", 1),
            size=self.query.get("limit", 20),
        )
        return replace(page, items=[_with_url(hit) for hit in page.items])


def _with_url(hit: service.Hit) -> dict[str, object]:
    return {**asdict(hit), "url": f"{request.root_url}api/v1/{_PLURALS[hit.type]}/{hit.id}"}
