"""Refusals of processes to start, apart from what they load, so that others can name them."""


class EmbeddedError(Exception):
    """The embedded server cannot run here; the message is one sentence for a person."""
