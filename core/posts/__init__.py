"""Posts: updates that people publish, about a task or about anything."""
