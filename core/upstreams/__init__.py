"""Upstreams: other services, configured by name, that Tasklane asks on behalf of its users."""
