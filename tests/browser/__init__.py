"""Swagger UI in a real browser."""
