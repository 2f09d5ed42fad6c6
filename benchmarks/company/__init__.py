"""A company of any size to measure with: people, projects, items, and a year of tasks and posts."""
