"""Sums over all tasks that triggers keep, so that an administrator's statistics look at no task.

What exists is summed up in one look at all tasks: some seconds for a million. On PostgreSQL others write meanwhile.

Revision ID: 0021
Revises: 0020
"""

import sqlalchemy as sa
from alembic import op

from migrations import online, task_sums

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

WHOLE = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    is_sqlite = not online.is_postgresql()
    owner = sa.ForeignKey("users.id", name="fk_task_sums_by_owner_owner_id_users", ondelete="CASCADE")
    _create(task_sums.OWNERS, sa.Column("owner_id", WHOLE, owner, nullable=False))
    _create(task_sums.QUARTERS, sa.Column("quarter", WHOLE, nullable=False))
    if is_sqlite:
        task_sums.keep_in_sqlite()
    else:
        task_sums.keep_in_postgresql()
        # From here on each transaction adds what it changes; what was there before is what is missing.
        online.end_transaction()
        # Nobody's account goes while their tasks are summed up: the sum of somebody who is gone would be refused.
        op.execute("SELECT id FROM users FOR KEY SHARE")
    for statement in task_sums.fill(is_sqlite=is_sqlite):
        op.execute(statement)


def _create(name: str, key: sa.Column[int]) -> None:
    sums = (sa.Column(column, WHOLE, nullable=False) for column in task_sums.SUMS[name])
    op.create_table(
        name,
        key,
        sa.Column("shard", sa.String(36), nullable=False),
        *sums,
        sa.PrimaryKeyConstraint(key.name, "shard", name=f"pk_{name}"),
        if_not_exists=True,
        sqlite_with_rowid=False,
    )


def downgrade() -> None:
    task_sums.drop()
    op.drop_table(task_sums.QUARTERS)
    op.drop_table(task_sums.OWNERS)
