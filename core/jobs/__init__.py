"""Background work as rows: the database is the truth, the queue only wakes workers."""
