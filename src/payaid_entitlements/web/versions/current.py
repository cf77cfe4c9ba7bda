"""Which version of the API the request is for that is being answered."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Final

from payaid_entitlements.client import Client
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.activity import Seen
from payaid_entitlements.web.versions.version import Version

CURRENT_VERSION: Final[ContextVar[Version | None]] = ContextVar("payaid_api_version", default=None)


def current_version() -> Version:
    """
    Give the version that the request is for.

    Raises:
        ConfigurationError: No request is answered here, or the app is not behind the middleware for versions.
    """
    version = CURRENT_VERSION.get()
    if version is None:
        raise ConfigurationError(
            "no version of the API is known here; put VersionsMiddleware around the app, of "
            "payaid_entitlements.web.versions.asgi or .wsgi"
        )
    return version


def note_version(client: Client, tenant: str) -> None:
    """Note that *tenant* uses the version that the request is for today, where there are versions."""
    version = CURRENT_VERSION.get()
    if version is not None:
        client.saw(tenant, version.name, kind=Seen.API_VERSION)
