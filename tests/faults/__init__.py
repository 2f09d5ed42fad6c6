"""Proofs of what Tasklane promises when its parts die: see docs/reliability.md."""
