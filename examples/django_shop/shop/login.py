"""A prop: your site has a login of its own. Whoever says that it is somebody is believed here."""

from django.http import HttpRequest
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

KEYS = {"key-of-asha": "asha", "key-of-bina": "bina"}


class Nobody:
    """Whoever calls the API without a key that we know."""

    org: str | None = None
    is_authenticated = False
    is_active = False


class Program(Nobody):
    """A program of a customer."""

    is_authenticated = True
    is_active = True

    def __init__(self, org: str) -> None:
        self.org = org


class KeyLogin(BaseAuthentication):
    """Says whose API key it is. No middleware knows that: REST framework asks in the view."""

    def authenticate(self, request: Request) -> tuple[Program, str] | None:
        """Look the key up."""
        key = request.headers.get("X-API-Key", "")
        return (Program(KEYS[key]), key) if key in KEYS else None

    def authenticate_header(self, request: Request) -> str:
        """Say how to log in."""
        return "ApiKey"


def tenant_of(request: HttpRequest) -> str | None:
    """
    Whose request it is, or None. Here it is `PAYAID['TENANT']`.

    That of a program says its key, that of a browser its session. People who work for us, whom Django's admin site
    knows, are no customers.
    """
    if hasattr(request.user, "org"):
        # The API asks. A session is no key: pages of others can make a browser send its cookie along, and REST
        # framework asks for no CSRF token here.
        return request.user.org
    return request.session.get("org")
