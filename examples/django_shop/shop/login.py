"""A prop: your site has a login of its own. Whoever says that it is somebody is believed here."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

KEYS = {"key-of-asha": "asha", "key-of-bina": "bina"}


class Nobody:
    """Whoever has not logged in."""

    org: str | None = None
    is_authenticated = False
    is_active = False


class Person(Nobody):
    """Somebody who works for a customer."""

    is_authenticated = True
    is_active = True

    def __init__(self, org: str) -> None:
        self.org = org


class LoginMiddleware:
    """Says who has logged in, as Django's `AuthenticationMiddleware` does."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Look into the session."""
        org = request.session.get("org")
        request.user = Person(org) if org else Nobody()
        return self.get_response(request)


class KeyLogin(BaseAuthentication):
    """Says whose API key it is. No middleware knows that: REST framework asks in the view."""

    def authenticate(self, request: Request) -> tuple[Person, str] | None:
        """Look the key up."""
        key = request.headers.get("X-API-Key", "")
        return (Person(KEYS[key]), key) if key in KEYS else None

    def authenticate_header(self, request: Request) -> str:
        """Say how to log in."""
        return "ApiKey"


def tenant_of(request: HttpRequest) -> str | None:
    """Whose request it is, or None. Here it is `PAYAID['TENANT']`."""
    return request.user.org
