"""Items over HTTP."""

from flask_restx import Namespace

from api.http.answers.cached import cached, cached_page
from api.http.answers.pages import paged
from api.http.answers.refusals import refuses
from api.http.answers.responses import created, no_content, returns
from api.http.door.resource import SecureResource
from api.http.input import declared, places
from api.http.input.takes import takes
from core.items import service as items
from core.items.fields import FIELDS
from core.items.model import Item
from core.platform.access import Permission
from core.platform.cache.marks.model import Topic
from core.platform.database.paging import Page
from core.removal import service as removal

ns = Namespace("items", description="Manage the things that tasks are about", path="/v1/items")


item_out = ns.model("Item", declared.answer(FIELDS))
item_in = ns.model("ItemCreate", declared.creation(FIELDS), strict=True)
item_replacement = ns.model("ItemReplace", declared.replacement(FIELDS), strict=True)
item_patch = ns.model("ItemUpdate", declared.patch(FIELDS), strict=True)

list_query = declared.list_parser(items.FILTERS, items.DEFAULT_SORT, first=["created_by"])


@ns.route("")
class ItemCollection(SecureResource):
    operations = {"GET": "list_items", "POST": "create_item"}
    permissions = {"GET": Permission.ITEMS_READ, "POST": Permission.ITEMS_WRITE}

    @takes(query=list_query)
    @refuses(410)
    @cached_page(Topic.ITEMS)
    @paged(item_out)
    def get(self) -> Page:
        """List items, newest first."""
        return items.list_visible(self.actor, page=self.page, filters=self.filters(items.FILTERS))

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
    operations = {"GET": "get_item", "PUT": "replace_item", "PATCH": "update_item", "DELETE": "delete_item"}
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

    @takes(item_replacement)
    @refuses(403, 404, 409)
    @returns(item_out)
    def put(self, item_id: int) -> Item:
        """Replace an item; what is not given becomes null."""
        return items.change(self.actor, self.expected, item_id=item_id, **(items.CLEARED | self.body))

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
    operations = {"GET": "get_item_by_sku"}
    permissions = {"GET": Permission.ITEMS_READ}

    @refuses(404)
    @cached(Topic.ITEMS)
    @returns(item_out)
    def get(self, sku: str) -> Item:
        """Look an item up by its SKU."""
        return items.get_by_sku(self.actor, sku=sku)
