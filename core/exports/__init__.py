"""Exports: what somebody may see, as a file."""
