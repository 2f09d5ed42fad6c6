"""The version of Tasklane."""

VERSION = "1.0.0"
