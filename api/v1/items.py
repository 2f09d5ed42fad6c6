"""Items over HTTP."""

from collections.abc import Mapping
from typing import Any

from flask_restx import Namespace, fields

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import places, query
from api.http.input.fields import Id, Line, Moment, Money, NullableLine, NullableText
from api.http.input.takes import takes
from core.items import service as items
from core.items.model import DESCRIPTION_LENGTH, NAME_LENGTH, SKU_LENGTH, Item
from core.platform.access import Actor, Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.removal import service as removal

ns = Namespace("items", description="Keep the things that tasks are about", path="/v1/items")


def _name(**options: Any) -> Line:
    return Line(max_length=NAME_LENGTH, example="Label printer", **options)


def _price(**options: Any) -> Money:
    return Money(description="An exact amount with at most two decimal places.", **options)


def _sku(**options: Any) -> NullableLine:
    return NullableLine(description="Unique.", max_length=SKU_LENGTH, example="PRT/0042", **options)


item_out = ns.model(
    "Item",
    {
        "id": Id(required=True),
        "name": _name(required=True),
        "price": _price(required=True),
        "description": NullableText(required=True),
        "sku": _sku(required=True),
        "created_by": Id(required=True),
        "version": fields.Integer(required=True, description="Grows with every change.", example=1),
        "created_at": Moment(required=True),
        "updated_at": Moment(required=True),
    },
)
_optional = {"description": NullableText(max_length=DESCRIPTION_LENGTH, example="On the second floor."), "sku": _sku()}
item_in = ns.model(
    "ItemInput", {"name": _name(required=True), "price": _price(required=True), **_optional}, strict=True
)
item_patch = ns.model("ItemPatch", {"name": _name(), "price": _price(), **_optional}, strict=True)

list_query = query.list_parser(items.SORTABLE, items.DEFAULT_SORT)
query.add(list_query, "created_by", query.user_reference, "Only items of this user; `me` is the caller.")
query.add(list_query, "sku", query.words, "Only the item with exactly this SKU.")
query.add(list_query, "q", query.words, "Only items whose name, description or SKU contains this.")
query.add_range(list_query, "price", query.amount)
query.add_range(list_query, "created_at", query.moment)


def narrowed(actor: Actor, arguments: Mapping[str, Any]) -> items.ItemFilter:
    """Return what the parameters of `list_query` narrow a list of items to."""
    return items.ItemFilter(
        created_by=query.user_id(arguments, "created_by", me=actor.user_id),
        sku=arguments.get("sku"),
        q=arguments.get("q"),
        ranges=query.ranges(arguments, "price", "created_at"),
    )


@ns.route("")
class ItemCollection(SecureResource):
    permissions = {"GET": Permission.ITEMS_READ, "POST": Permission.ITEMS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(Topic.ITEMS)
    @paged(item_out)
    def get(self) -> Page:
        """List items, newest first."""
        return items.list_visible(self.actor, page=self.page, narrowed=narrowed(self.actor, self.query))

    @takes(item_in)
    @refuses(409)
    @created(item_out)
    def post(self) -> Item:
        """Create an item."""
        return items.create(self.actor, **self.body)


@ns.route("/<int:item_id>")
@ns.doc(params=places.ITEM_ID)
class ItemItem(SecureResource):
    conditional_on = item_out
    permissions = {
        "GET": Permission.ITEMS_READ,
        "PUT": Permission.ITEMS_WRITE,
        "PATCH": Permission.ITEMS_WRITE,
        "DELETE": Permission.ITEMS_WRITE,
    }

    @refuses(404)
    @cached(Topic.ITEMS)
    @returns(item_out)
    def get(self, item_id: int) -> Item:
        """Read an item."""
        return items.get(self.actor, item_id=item_id)

    @takes(item_in)
    @refuses(403, 404, 409)
    @returns(item_out)
    def put(self, item_id: int) -> Item:
        """Replace an item; what is not given becomes null."""
        return items.replace(self.actor, self.expected, item_id=item_id, **self.body)

    @takes(item_patch)
    @refuses(403, 404, 409)
    @returns(item_out)
    def patch(self, item_id: int) -> Item:
        """Change some fields of an item; what is not given stays."""
        return items.change(self.actor, self.expected, item_id=item_id, **self.body)

    @refuses(403, 404, 409)
    @no_content
    def delete(self, item_id: int) -> None:
        """Delete an item that no task is about; its creator and administrators may."""
        removal.delete_item(self.actor, self.expected, item_id=item_id)


@ns.route("/by-sku/<rest:sku>")
@ns.doc(params=places.text("sku", "The SKU, percent-encoded; slashes may stay as they are.", example="PRT/0042"))
class ItemBySku(SecureResource):
    permissions = {"GET": Permission.ITEMS_READ}

    @refuses(404)
    @cached(Topic.ITEMS)
    @returns(item_out)
    def get(self, sku: str) -> Item:
        """Look an item up by its SKU."""
        return items.get_by_sku(self.actor, sku=sku)
