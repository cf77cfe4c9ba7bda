"""
``PAYAID`` of Django's settings: read when it is first needed, looked over by ``manage.py check``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, cast

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.address import client_address
from payaid_entitlements.web.answers import Answers
from payaid_entitlements.web.django.pages import page_of_project
from payaid_entitlements.web.django.routes import Routes
from payaid_entitlements.web.tenancy import Tenancy

#: What is handed to `Entitlements.open`, by the name that it has there.
OPENING: Final = {
    "URL": "url",
    "LEDGER": "ledger",
    "LIMITER": "limiter",
    "CATALOG": "catalog",
    "SHARED": "shared",
    "SNAPSHOT": "snapshot",
    "ENFORCEMENT": "enforcement",
    "SUBSCRIPTIONS": "subscriptions",
    "STRICT": "strict",
    "LEASES": "leases",
    "PROCESSES": "processes",
}
#: What the edge itself reads.
EDGE: Final = ("CLIENT", "TENANT", "USER", "PROXIES", "ANSWERS", "UNGUARDED", "ROUTES", "RATE_LIMIT")

#: Given a request, says an id, or None for nobody; may be a coroutine function.
Finder = Callable[[Any], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """
    ``PAYAID``, with what its dotted paths name.

    Attributes:
        tenant: Whose request is it?
        user: Who of them asks? None where overrides of single users are not wanted.
        proxies: How many proxies of the host each request passes; None where no address is read.
        answers: How refusals are answered.
        refuses_unguarded: A view before which nothing stands is refused.
        routes: What views need by their names and namespaces.
        rate_limit: What `EntitlementThrottle` counts on where a view says nothing.
    """

    tenant: Finder | Tenancy
    user: Finder | None
    proxies: int | None
    answers: Answers
    refuses_unguarded: bool
    routes: Routes
    rate_limit: str | None


def said() -> Mapping[str, Any]:
    """
    Give ``PAYAID`` as it stands in the settings.

    Raises:
        ImproperlyConfigured: It does not, or is no mapping.
    """
    found = getattr(settings, "PAYAID", None)
    if not isinstance(found, Mapping):
        raise ImproperlyConfigured(
            "the settings need PAYAID = {'URL': ..., 'CATALOG': ..., 'TENANT': ...}"
            + ("" if found is None else f"; it is {found!r}")
        )
    return found


def read() -> Configuration:
    """
    Read what the edge needs.

    Raises:
        ImproperlyConfigured: Something in it is wrong; every mistake is in the message.
    """
    given = said()
    wrong = list(mistakes(given))
    if wrong:
        raise ImproperlyConfigured("; ".join(wrong))
    return Configuration(
        tenant=_imported(given["TENANT"]),
        user=_imported(given.get("USER")),
        proxies=given.get("PROXIES"),
        answers=_imported(given.get("ANSWERS")) or Answers(pages=page_of_project),
        refuses_unguarded=given.get("UNGUARDED", "allow") == "refuse",
        routes=Routes(given.get("ROUTES", {})),
        rate_limit=given.get("RATE_LIMIT"),
    )


def open_client() -> Entitlements:
    """
    Open the client that the settings describe, or take the one that they name.

    Raises:
        ImproperlyConfigured: They name none, or say two different things.
        ConfigurationError, CatalogInvalid: As `Entitlements.open`.
    """
    given = said()
    if "CLIENT" in given:
        return cast("Entitlements", _imported(given["CLIENT"]))
    options = {word: given[key] for key, word in OPENING.items() if key in given}
    if "subscriptions" in options:
        options["subscriptions"] = _imported(options["subscriptions"])
    catalog = options.get("catalog")
    base = getattr(settings, "BASE_DIR", None)
    if isinstance(catalog, str | Path) and base is not None:
        # As everything else of a project: wherever it is started.
        options["catalog"] = Path(base) / catalog
    # What a server needs to find out late is a mistake in the code, which a developer is to see at once.
    options.setdefault("strict", settings.DEBUG or None)
    return Entitlements.open(**options)


def mistakes(given: Mapping[str, Any]) -> Iterator[str]:
    """Say everything that is wrong with ``PAYAID``."""
    known = (*OPENING, *EDGE)
    for key in given:
        if key not in known:
            near = get_close_matches(str(key).upper()[:64], known, n=1)
            yield f"PAYAID has an unknown key {key!r}" + (f"; did you mean {near[0]!r}?" if near else "")
    if "CLIENT" in given:
        for key in OPENING:
            if key in given:
                yield f"PAYAID names a CLIENT, which is open already, and says how to open one: {key}"
        yield from _wrong(given, "CLIENT", _is_client, "an Entitlements, or the dotted path of one")
    yield from _who(given)
    yield from _wrong(given, "SUBSCRIPTIONS", callable, "a function, or the dotted path of one")
    yield from _wrong(given, "ANSWERS", _is_answers, "an Answers, or the dotted path of one")
    yield from _edge(given)


def _who(given: Mapping[str, Any]) -> Iterator[str]:
    if given.get("TENANT") is None:
        yield (
            "PAYAID has no TENANT; name a function that takes the request and returns the id which your login has "
            "verified, or None: 'shop.tenancy.tenant_of'"
        )
    else:
        yield from _wrong(
            given, "TENANT", _is_finder, "a function of the request, a Tenancy, or the dotted path of one"
        )
    yield from _wrong(given, "USER", callable, "a function of the request, or the dotted path of one")


def _edge(given: Mapping[str, Any]) -> Iterator[str]:
    unguarded = given.get("UNGUARDED", "allow")
    if unguarded not in ("allow", "refuse"):
        yield f"PAYAID['UNGUARDED'] is {unguarded!r}; it is 'allow' or 'refuse'"
    if given.get("PROXIES") is not None:
        try:
            client_address(None, (), proxies=given["PROXIES"])
        except ConfigurationError as error:
            yield f"PAYAID['PROXIES']: {error}"
    try:
        Routes(given.get("ROUTES", {}))
    except ConfigurationError as error:
        yield f"PAYAID['ROUTES']: {error}"
    limit = given.get("RATE_LIMIT")
    if limit is not None and not (isinstance(limit, str) and limit):
        yield f"PAYAID['RATE_LIMIT'] is {limit!r}; it is the key of a rate limit"


def _wrong(given: Mapping[str, Any], key: str, is_right: Callable[[Any], bool], what: str) -> Iterator[str]:
    if given.get(key) is None:
        return
    try:
        found = _imported(given[key])
    except ImportError as error:
        yield f"PAYAID[{key!r}]: {error}"
        return
    if not is_right(found):
        yield f"PAYAID[{key!r}] is {found!r}; it is {what}"


def _is_client(found: object) -> bool:
    return isinstance(found, Entitlements)


def _is_answers(found: object) -> bool:
    return isinstance(found, Answers)


def _is_finder(found: object) -> bool:
    return callable(found) or isinstance(found, Tenancy)


def _imported(found: Any) -> Any:
    return import_string(found) if isinstance(found, str) else found
