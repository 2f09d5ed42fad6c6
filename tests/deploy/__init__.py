"""The files in deploy/, used as far as a machine without containers can."""
