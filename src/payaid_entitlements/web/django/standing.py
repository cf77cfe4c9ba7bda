"""What stands before a view: guards, the mixin, permissions of REST framework; and what is wrong with it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from payaid_entitlements.guards import Guard, is_covered, rules_of
from payaid_entitlements.guards.rules import Rules
from payaid_entitlements.web.django.mixins import (
    FeatureRequiredMixin,
    has_own_dispatch,
    has_own_options,
    requirements_of,
)
from payaid_entitlements.web.exempting import is_exempt, is_exempt_class
from payaid_entitlements.web.needs import Needs

View = Callable[..., Any]

#: Every method of a view that is a function.
ANY: Final = "*"
#: Loaded where somebody uses it.
_REST: Final = "payaid_entitlements.web.django.rest"


@dataclass(frozen=True, slots=True)
class Standing:
    """
    What stands before a view.

    Attributes:
        needs: All that may be asked, for looking over its keys.
        open: Methods, in upper case, before which nothing stands; `ANY` for all.
        is_exempt: It is open on purpose.
        asks_late: It asks by itself when its framework knows who asks, also what the settings say of it.
        mistakes: What is not as it looks.
        unsaid: What is missing, unless the settings say it.
    """

    needs: tuple[Needs, ...] = ()
    open: frozenset[str] = frozenset()
    is_exempt: bool = False
    asks_late: bool = False
    mistakes: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()

    def is_open_to(self, method: str) -> bool:
        """Does nothing stand before requests of *method*?"""
        return ANY in self.open or ("GET" if method == "HEAD" else method) in self.open


def standing_of(view: View) -> Standing:
    """Say what stands before *view*, as the URL configuration has it."""
    mistakes: list[str] = []
    if is_covered(view):
        mistakes.append("a guard stands above whatever has put the view here, where it never runs; put it below")
    rules = list(rules_around(view))
    of_class: type | None = getattr(view, "view_class", None) or getattr(view, "cls", None)
    if of_class is not None:
        rules += rules_around(getattr(of_class, "dispatch", None))
    exempt = is_exempt(view) or (of_class is not None and is_exempt_class(of_class))
    if of_class is not None and issubclass(of_class, FeatureRequiredMixin):
        found = _of_mixin(of_class, getattr(view, "view_initkwargs", {}), mistakes)
        return Standing((*map(_needs, rules), *found), frozenset(), exempt, False, tuple(mistakes))
    if of_class is not None and rules:
        mistakes += _too_early(of_class)
    if of_class is None or any(map(_is_entitling, rules)):
        is_open = not any(map(_is_entitling, rules))
        return Standing(tuple(map(_needs, rules)), frozenset({ANY} if is_open else ()), exempt, False, tuple(mistakes))
    handlers = _handlers(of_class, getattr(view, "initkwargs", {}), getattr(view, "actions", None))
    if not handlers and has_own_dispatch(of_class.__mro__):
        # It answers by that alone, whatever the method is.
        return Standing(tuple(map(_needs, rules)), frozenset({ANY}), exempt, False, tuple(mistakes))
    return _of_handlers(view, of_class, handlers, exempt, [*map(_needs, rules)], mistakes)


def _of_handlers(
    view: View,
    of_class: type,
    handlers: Mapping[str, View],
    exempt: bool,
    needs: list[Needs],
    mistakes: list[str],
) -> Standing:
    opened = set()
    for method, handler in handlers.items():
        rules = list(rules_around(handler))
        needs += map(_needs, rules)
        if not any(map(_is_entitling, rules)) and not is_exempt(handler):
            opened.add(method)
    rest = sys.modules.get(_REST)
    if rest is not None and issubclass(of_class, rest.APIView):
        found = rest.looked_over(of_class, getattr(view, "initkwargs", {}), getattr(view, "actions", None), handlers)
        return Standing(
            (*needs, *found.needs),
            frozenset(opened & found.open),
            exempt,
            found.asks_late,
            (*mistakes, *found.mistakes),
            found.unsaid,
        )
    return Standing(tuple(needs), frozenset(opened), exempt, False, tuple(mistakes))


def rules_around(function: object) -> Iterator[Rules]:
    """
    What the guards on *function* ask, also those that `method_decorator` of Django puts around it with each call.

    Those it keeps in a cell, and leaves nothing else by which they could be known.
    """
    while function is not None:
        code = getattr(function, "__code__", None)
        if code is not None and "decorators" in code.co_freevars:
            kept = inspect.getclosurevars(function).nonlocals["decorators"]  # type: ignore[arg-type]  # it has code
            for each in kept if isinstance(kept, Iterable) else (kept,):
                if isinstance(each, Guard):
                    yield each.rules
        rules = rules_of(function)
        inner = getattr(function, "__wrapped__", None)
        if rules is not None and rules_of(inner) is not rules:
            yield rules
        function = inner


def _of_mixin(of_class: type, said: Mapping[str, Any], mistakes: list[str]) -> list[Needs]:
    if of_class.get_requirements is not FeatureRequiredMixin.get_requirements:  # type: ignore[attr-defined]  # a mixin
        # What is needed is known when a request comes.
        return []
    seen = type(of_class.__name__, (), {**_named(of_class), **said})
    found = requirements_of(seen)
    if not found:
        mistakes.append("FeatureRequiredMixin has nothing to ask; set required_module, _feature or _flag")
    return [Needs(requirements=found)]


def _named(of_class: type) -> dict[str, Any]:
    return {name: getattr(of_class, name) for name in ("required_module", "required_feature", "required_flag")}


def _too_early(of_class: type) -> Iterator[str]:
    """What guards around a whole class do not know yet."""
    if any(each.__module__ == "rest_framework.views" for each in of_class.__mro__):
        yield (
            "a guard around a view of REST framework asks before that knows who asks; put it below api_view or on the "
            "method, or use HasEntitlement"
        )
        return
    dispatch: Any = getattr(of_class, "dispatch", None)
    if getattr(of_class, "view_is_async", False) and any(True for _ in rules_around(dispatch)):
        yield (
            "a guard stands before dispatch() of an asynchronous view, which is a plain function and cannot wait for "
            "the tenant; put it on its methods, or use FeatureRequiredMixin"
        )


def _handlers(of_class: type, said: Mapping[str, Any], actions: Mapping[str, str] | None) -> dict[str, View]:
    """By method in upper case, without HEAD, which is a GET, and without an OPTIONS that the framework answers."""
    allowed: Iterable[str] = getattr(of_class, "http_method_names", ())
    if actions is None:
        names = {method.upper(): method for method in allowed if hasattr(of_class, method)}
    else:
        # Of a viewset it is there beside what it was given.
        names = {method.upper(): method for method in allowed if method == "options"}
        names |= {method.upper(): action for method, action in actions.items()}
    names.pop("HEAD", None)
    seen = type(of_class.__name__, (of_class,), dict(said)) if said else of_class
    if "options" not in (actions or ()) and not has_own_options(seen):
        names.pop("OPTIONS", None)
    return {method: _inside(getattr(of_class, name)) for method, name in names.items()}


def _inside(handler: View) -> View:
    """The function that `api_view` of REST framework has put into a method, which leaves no other trace of it."""
    if getattr(handler, "__module__", "") != "rest_framework.decorators":
        return handler
    function: View = inspect.getclosurevars(handler).nonlocals.get("func", handler)
    return function


def _needs(rules: Rules) -> Needs:
    return Needs(rules.limits, rules.requirements)


def _is_entitling(rules: Rules) -> bool:
    """How often is not who: a limit alone lets everybody pass."""
    return bool(rules.requirements or rules.metered)
