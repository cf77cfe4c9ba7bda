"""Licensing and entitlements inside your own SaaS: may this tenant use this, now, and if not, why?"""

__version__ = "0.1.0"

__all__: list[str] = []
