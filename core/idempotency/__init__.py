"""Repeating a request without repeating its effect: answers stored under the key that a client chose."""
