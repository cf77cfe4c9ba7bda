"""
The client of this process, and what the edge reads of the settings: made at first use, made anew when settings change.
"""

from __future__ import annotations

import atexit
import threading
from typing import Any

from django.core.signals import setting_changed

from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.forking import after_fork
from payaid_entitlements.web.django.configuration import Configuration, open_client, read, said


class _Process:
    """What one process has made of the settings."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._client: Entitlements | None = None
        self._is_own = False
        self._configuration: Configuration | None = None
        after_fork(self._unlock)
        atexit.register(self.forget)

    def client(self) -> Entitlements:
        found = self._client
        if found is None:
            with self._lock:
                found = self._client
                if found is None:
                    found = open_client()
                    self._is_own = "CLIENT" not in said()
                    self._client = found
        return found

    def configuration(self) -> Configuration:
        found = self._configuration
        if found is None:
            found = self._configuration = read()
        return found

    def forget(self) -> None:
        """Close what was opened here; the next question opens it anew."""
        with self._lock:
            client, self._client, self._configuration = self._client, None, None
        if client is not None and self._is_own:
            client.close()

    def _unlock(self) -> None:
        # Another thread of the parent may have held it. The client itself knows what a fork is.
        self._lock = threading.RLock()


_PROCESS = _Process()


def entitlements() -> Entitlements:
    """
    Give the client of this process, as the settings describe it.

    It is opened at first use, closed when the process ends, and serves forked processes too. After
    ``override_settings(PAYAID=...)`` it is another one.

    Raises:
        ImproperlyConfigured: The settings have no ``PAYAID``.
        ConfigurationError, CatalogInvalid: As `Entitlements.open`.
    """
    return _PROCESS.client()


def configuration() -> Configuration:
    """
    Give what the edge reads of ``PAYAID``.

    Raises:
        ImproperlyConfigured: Something in it is wrong.
    """
    return _PROCESS.configuration()


def _changed(*, setting: str, **_: Any) -> None:
    if setting in ("PAYAID", "DEBUG", "BASE_DIR"):
        _PROCESS.forget()


setting_changed.connect(_changed, dispatch_uid="payaid_entitlements")
