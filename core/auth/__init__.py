"""Access: passwords, sessions and tokens."""
