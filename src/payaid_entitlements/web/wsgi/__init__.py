"""Any WSGI app behind one middleware (PEP 3333): guards know whose request it is, and what they refuse is answered."""

from payaid_entitlements.web.wsgi.middleware import EntitlementsMiddleware

__all__ = ["EntitlementsMiddleware"]
