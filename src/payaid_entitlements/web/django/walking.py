"""Every view of a URL configuration, as Django would find it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import ResolverMatch, URLResolver, get_resolver

from payaid_entitlements.web.django.routes import written


@dataclass(frozen=True, slots=True)
class Place:
    """
    One view at one place.

    Attributes:
        match: As for a request, without what a path says.
    """

    match: ResolverMatch

    def __str__(self) -> str:
        return f"/{written(self.match)} ({self.match.view_name})"


def places(urlconf: str | None = None) -> Iterator[Place]:
    """
    Walk the views, those of included configurations too.

    Args:
        urlconf: None: ``ROOT_URLCONF``. What a middleware sets for single requests is not seen.
    """
    yield from _walk(get_resolver(urlconf), "", (), ())


def _walk(resolver: URLResolver, route: str, apps: tuple[str, ...], spaces: tuple[str, ...]) -> Iterator[Place]:
    for each in resolver.url_patterns:
        path = f"{route}{each.pattern}"
        if isinstance(each, URLResolver):
            inner_apps = (*apps, each.app_name) if each.app_name else apps
            inner_spaces = (*spaces, each.namespace) if each.namespace else spaces
            yield from _walk(each, path, inner_apps, inner_spaces)
        else:
            yield Place(
                ResolverMatch(
                    each.callback, (), {}, each.name, app_names=list(apps), namespaces=list(spaces), route=path
                )
            )
