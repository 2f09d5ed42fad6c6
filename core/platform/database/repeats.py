"""Doing work once more that lost to others: a deadlock, or a state that changed under its hands.

Neither is a fault. The database has undone one of the transactions so that the
others can go on, and asks for that one to be begun again (PostgreSQL manual,
section 13.5). What is repeated is a whole unit: everything between a call and
its answer, with the same arguments, reading all that it decides by anew. That is
safe because a unit has no effect outside of its transaction: messages and all
other slow work are rows that are committed with it.
"""

import logging
import random
import time
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError

from core.platform.database.session import is_writing
from core.platform.database.trouble import asks_for_repetition

log = logging.getLogger("tasklane.database")

Given = ParamSpec("Given")
Answer = TypeVar("Answer")

# How often a unit is tried in all; then the caller hears that the database cannot do it now.
ATTEMPTS = 8
# Seconds. The pause before each repetition is chosen at random, so that two do not meet again, from a
# range that doubles each time.
SHORTEST, LONGEST = 0.02, 0.5


def repeated(unit: Callable[Given, Answer]) -> Callable[Given, Answer]:
    """Repeat a function that writes when its transaction has lost to another one.

    Inside another's transaction it is a part of that one, which is repeated as a whole.
    """

    @wraps(unit)
    def run(*args: Given.args, **kwargs: Given.kwargs) -> Answer:
        if is_writing():
            return unit(*args, **kwargs)
        for failures in range(ATTEMPTS - 1):
            try:
                return unit(*args, **kwargs)
            except DBAPIError as error:
                if not asks_for_repetition(error):
                    raise
                log.info("%s lost to another transaction and is done again.", unit.__qualname__)
            time.sleep(random.uniform(0, min(SHORTEST * 2**failures, LONGEST)))  # noqa: S311 - no attacker gains from guessing it
        return unit(*args, **kwargs)

    return run
