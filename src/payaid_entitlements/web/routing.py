"""
A table of routes for apps that have no decorators to ask with: patterns, and what is needed for what they match.

The most specific pattern decides, alone. Two that overlap, neither within the other, are a mistake that is told when
the table is made, as in Go's `net/http` (since 1.22): whoever reads the table should not have to know an order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.decision import Intent
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.values import Amount
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards.limiting import Limited
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.exempting import exempt
from payaid_entitlements.web.needs import Needs, require_countable, unknown
from payaid_entitlements.web.patterns import ANY, Pattern, common, folded, is_ambiguous, parse, segments_of
from payaid_entitlements.web.versions.ranges import Range

#: Nothing is asked.
EXEMPT: Final = Needs()

#: What a line of the table may say: a key of a module or feature, several, `needs`, or `exempt` itself.
Said: TypeAlias = str | Sequence[str] | Needs | Callable[..., Any]


def needs(
    *keys: str,
    access: Intent | None = None,
    limits: Iterable[str | Limited] = (),
    flags: Iterable[str] = (),
    quotas: Mapping[str, Amount] = MappingProxyType({}),
    versions: Range | None = None,
) -> Needs:
    """
    Say what a route needs.

    Args:
        keys: Of modules and features; all of them.
        access: What the route is about to do; None for what the request's method says.
        limits: Rate limits on which a request is counted, before anything else is asked.
        flags: Flags that must be on.
        quotas: By feature, units that each request uses up, and has back where it is answered with 400 or more. Its
            client names what it does by an ``Idempotency-Key``; a request without one is answered with 400. A key
            that is repeated is let through for free, whatever is in the body: an app that must not do its work again
            looks at ``["payaid_entitlements.usages"][feature].replayed`` of its scope or environ.
        versions: Of the API that have the route; in others it is answered with 404. Alone it asks for nobody.

    Raises:
        ConfigurationError: Nothing is needed, or what a quota is to give is no number of units.
        TypeError: A key is no text that could be one.
        ValueError: *access* is another word.
    """
    if access not in (None, "read", "write"):
        raise ValueError(f"access is {access!r}; it is 'read' or 'write'")
    # Which are features only a catalog knows, `Routes.known_to`.
    asked = [Requirement(Rank.MODULE, identify("key", key), access) for key in keys]
    asked += [Requirement(Rank.FLAG, identify("flag", key)) for key in _listed("flags", flags)]
    counted = [
        limit if isinstance(limit, Limited) else Limited(identify("limit", limit))
        for limit in _listed("limits", limits)
    ]
    used = tuple((identify("feature", key), _units(key, amount)) for key, amount in quotas.items())
    if not asked and not counted and not used and versions is None:
        raise ConfigurationError("needs() needs nothing; mark a route that is open on purpose with exempt")
    return Needs(tuple(counted), tuple(asked), () if versions is None else (versions,), used)


def _units(key: str, amount: object) -> Amount:
    if not isinstance(amount, int | Decimal) or isinstance(amount, bool) or not _is_some(amount):
        raise ConfigurationError(f"quotas={{{key!r}: {amount!r}}}: say how many units a request uses up, more than 0")
    return amount


def _is_some(amount: Amount) -> bool:
    # In this order: a NaN cannot be compared.
    return Decimal(amount).is_finite() and amount > 0


def _listed(name: str, keys: Iterable[Any]) -> list[Any]:
    if isinstance(keys, str):
        raise TypeError(f"{name} is {keys!r}; it is a list of keys")
    return list(keys)


class Routes:
    """
    What is needed for which request.

    ``{"/invoices/*": "invoicing", "POST /invoices/{id}/send": needs("invoicing", flags=["mail"]), "/health": exempt}``:
    ``{id}`` is one segment; ``/*`` at the end is the path before it and everything below. A pattern without a method is
    for all of them and for websockets; ``WEBSOCKET /live`` for these alone; ``GET`` is for ``HEAD`` too.

    A slash at the end makes no difference to what is needed. An exempt path is exempt as it is written.

    Args:
        table: By pattern.
        unmapped: ``"refuse"``: what no pattern matches is answered with 404; ``"allow"``: nothing is asked.

    Raises:
        ConfigurationError: Names all patterns that match nothing, contradict each other, or could be read in two ways.
    """

    __slots__ = ("_literal", "_patterns", "_root", "unmapped")

    def __init__(self, table: Mapping[str, Said], *, unmapped: Literal["refuse", "allow"] = "refuse") -> None:
        if unmapped not in ("refuse", "allow"):
            raise ValueError(f"unmapped is {unmapped!r}; it is 'refuse' or 'allow'")
        self.unmapped = unmapped
        mistakes: list[str] = []
        patterns: list[tuple[Pattern, Needs]] = []
        for text, said in table.items():
            try:
                patterns.append((parse(text), _said(text, said)))
            except ConfigurationError as error:
                mistakes.append(str(error))
        mistakes += _contradictions([pattern for pattern, _ in patterns])
        _raise(mistakes)
        self._keep(patterns)

    def __repr__(self) -> str:
        return f"Routes({', '.join(pattern.text for pattern, _ in self._patterns)}; unmapped={self.unmapped!r})"

    def __iter__(self) -> Iterator[tuple[str, Needs]]:
        """Each pattern, and what it needs."""
        return ((pattern.text, needed) for pattern, needed in self._patterns)

    def known_to(self, catalog: Catalog | None) -> Routes:
        """
        Give the same table, where it is known which keys are modules and which are features.

        Args:
            catalog: None where nothing is known before the first question.

        Raises:
            ConfigurationError: Names all keys that it does not have, and the pattern of each.
        """
        if catalog is None:
            return self
        mistakes: list[str] = []
        patterns: list[tuple[Pattern, Needs]] = []
        for pattern, needed in self._patterns:
            known = Needs() + replace(
                needed, requirements=tuple(_ranked(catalog, each) for each in needed.requirements)
            )
            mistakes += (f"the route {pattern.text!r}: {mistake}" for mistake in _unknown(catalog, known))
            patterns.append((pattern, EXEMPT if needed is EXEMPT else known))
        _raise(mistakes)
        routes = object.__new__(Routes)
        routes.unmapped = self.unmapped
        routes._keep(patterns)
        return routes

    def require_countable(self, catalog: Catalog | None, *, called: str, has_user: bool, has_address: bool) -> None:
        """
        Refuse limits that would fail with each request, as `payaid_entitlements.web.needs.require_countable` does.

        Raises:
            ConfigurationError: One counts by somebody who is not known there.
        """
        for _, needed in self._patterns:
            for limit in needed.limits:
                require_countable(catalog, limit.key, called=called, has_user=has_user, has_address=has_address)

    def match(self, method: str, path: str, raw: bytes | None = None) -> Needs | None:
        """
        Say what a request needs.

        Args:
            method: As it was sent; ``"WEBSOCKET"`` for a websocket.
            path: Percent-decoded once, relative to where the app begins.
            raw: The path as it was sent, where the server tells.

        Returns:
            `EXEMPT` where nothing is asked. None where the answer is 404: nothing matches and that is refused, or it
            could be read in two ways: by its slashes, dots, encoding, or by the case of its letters.
        """
        if not method.isupper():
            # Methods are case-sensitive (RFC 9110 section 9.1), and yet some frameworks take "post" for POST.
            return None
        if is_ambiguous(path, raw):
            return None
        if method == "HEAD":
            method = "GET"
        leaf = self._literal.get(path)
        if leaf is not None:
            found = leaf.get(method, leaf.get(None))
            if found is not None:
                return found
        hit = self._root.find(segments_of(path), 0, method, path.endswith("/"), True)
        if hit is None:
            return EXEMPT if self.unmapped == "allow" else None
        needed, is_exact = hit
        return needed if is_exact else None

    def _keep(self, patterns: list[tuple[Pattern, Needs]]) -> None:
        self._patterns = patterns
        self._root = _Node()
        #: Of paths that are written out, which are the most specific there can be.
        self._literal: dict[str, dict[str | None, Needs]] = {}
        for pattern, needed in patterns:
            self._root.add(pattern, needed)
            if pattern.is_literal:
                path = "/" + "/".join(pattern.segments) + ("/" if pattern.has_slash and pattern.segments else "")
                self._literal.setdefault(path, {})[pattern.method] = needed


def known(routes: Routes | None, catalog: Catalog | None) -> Routes | None:
    """
    Take what a middleware was given, as `Routes.known_to` *catalog*.

    Raises:
        ConfigurationError: It is no `Routes`; or as that says.
    """
    if routes is None:
        return None
    given: object = routes
    if not isinstance(given, Routes):
        raise ConfigurationError(f"routes={given!r}: say Routes(...) of payaid_entitlements.web.routing")
    return routes.known_to(catalog)


def _said(text: str, said: Said) -> Needs:
    if said is exempt:
        return EXEMPT
    if isinstance(said, Needs) and said != EXEMPT:
        return said
    if isinstance(said, str):
        return needs(said)
    if isinstance(said, Sequence):
        return needs(*said)
    raise ConfigurationError(f"the route {text!r} needs {said!r}; say a key, several, needs(...), or exempt")


def _contradictions(patterns: Sequence[Pattern]) -> Iterator[str]:
    shapes = {pattern.shape for pattern in patterns}
    for one, other in combinations(patterns, 2):
        both = common(one, other)
        if one.shape == other.shape:
            yield f"the routes {one.text!r} and {other.text!r} are the same"
        elif both is not None and both not in shapes:
            example = "/" + "/".join(segment or "{any}" for segment in both[1]) + ("/*" if both[2] else "")
            yield (
                f"the routes {one.text!r} and {other.text!r} are both about some requests, and neither is more "
                f"specific; say what {' '.join(filter(None, (both[0], example)))!r} needs"
            )
        for mine, yours in zip(one.segments, other.segments, strict=False):
            if mine != yours and folded(mine) == folded(yours):
                yield f"the routes {one.text!r} and {other.text!r} tell {mine!r} and {yours!r} apart; others do not"
            if mine != yours:
                break


def _ranked(catalog: Catalog, need: Requirement) -> Requirement:
    if need.rank is Rank.MODULE and need.key not in catalog.modules and need.key in catalog.features:
        return replace(need, rank=Rank.FEATURE)
    return need


def _unknown(catalog: Catalog, needed: Needs) -> Iterator[str]:
    for need in needed.requirements:
        if need.rank is Rank.MODULE and need.key not in catalog.modules:
            near = did_you_mean(need.key, [*catalog.modules, *catalog.features])
            yield f"the catalog has no module or feature {need.key!r}{near}"
    for limit in needed.limits:
        yield from unknown(catalog, Requirement(Rank.LIMIT, limit.key))
    for key, _ in needed.quotas:
        yield from unknown(catalog, Requirement(Rank.QUOTA, key))


def _raise(mistakes: Sequence[str]) -> None:
    if mistakes:
        raise ConfigurationError("\n  ".join(("the table of routes is wrong:", *mistakes)))


class _Node:
    """A segment of the patterns, as a tree: what may follow it, and what is needed where a path ends here."""

    __slots__ = ("any", "below", "ends", "literals")

    def __init__(self) -> None:
        #: By what is the same when case is ignored: how it is written, and what follows.
        self.literals: dict[str, tuple[str, _Node]] = {}
        self.any: _Node | None = None
        #: By method: what is needed, and whether the path is written with a slash at its end.
        self.ends: dict[str | None, tuple[Needs, bool]] = {}
        self.below: dict[str | None, Needs] = {}

    def add(self, pattern: Pattern, needed: Needs) -> None:
        node = self
        for segment in pattern.segments:
            if segment == ANY:
                node.any = node.any or _Node()
                node = node.any
            else:
                _, node = node.literals.setdefault(folded(segment), (segment, _Node()))
        if pattern.is_open:
            node.below[pattern.method] = needed
        else:
            node.ends[pattern.method] = needed, pattern.has_slash or not pattern.segments

    def find(
        self, segments: list[str], depth: int, method: str, has_slash: bool, is_exact: bool
    ) -> tuple[Needs, bool] | None:
        """What the most specific pattern needs, and whether its letters are those of the path; None: none matches."""
        if depth == len(segments):
            for end in (self.ends.get(method), self.ends.get(None)):
                # A path that is open on purpose is not open where a slash makes it another one.
                if end is not None and (end[0] is not EXEMPT or end[1] is has_slash):
                    return end[0], is_exact
        else:
            segment = segments[depth]
            literal = self.literals.get(folded(segment))
            if literal is not None:
                spelt, node = literal
                hit = node.find(segments, depth + 1, method, has_slash, is_exact and spelt == segment)
                if hit is not None:
                    return hit
            if self.any is not None:
                hit = self.any.find(segments, depth + 1, method, has_slash, is_exact)
                if hit is not None:
                    return hit
        below = self.below.get(method) or self.below.get(None)
        return None if below is None else (below, is_exact)
