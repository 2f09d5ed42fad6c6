"""Removal of people, projects and items, which asks all that may hang on them."""
