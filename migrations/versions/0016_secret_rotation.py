"""A repeated request is known whatever SECRET_KEY is by then, and known secrets show when one was lost.

Answers that are stored already have no identity, and are not found any more; no release has stored any.

Revision ID: 0016
Revises: 0015
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    online.add_column("kept_answers", sa.Column("identity", sa.String(64), nullable=True))
    online.create_index("uq_kept_answers_identity", "kept_answers", ["identity"], unique=True)
    op.create_table(
        "known_secrets",
        sa.Column("id", sa.String(16), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("is_kept", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_known_secrets")),
    )


def downgrade() -> None:
    op.drop_table("known_secrets")
    op.drop_index("uq_kept_answers_identity", "kept_answers")
    op.drop_column("kept_answers", "identity")
