"""Search: ranked full text over tasks, posts and items."""
