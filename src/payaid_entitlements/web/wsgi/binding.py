"""Whom WSGI adapters ask, and where requests to them come from."""

from __future__ import annotations

from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.request import EnvironRequest
from payaid_entitlements.web.wsgi.calling import Environ


class Binder:
    """
    What a WSGI adapter was told about its client and its proxies.

    Args:
        client: Whom guards ask.
        proxies: How many proxies each request passes; None reads no address.

    Raises:
        ConfigurationError: *client* is an `AsyncEntitlements`; *proxies* is no number of proxies.
    """

    __slots__ = ("_proxies",)

    def __init__(self, client: Entitlements, proxies: int | None) -> None:
        if not isinstance(client, Entitlements):
            raise ConfigurationError(f"a WSGI app cannot wait for {type(client).__name__}; open an Entitlements for it")
        if proxies is not None:
            client_address(None, (), proxies=proxies)  # which says what is wrong with it
        self._proxies = proxies

    @property
    def has_address(self) -> bool:
        """Is it known where requests come from?"""
        return self._proxies is not None

    def address(self, environ: Environ) -> str:
        """Where the request of *environ* comes from, where that is known."""
        request = EnvironRequest(environ)
        return client_address(request.peer, request.header("x-forwarded-for"), proxies=self._proxies or 0)
