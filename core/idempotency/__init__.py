"""Repeating a request without repeating its effect: answers kept under the key that a client chose."""
