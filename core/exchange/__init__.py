"""What exports write and imports read: the columns of each kind, their notations, and the file formats."""
