"""Which view needs what, and may it run at all? Found out once for each view at each route."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest
from django.urls import ResolverMatch

from payaid_entitlements.core.observing import log
from payaid_entitlements.web.django.configuration import Configuration
from payaid_entitlements.web.django.process import entitlements
from payaid_entitlements.web.django.routes import known_to
from payaid_entitlements.web.django.standing import Standing, View, standing_of
from payaid_entitlements.web.needs import Needs
from payaid_entitlements.web.routing import EXEMPT

#: Most views that are remembered. An app has fewer, unless it makes them while it runs.
_MOST: Final = 10_000
#: Attribute of a request: what a view that asks by itself is to ask too.
_LATE: Final = "_payaid_needs"


class Judge:
    """Judges the views of one configuration."""

    __slots__ = ("_configuration", "_known")

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._known: dict[tuple[View, str, str | None], tuple[Standing, Needs | None]] = {}

    def of(self, request: HttpRequest, view: View) -> tuple[str, Needs | None]:
        """
        Say what is asked before *view* runs for *request*.

        Returns:
            Why it may not run, or nothing; and what is asked, None for nothing.
        """
        match: Any = request.resolver_match
        # One view may be at several routes by one name, or by none.
        key = view, match.view_name, match.route
        found = self._known.get(key)
        if found is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            found = self._known[key] = standing_of(view), self._said_of(match)
        standing, needed = found
        if needed is None:
            if self._configuration.refuses_unguarded and not standing.is_exempt:
                if standing.is_open_to(request.method or ""):
                    log.warning("view.unguarded", view=match.view_name, method=request.method, way_out=WAY_OUT)
                    return f"nothing stands before {match.view_name}: {WAY_OUT}", None
            return "", None
        if needed is EXEMPT:
            return "", None
        if standing.asks_late:
            setattr(request, _LATE, needed)
            return "", None
        return "", needed

    def _said_of(self, match: ResolverMatch) -> Needs | None:
        said = self._configuration.routes.find(match)
        return None if said is None else known_to(entitlements().catalog, said)


def said_of(request: HttpRequest) -> Needs:
    """What the settings say of a view that asks by itself."""
    needed: Needs = getattr(request, _LATE, EXEMPT)
    return needed


#: What to do about a view before which nothing stands.
WAY_OUT: Final = "put a guard or the mixin before it, name it in PAYAID['ROUTES'], or mark it with exempt"
