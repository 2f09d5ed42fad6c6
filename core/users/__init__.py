"""People: who they are."""
