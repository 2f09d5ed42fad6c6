"""Statistics: sums over the tasks that the caller may see."""
