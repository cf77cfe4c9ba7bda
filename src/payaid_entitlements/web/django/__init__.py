"""
Django: settings, one middleware for WSGI and ASGI, mixins, template tags; ``payaid_entitlements.web.django`` stands in
``INSTALLED_APPS``.

The only package of the library that imports Django. Django REST framework has a module of its own here, `rest`.
"""

try:
    from payaid_entitlements.web.django.middleware import EntitlementsMiddleware
    from payaid_entitlements.web.django.mixins import FeatureRequiredMixin
    from payaid_entitlements.web.django.process import entitlements
except ModuleNotFoundError as error:
    if error.name not in {"django", "asgiref"}:
        raise
    raise ModuleNotFoundError(
        f"entitlements in Django need the package {error.name!r}; run: pip install 'payaid-entitlements[django]'",
        name=error.name,
    ) from error

__all__ = ["EntitlementsMiddleware", "FeatureRequiredMixin", "entitlements"]
