"""The plumbing of HTTP, in four rooms. A request meets them in this order: serving, door, input, answers.

Each room imports only those below it: serving the door, the door the answers, the answers the input.
"""
