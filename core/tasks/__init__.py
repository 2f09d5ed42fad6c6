"""Tasks: the thing that Tasklane is about."""
