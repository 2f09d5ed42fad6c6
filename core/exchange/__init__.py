"""Exports and imports, and their common ground: the columns of each kind, their notations, and the file formats."""
