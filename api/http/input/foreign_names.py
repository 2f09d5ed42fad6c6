"""Names of other APIs, and the name that is meant by each here."""

import re
from collections.abc import Collection

from core.platform.text import faults

# Names of the same thing: one that is known here is suggested for any other in its line.
_SAME = (
    "per_page limit page_size size per page_limit max_results count results_per_page top take rows items_per_page",
    "page page_number page_no page_num page_index p offset skip start from_page",
    "cursor after next next_cursor page_token next_page_token continuation starting_after marker",
    "sort sort_by order order_by ordering sort_field sort_order orderby sortby order_dir direction",
    "q search query search_query keyword keywords text term filter s",
    "status state task_status",
    "state status job_status",
    "assignee_id assignee assigned_to assigned_to_id assigned",
    "owner_id owner user user_id created_by creator author author_id",
    "user_id user author author_id owner owner_id",
    "project_id project project_key",
    "task_id task",
    "item_id item product product_id",
    "due_date due deadline due_on due_at",
    "created_at created created_on since date date_created",
    "type types kind",
    "kind kinds type types event event_type",
    "role roles",
    "is_active active enabled",
    "deleted trash trashed include_deleted",
    "wait timeout wait_seconds",
)
_LINES = tuple(tuple(line.split()) for line in _SAME)


def nearest(name: str, known: Collection[str]) -> str:
    """Return a hint at the known name that is most likely meant by an unknown one, or nothing."""
    meant = _of_another_api(name, known)
    return f" Did you mean {meant!r}?" if meant else faults.nearest(name, known)


def _of_another_api(name: str, known: Collection[str]) -> str | None:
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name[:100]).lower().replace("-", "_").strip("_$")
    if plain in known:
        return plain
    for line in _LINES:
        if plain in line or plain.replace("_", "") in line:
            meant = next((other for other in line if other in known), None)
            if meant:
                return meant
    return None
