"""The look over all views of an app: what would let everybody pass without anybody noticing is loud here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from flask import Flask
from flask.views import MethodView, View
from werkzeug.routing import Rule

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.guards import Guard, is_covered, rules_of
from payaid_entitlements.guards.requirement import Rank, Requirement
from payaid_entitlements.web.exempting import is_exempt, is_exempt_class
from payaid_entitlements.web.flask.asking import asked_by, steps_of
from payaid_entitlements.web.needs import unknown

if TYPE_CHECKING:
    from payaid_entitlements.web.flask.gate import Gate


def audit(app: Flask, gate: Gate, open_endpoints: frozenset[str], *, refuse_unguarded: bool) -> None:
    """
    Look over all views of *app* and what stands before them.

    Raises:
        ConfigurationError: Names every view with a mistake, and the way out.
    """
    mistakes = list(_before_request(app, type(gate)))
    places = {rule.endpoint: _place(rule) for rule in reversed(list(app.url_map.iter_rules()))}
    for endpoint, view in app.view_functions.items():
        place = places.get(endpoint, endpoint)
        mistakes += (f"{place}: {mistake}" for mistake in _mistakes(view, gate.ent.catalog))
        if refuse_unguarded and endpoint not in open_endpoints and not _is_guarded(app, endpoint, view):
            mistakes.append(
                f"{place}: no gate or guard stands before it; add gate.require_module(...), or mark it with exempt(...)"
                + (", or say init_app(..., static='open')" if _is_static(app, endpoint) else "")
            )
    if mistakes:
        raise ConfigurationError("\n".join(("views are not guarded as they look:", *(f"  {m}" for m in mistakes))))


def open_endpoints(app: Flask, *, is_static_open: bool) -> frozenset[str]:
    """
    The endpoints that are open on purpose, by their view or its class.

    Args:
        is_static_open: Those of static folders too.
    """
    return frozenset(
        endpoint
        for endpoint, view in app.view_functions.items()
        if is_exempt(view)
        or is_exempt_class(getattr(view, "view_class", object))
        or (is_static_open and _is_static(app, endpoint))
    )


def blueprints_of(endpoint: str) -> Iterator[str]:
    """The names of the blueprints of *endpoint*, from the innermost: ``a.b.view`` is in ``a.b``, which is in ``a``."""
    while "." in endpoint:
        endpoint, _, _ = endpoint.rpartition(".")
        yield endpoint


def _before_request(app: Flask, gates: type) -> Iterator[str]:
    """What was given to ``before_request`` and guards nothing there."""
    for name, asked in app.before_request_funcs.items():
        place = f"before_request of {'the app' if name is None else f'the blueprint {name!r}'}"
        for each in asked:
            if isinstance(each, Guard):
                yield f"{place}: {each!r} is a decorator and does nothing there; use gate.{each!r}"
            elif isinstance(getattr(each, "__self__", None), gates):
                yield f"{place}: gate.{each.__name__} guards nothing there; use gate.require_module(key) or another one"


def _mistakes(view: object, catalog: Catalog | None) -> Iterator[str]:
    if is_covered(view):
        yield "a guard stands above the route decorator, where it never runs; put it below"
    for function in _bodies(view):
        rules = rules_of(function)
        if rules is not None:
            for need in (*rules.requirements, *(Requirement(Rank.LIMIT, limit.key) for limit in rules.limits)):
                yield from unknown(catalog, need)


def _is_guarded(app: Flask, endpoint: str, view: object) -> bool:
    before = (each for name in (None, *blueprints_of(endpoint)) for each in app.before_request_funcs.get(name, ()))
    return any(map(_is_entitling, before)) or all(map(_is_entitling, _bodies(view)))


def _is_entitling(function: object) -> bool:
    """Does it refuse those who do not hold something? How often is not who: a limit alone lets everybody pass."""
    steps = asked_by(function)
    if steps is not None:
        return steps.is_entitling
    rules = rules_of(function)
    return steps_of(function).is_entitling or (rules is not None and bool(rules.requirements or rules.metered))


def _bodies(view: object) -> list[object]:
    """
    What runs for a view: itself, with what its decorators ask; of a class each method of its own, unless a decorator of
    the class asks already.
    """
    kind: type[View] | None = getattr(view, "view_class", None)
    if kind is None or _is_entitling(view):
        return [view]
    if issubclass(kind, MethodView):
        return [getattr(kind, method.lower()) for method in sorted(kind.methods or ()) if hasattr(kind, method.lower())]
    return [kind.dispatch_request]


def _is_static(app: Flask, endpoint: str) -> bool:
    """Does Flask itself serve it, out of a static folder?"""
    around, _, last = endpoint.rpartition(".")
    scaffold = app.blueprints.get(around) if around else app
    return last == "static" and scaffold is not None and scaffold.has_static_folder


def _place(rule: Rule) -> str:
    methods = sorted((rule.methods or {"any method"}) - {"HEAD", "OPTIONS"}) or ["OPTIONS"]
    return f"{'/'.join(methods)} {rule.rule}"
