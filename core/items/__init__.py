"""Items: the things that tasks are about."""
