"""
System checks: what would let everybody pass, or would fail with the first request, is told by ``manage.py check``.

``runserver``, ``test`` and ``migrate`` run them too; a server in production does not: run ``check`` before it starts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.checks import Warning as Caution
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.django.configuration import Configuration, mistakes, said
from payaid_entitlements.web.django.judging import WAY_OUT
from payaid_entitlements.web.django.middleware import EntitlementsMiddleware
from payaid_entitlements.web.django.process import configuration, entitlements
from payaid_entitlements.web.django.routes import unknown_to
from payaid_entitlements.web.django.standing import Standing, standing_of
from payaid_entitlements.web.django.walking import Place, places
from payaid_entitlements.web.needs import Needs

#: By its number: what each check is about. `docs/reference/django.md` shows it.
CHECKS: Final = {
    "payaid.E001": "`PAYAID` is missing, or something in it is wrong: a key that is not known, a dotted path that "
    "cannot be imported, a value of another kind.",
    "payaid.E002": "The client cannot be opened: the catalog has mistakes, the URL is of no known kind, a package is "
    "missing.",
    "payaid.E003": "`MIDDLEWARE` has no `EntitlementsMiddleware`, so guards find no tenant; or it has several.",
    "payaid.E004": "A line of `PAYAID['ROUTES']` is about no view, names what the catalog does not have, or a rate "
    "limit that counts by users or addresses, of which `PAYAID` says nothing.",
    "payaid.E005": "What stands before a view is not as it looks: a guard where it never runs, a mixin or permission "
    "that has nothing to ask, an action without a key.",
    "payaid.E006": "What stands before a view names what the catalog does not have, or such a limit.",
    "payaid.E007": "Nothing stands before a view, and `PAYAID['UNGUARDED']` is `'refuse'`.",
    "payaid.W001": "Django caches whole responses, also those that only some tenants may see.",
    "payaid.W002": "Tables of ours are not as this version needs them, or nobody can say; asked where databases are "
    "looked at. No error, since `migrate` would not begin then.",
}
_OUR_MIDDLEWARE: Final = "payaid_entitlements.web.django.EntitlementsMiddleware"
_CACHES: Final = "django.middleware.cache.FetchFromCacheMiddleware"


def settings_are_right(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Look over ``PAYAID`` and ``MIDDLEWARE``."""
    try:
        given = said()
    except ImproperlyConfigured as error:
        return [_error(1, str(error))]
    found = [_error(1, mistake) for mistake in mistakes(given)]
    if not found:
        try:
            entitlements()
        except (EntitlementError, OSError, ImportError, ValueError) as error:
            found.append(_error(2, f"the client cannot be opened: {error}"))
    return [*found, *_middleware(settings.MIDDLEWARE)]


def views_are_guarded(app_configs: Sequence[AppConfig] | None, **_: Any) -> list[CheckMessage]:
    """Look over all views of ``ROOT_URLCONF``. Nothing where the settings are wrong: that is told already."""
    if not getattr(settings, "ROOT_URLCONF", None):
        return []
    try:
        edge, catalog = configuration(), entitlements().catalog
    except (ImproperlyConfigured, EntitlementError, OSError, ImportError, ValueError):
        return []
    found: list[CheckMessage] = []
    seen = list(places())
    found += (_error(4, f"PAYAID['ROUTES']: {each}") for each in edge.routes.unmatched([one.match for one in seen]))
    for name, needed in edge.routes:
        mistakes = (*unknown_to(catalog, needed), *_uncountable(needed, edge, catalog))
        found += (_error(4, f"PAYAID['ROUTES'], {name!r}: {mistake}") for mistake in mistakes)
    for place in seen:
        found += _place(place, standing_of(place.match.func), edge, catalog)
    # One view may be at several places, and a format suffix makes two routes of one.
    return list({(each.id, each.msg): each for each in found}.values())


def _place(place: Place, standing: Standing, edge: Configuration, catalog: Catalog | None) -> Iterator[CheckMessage]:
    needed = edge.routes.find(place.match)
    wrong = (*standing.mistakes, *(standing.unsaid if needed is None else ()))
    yield from (_error(5, f"{place}: {mistake}") for mistake in wrong)
    for each in standing.needs:
        mistakes = (*unknown_to(catalog, each), *_uncountable(each, edge, catalog))
        yield from (_error(6, f"{place}: {mistake}") for mistake in mistakes)
    if not edge.refuses_unguarded or needed is not None or standing.is_exempt:
        return
    if standing.open and not standing.unsaid:
        methods = ", ".join(sorted(standing.open - {"*"}))
        yield _error(7, f"{place}: nothing stands before it" + (f" for {methods}" if methods else ""), WAY_OUT)


def _uncountable(needed: Needs, edge: Configuration, catalog: Catalog | None) -> Iterator[str]:
    """Limits that would fail with each request, since nobody has said who asks, or from where."""
    for each in needed.limits:
        limit = None if catalog is None else catalog.rate_limits.get(each.key)
        if limit is not None and limit.per == "user" and edge.user is None:
            yield f"the rate limit {each.key!r} counts by user, and PAYAID has no USER"
        if limit is not None and limit.per == "address" and edge.proxies is None:
            yield f"the rate limit {each.key!r} counts by address, and PAYAID has no PROXIES; 0 where there are none"


def _middleware(paths: Iterable[str]) -> Iterator[CheckMessage]:
    ours = [path for path in paths if _is_ours(path)]
    if not ours:
        yield _error(
            3, "MIDDLEWARE has no EntitlementsMiddleware, so guards find no tenant", f"add {_OUR_MIDDLEWARE!r}"
        )
    elif len(ours) > 1:
        yield _error(3, f"MIDDLEWARE has several EntitlementsMiddleware: {', '.join(ours)}", "leave one")
    if _CACHES in paths:
        yield Caution(
            "FetchFromCacheMiddleware answers before anything is asked, with a response that another tenant may see",
            hint="cache inside of guarded views, by tenant; or let each response vary by what tells tenants apart",
            id="payaid.W001",
        )


def _is_ours(path: str) -> bool:
    try:
        found = import_string(path)
    except ImportError:
        # Django says so itself.
        return False
    return isinstance(found, type) and issubclass(found, EntitlementsMiddleware)


def _error(number: int, text: str, hint: str | None = None) -> Error:
    return Error(text, hint=hint, id=f"payaid.E{number:03}")
