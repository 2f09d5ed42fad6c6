"""Change marks: how a reader knows whether anything it depends on has changed."""
