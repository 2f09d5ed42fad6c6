"""Links for new passwords, and the security events about them.

Revision ID: 0015
Revises: 0014
"""

from collections.abc import Collection

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)
ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
NEW = ("password_forgotten", "reset_link_made", "password_reset")
OLD = (
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
    """Allow more kinds of events, and add the table."""
    _allow((*OLD, *NEW))
    op.create_table(
        "password_resets",
        sa.Column("token_hash", sa.String(64), nullable=False),
        sa.Column("user_id", ID, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("used_at", MOMENT),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="fk_password_resets_user_id_users", ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("token_hash", name="pk_password_resets"),
    )
    op.create_index("ix_password_resets_user_id", "password_resets", ["user_id"])
    op.create_index("ix_password_resets_expires_at", "password_resets", ["expires_at"])


def downgrade() -> None:
    """Drop the table, and forget the events that the old code does not know."""
    op.execute("DELETE FROM security_events WHERE kind IN ('" + "', '".join(NEW) + "')")
    _allow(OLD)
    op.drop_table("password_resets")


def _allow(kinds: Collection[str]) -> None:
    if op.get_context().dialect.name == "sqlite":
        _copy(kinds)
        return
    listed = "', '".join(kinds)
    online.add_constraint("security_events", "ck_security_events_kind", f"CHECK (kind IN ('{listed}'))")


def _copy(kinds: Collection[str]) -> None:
    """Put the events into a table that allows these kinds: SQLite cannot change a constraint."""
    op.create_table(
        "security_events_new",
        sa.Column("id", ID, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("kind", sa.String(20), nullable=False),
        sa.Column("user_id", ID),
        sa.Column("actor_id", ID),
        sa.Column("address", sa.String(64)),
        sa.Column("request_id", sa.String(128)),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_security_events"),
        sa.CheckConstraint("kind IN ('" + "', '".join(kinds) + "')", name=op.f("ck_security_events_kind")),
        sqlite_autoincrement=True,
    )
    columns = "id, at, kind, user_id, actor_id, address, request_id, detail"
    op.execute(f"INSERT INTO security_events_new ({columns}) SELECT {columns} FROM security_events ORDER BY id")
    # No number is used twice, not even that of an event that was forgotten.
    op.execute("DELETE FROM sqlite_sequence WHERE name = 'security_events_new'")
    op.execute(
        "INSERT INTO sqlite_sequence (name, seq)"
        " SELECT 'security_events_new', seq FROM sqlite_sequence WHERE name = 'security_events'"
    )
    op.drop_table("security_events")
    op.rename_table("security_events_new", "security_events")
    op.create_index("ix_security_events_at_id", "security_events", ["at", "id"])
    op.create_index("ix_security_events_user_id_at_id", "security_events", ["user_id", "at", "id"])
