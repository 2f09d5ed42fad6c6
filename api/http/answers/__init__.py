"""Answers: the decorators that make them of what a verb returns, and all that they say to the document.

What a verb returns is marshalled once, put into its envelope and tagged; a caller whose copy still
holds gets none. What any layer raises becomes a refusal in one place. Answers that depend on nothing
but known tables come from the cache, without their rows.
"""
