"""Values that a declared field may have, for tests that make up rows: a new field needs nothing here."""

from datetime import UTC
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from core.platform.fields import types
from core.platform.fields.declaration import Field
from core.platform.text.checks import MAX_ID

# Whatever the domain can store: anything but NUL and half a character.
storable = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
# Texts full of what the notation of files itself is made of.
tricky = st.text(st.sampled_from("'=+-@\t\r\n \u00a0\uff1d\uff0b\uff0d\uff20\",;a1\ufeff"), max_size=6)


def values_of(field: Field) -> st.SearchStrategy[Any]:
    """Return what a field may hold in files, texts of all kinds among it."""
    match field.type:
        case types.Choice(words):
            return st.sampled_from(words)
        case types.Whole(least, most):
            return st.integers(least, most)
        case types.Id() | types.Ref():
            return st.integers(1, MAX_ID)
        case types.Amount():
            return st.decimals(0, Decimal("9999999999.99"), places=2)
        case types.Day():
            return st.dates()
        case types.Moment():
            return st.datetimes(timezones=st.just(UTC))
        case types.Flag():
            return st.booleans()
    return storable | tricky
