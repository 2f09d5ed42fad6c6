"""Files that jobs read and write, kept in the database: every process sees them, and a backup has them."""
