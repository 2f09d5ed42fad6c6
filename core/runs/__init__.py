"""Ordered work: with which rights it runs, how it runs, and what people may do about it."""
