"""Projects with members, items and posts; tasks may belong to a project and be about an item.

Tasks that exist stay personal and about nothing.

Revision ID: 0003
Revises: 0002
"""

import sqlalchemy as sa
from alembic import op

from migrations import online

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BigId = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
# Cents on SQLite, which has no decimal type.
Money = sa.Numeric(12, 2).with_variant(sa.BigInteger(), "sqlite")
Moment = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("id", BigId, nullable=False),
        sa.Column("key", sa.String(10), nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("archived", sa.Boolean(), nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("uq_projects_key", "projects", ["key"], unique=True, if_not_exists=True)
    op.create_index("ix_projects_created_at_id", "projects", ["created_at", "id"], if_not_exists=True)

    op.create_table(
        "project_members",
        sa.Column("project_id", BigId, nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("role", sa.String(20), nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.CheckConstraint("role IN ('viewer', 'editor', 'owner')", name="role"),
        sa.ForeignKeyConstraint(["project_id"], ["projects.id"], ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.PrimaryKeyConstraint("project_id", "user_id"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_project_members_user_id_project_id_role",
        "project_members",
        ["user_id", "project_id", "role"],
        if_not_exists=True,
    )

    op.create_table(
        "items",
        sa.Column("id", BigId, nullable=False),
        sa.Column("name", sa.String(120), nullable=False),
        sa.Column("price", Money, nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("sku", sa.String(64), nullable=True),
        sa.Column("created_by", BigId, nullable=False),
        sa.Column("version", BigId, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.CheckConstraint("price >= 0", name="price"),
        sa.ForeignKeyConstraint(["created_by"], ["users.id"]),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("uq_items_sku", "items", ["sku"], unique=True, if_not_exists=True)
    op.create_index("ix_items_created_at_id", "items", ["created_at", "id"], if_not_exists=True)
    op.create_index("ix_items_created_by", "items", ["created_by"], if_not_exists=True)

    op.create_table(
        "posts",
        sa.Column("id", BigId, nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("content", sa.Text(), nullable=False),
        sa.Column("user_id", BigId, nullable=False),
        sa.Column("task_id", BigId, nullable=True),
        sa.Column("version", BigId, nullable=False),
        sa.Column("created_at", Moment, nullable=False),
        sa.Column("updated_at", Moment, nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"]),
        sa.ForeignKeyConstraint(["task_id"], ["tasks.id"], ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id"),
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_index("ix_posts_created_at_id", "posts", ["created_at", "id"], if_not_exists=True)
    op.create_index("ix_posts_user_id_created_at_id", "posts", ["user_id", "created_at", "id"], if_not_exists=True)
    op.create_index("ix_posts_task_id_created_at_id", "posts", ["task_id", "created_at", "id"], if_not_exists=True)

    online.end_transaction()
    online.add_reference("tasks", "project_id", "projects", name="fk_tasks_project_id_projects")
    online.add_reference("tasks", "item_id", "items", name="fk_tasks_item_id_items")
    online.create_index("ix_tasks_project_id_created_at_id", "tasks", ["project_id", "created_at", "id"])
    online.create_index("ix_tasks_item_id", "tasks", ["item_id"])


def downgrade() -> None:
    op.drop_index("ix_tasks_item_id", "tasks")
    op.drop_index("ix_tasks_project_id_created_at_id", "tasks")
    op.drop_table("posts")
    op.drop_column("tasks", "item_id")
    op.drop_column("tasks", "project_id")
    op.drop_table("items")
    op.drop_table("project_members")
    op.drop_table("projects")
