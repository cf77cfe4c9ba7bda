"""What the tests of WSGI share: a client in a sandbox, and a server that goes by the letter of PEP 3333."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest

from payaid_entitlements import Entitlements
from payaid_entitlements.testing import sandbox
from tests.web.conftest import CATALOG, furnish

App = Callable[..., Iterable[bytes]]


@pytest.fixture
def inside(clock):
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=clock) as found:
        furnish(found)
        yield found


class Served:
    """What a server sent: nothing before there is something to send, and an error in the middle ends it."""

    def __init__(
        self, app: App, path: str = "/", tenant: str | None = "free", method: str = "GET", **more: Any
    ) -> None:
        self.status = ""
        self.headers: dict[str, str] = {}
        self.body = b""
        self.error: Exception | None = None
        self._held: tuple[str, list[tuple[str, str]]] | None = None
        environ: dict[str, Any] = {"SCRIPT_NAME": "", "PATH_INFO": path, "REQUEST_METHOD": method, "QUERY_STRING": ""}
        if tenant is not None:
            environ["HTTP_X_TENANT"] = tenant
        setup_testing_defaults(environ)
        self._serve(app, environ | more)

    def _serve(self, app: App, environ: dict[str, Any]) -> None:
        body: Iterable[bytes] = ()
        try:
            body = app(environ, self._start)
            for piece in body:
                self._write(piece)
            self._write(b"")
            self._send()
        except AssertionError:
            raise
        except Exception as error:
            self.error = error
        finally:
            if hasattr(body, "close"):
                body.close()

    def _start(self, status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Callable[[bytes], object]:
        if exc_info is not None and self.status:
            raise exc_info[1]
        assert exc_info is not None or self._held is None, "begun twice"
        self._held = status, headers
        return self._write

    def _write(self, piece: bytes) -> None:
        if piece:
            self._send()
            self.body += piece

    def _send(self) -> None:
        assert self._held is not None, "not begun"
        self.status, headers = self._held
        self.headers = {name.lower(): value for name, value in headers}
        assert len(self.headers) == len(headers)


def served(app: App, path: str = "/", tenant: str | None = "free", method: str = "GET", **more: Any) -> Served:
    """Serve one request, as *tenant*, with something between that finds what the letter of PEP 3333 forbids."""
    return Served(validator(app), path, tenant, method, **more)


def tenant_of(environ: dict[str, Any]) -> str | None:
    """Stands in for what a host's login has verified."""
    tenant: str | None = environ.get("HTTP_X_TENANT")
    return tenant
