"""External ids: the names by which imports know what they have made before.

Only adds a table, so that the old code keeps working while the new one starts.

Revision ID: 0008
Revises: 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

BIG_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
THINGS = {"task_id": "tasks", "post_id": "posts", "item_id": "items"}


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "external_ids",
        sa.Column("user_id", BIG_ID, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("external_id", sa.String(200), nullable=False),
        *(sa.Column(column, BIG_ID) for column in THINGS),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_external_ids_user_id_users", ondelete="CASCADE"),
        *(
            sa.ForeignKeyConstraint(
                [column], [f"{table}.id"], name=f"fk_external_ids_{column}_{table}", ondelete="CASCADE"
            )
            for column, table in THINGS.items()
        ),
        sa.PrimaryKeyConstraint("user_id", "kind", "external_id", name="pk_external_ids"),
    )
    for column in THINGS:
        condition = sa.text(f"{column} IS NOT NULL")
        op.create_index(
            f"uq_external_ids_{column}_user_id",
            "external_ids",
            [column, "user_id"],
            unique=True,
            sqlite_where=condition,
            postgresql_where=condition,
        )


def downgrade() -> None:
    """Drop the table; the next import takes everything for new."""
    op.drop_table("external_ids")
