"""
``PAYAID["ROUTES"]``: what views need, by the names that the URL configuration gives them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from django.urls import ResolverMatch

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.exempting import exempt
from payaid_entitlements.web.needs import Needs, unknown
from payaid_entitlements.web.routing import EXEMPT, needs

#: What ends a segment: the end, and a slash that cannot be missing, unless nothing follows it.
_ENDS: Final = re.compile(r"\Z|/(?![?*{])|/\?\Z")
#: Plainly another, longer name.
_GOES_ON: Final = re.compile(r"[\w-](?![?*{])")


class Routes:
    """
    What is needed for which view: ``{"invoicing": "invoicing", "crm:export": "crm.export", "admin": exempt}``.

    A line names a view, a namespace, or, when it begins with a slash, the beginning of a route as the URL configuration
    writes it: ``"/accounts/"``. ``"/health"`` is that route and all below it, and not ``/healthcare``. Where a regular
    expression goes on, as with a suffix for formats, a line that asks is about it too, and one that opens is not. The
    closest line decides, alone: the view, then its namespaces from the inside, then the longest beginning. What is
    matched is the view that Django has found, never the path that a client has written.

    Args:
        table: By name; each with a key of a module or feature, several, `needs`, or `exempt`.

    Raises:
        ConfigurationError: Names all lines that say nothing that could be needed.
    """

    __slots__ = ("_names", "_prefixes")

    def __init__(self, table: Mapping[str, Any]) -> None:
        wrong: list[str] = []
        self._names: dict[str, Needs] = {}
        prefixes: dict[str, Needs] = {}
        if not isinstance(table, Mapping):
            raise ConfigurationError(f"it is {table!r}; it is a dict of names of views and namespaces")
        for name, said in table.items():
            try:
                found = _named(name, said)
            except (ConfigurationError, TypeError) as error:
                wrong.append(f"{name!r}: {error}")
                continue
            if name.startswith("/"):
                prefixes[name[1:]] = found
            else:
                self._names[name] = found
        if wrong:
            raise ConfigurationError("; ".join(wrong))
        self._prefixes = sorted(prefixes.items(), key=lambda line: len(line[0]), reverse=True)

    def __bool__(self) -> bool:
        """Is anything in it?"""
        return bool(self._names or self._prefixes)

    def __iter__(self) -> Iterator[tuple[str, Needs]]:
        """Each line, and what it needs."""
        yield from self._names.items()
        yield from ((f"/{prefix}", found) for prefix, found in self._prefixes)

    def find(self, match: ResolverMatch) -> Needs | None:
        """What the view that was found needs; `EXEMPT` where nothing is asked, None where no line is about it."""
        inside = [":".join(match.namespaces[:depth]) for depth in range(len(match.namespaces), 0, -1)]
        for name in (match.view_name, *inside):
            if name in self._names:
                return self._names[name]
        route = written(match)
        return next((found for prefix, found in self._prefixes if _is_about(route, prefix, found)), None)

    def unmatched(self, matches: Sequence[ResolverMatch]) -> Iterator[str]:
        """Lines that are about no view."""
        spaces = {":".join(match.namespaces[:depth]) for match in matches for depth in range(1, 9)}
        names = {match.view_name for match in matches} | spaces
        for name in self._names:
            if name not in names:
                yield f"{name!r} names no view and no namespace{did_you_mean(name, sorted(names))}"
        for prefix, found in self._prefixes:
            if not any(_is_about(written(match), prefix, found) for match in matches):
                yield f"no route begins with {'/' + prefix!r}"


def _is_about(route: str, prefix: str, needed: Needs) -> bool:
    r"""
    Is a line for *prefix* about *route*?

    Where a regular expression goes on, nobody can say if a segment has ended: ``reports\.(?P<format>csv)``,
    ``reports(?:/(?P<n>\d+))?``. What a line asks is asked there, and what it opens stays closed.
    """
    stem = prefix.removesuffix("/")
    if not route.startswith(stem):
        return False
    rest = route[len(stem) :]
    if route.startswith(prefix) and (not prefix or _ENDS.match(rest)):
        return True
    # An expression may go on without the slash that the line ends with. Where the route ends there it surely has none:
    # "/books/" is not about "books".
    return needed is not EXEMPT and bool(rest) and _GOES_ON.match(rest) is None


def written(match: ResolverMatch) -> str:
    """Write the route of what was found without the anchors of regular expressions, which routers of others use."""
    return re.sub(r"(^|/)\^", r"\1", match.route or "").removesuffix("$")


def known_to(catalog: Catalog | None, needed: Needs) -> Needs:
    """Give *needed*, where it is known which keys are modules and which are features."""
    if catalog is None or needed is EXEMPT:
        return needed
    return Needs() + replace(needed, requirements=tuple(_ranked(catalog, each) for each in needed.requirements))


def unknown_to(catalog: Catalog | None, needed: Needs) -> Iterator[str]:
    """Say what is wrong with the keys of *needed*."""
    needed = known_to(catalog, needed)
    for need in (*needed.requirements, *(Requirement(Rank.LIMIT, limit.key) for limit in needed.limits)):
        yield from unknown(catalog, need)


def _ranked(catalog: Catalog, need: Requirement) -> Requirement:
    if need.rank is Rank.MODULE and need.key not in catalog.modules and need.key in catalog.features:
        return replace(need, rank=Rank.FEATURE)
    return need


def read_needs(said: Any) -> Needs:
    """
    Read what a line of a table says.

    Raises:
        ConfigurationError, TypeError, ValueError: It says nothing that could be needed.
    """
    if said is exempt:
        return EXEMPT
    if isinstance(said, Needs):
        if said.quotas:
            # Nothing here would give back what a request that fails has used up.
            raise ConfigurationError(
                f"it uses up {', '.join(key for key, _ in said.quotas)}, which only a guard of the view can: "
                "@consume_quota(...)"
            )
        return said
    if isinstance(said, str):
        return needs(said)
    if isinstance(said, Sequence):
        return needs(*said)
    raise ConfigurationError(f"it needs {said!r}; say a key, several, needs(...), or exempt")


def _named(name: object, said: Any) -> Needs:
    if not isinstance(name, str) or not name:
        raise ConfigurationError("it is no name of a view or namespace")
    return read_needs(said)
