"""Jobs remember with which API key they were ordered, and what their owner could see when their files were made.

Revision ID: 0018
Revises: 0017
"""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null in what was ordered before: those jobs have the rights of their owner alone.
    op.add_column("jobs", sa.Column("key_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True))
    op.add_column("jobs", sa.Column("grounds", sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "grounds")
    op.drop_column("jobs", "key_id")
