"""Imports: files of tasks, posts, items or users become those things, by the rules that everybody obeys."""
