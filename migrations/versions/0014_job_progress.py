"""Jobs remember when they last reported their progress, so that a guess at their end changes only with it.

Revision ID: 0014
Revises: 0011
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0014"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Null in what runs already: there is no guess until its next report.
    online.add_column("jobs", sa.Column("reported_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("jobs", "reported_at")
