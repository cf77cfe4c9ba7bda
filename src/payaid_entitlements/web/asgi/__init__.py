"""For every ASGI app, without a framework: a middleware that binds the tenant, asks a table of routes, and answers."""

from payaid_entitlements.web.asgi.middleware import EntitlementsMiddleware

__all__ = ["EntitlementsMiddleware"]
