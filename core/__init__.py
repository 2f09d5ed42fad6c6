"""The domain: models, policies, repositories and services. Knows neither HTTP nor workers."""
