"""Security: events of accounts, and what locks a name for a while.

Revision ID: 0013
Revises: 0012
"""

import sqlalchemy as sa
from alembic import op

# Databases know it by this name, although it is number 12 of the order.
revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
KINDS = (
    "login",
    "login_refused",
    "locked_out",
    "token_reused",
    "logout",
    "password_changed",
    "key_created",
    "key_used",
    "key_revoked",
    "account_created",
    "account_changed",
    "account_deleted",
    "forbidden",
)


def upgrade() -> None:
    """Add the tables."""
    op.create_table(
        "security_events",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column(
            "kind", sa.Enum(*KINDS, native_enum=False, length=20, name="kind", create_constraint=True), nullable=False
        ),
        sa.Column("user_id", ID),
        sa.Column("actor_id", ID),
        sa.Column("address", sa.String(64)),
        sa.Column("request_id", sa.String(128)),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_security_events_at_id", "security_events", ["at", "id"])
    op.create_index("ix_security_events_user_id_at_id", "security_events", ["user_id", "at", "id"])
    op.create_table(
        "login_failures",
        sa.Column("name_hash", sa.String(64), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("locked_until", MOMENT),
        sa.PrimaryKeyConstraint("name_hash", name="pk_login_failures"),
    )
    op.create_index("ix_login_failures_last_at", "login_failures", ["last_at"])
    op.create_table(
        "known_addresses",
        sa.Column("user_id", ID, nullable=False),
        sa.Column("address_hash", sa.String(64), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_known_addresses_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "address_hash", name="pk_known_addresses"),
    )
    op.create_index("ix_known_addresses_last_at", "known_addresses", ["last_at"])


def downgrade() -> None:
    """Drop the tables; what happened is forgotten."""
    op.drop_table("known_addresses")
    op.drop_table("login_failures")
    op.drop_table("security_events")
