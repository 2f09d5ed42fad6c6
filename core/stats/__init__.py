"""Statistics: what the tasks that somebody may see add up to."""
