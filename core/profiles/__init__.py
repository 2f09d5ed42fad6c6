"""Profiles: one person's work at a glance."""
