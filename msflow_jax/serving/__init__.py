"""A trained model as a service: a page to try it on, and JSON endpoints."""
