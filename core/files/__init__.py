"""Files that jobs read and write, stored in the database: every process sees them, and a backup has them."""
