"""
Django REST framework: a permission and a throttle, asked when it has found out who asks.

What they refuse is answered as everywhere, by `EntitlementsMiddleware`: 402 with what would open it, and not the bare
403 of the framework. An ``EXCEPTION_HANDLER`` of the host sees it first.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Final, Self, cast

from payaid_entitlements.binding import Binding, current_binding
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, Refused, TenantUnidentified
from payaid_entitlements.guards.limiting import Limited, enforce_limits
from payaid_entitlements.limiting.outcome import RateLimitOutcome
from payaid_entitlements.web.django.judging import said_of
from payaid_entitlements.web.django.mixins import has_own_options
from payaid_entitlements.web.django.process import configuration, entitlements
from payaid_entitlements.web.django.routes import known_to, read_needs
from payaid_entitlements.web.exempting import is_exempt
from payaid_entitlements.web.finding import Seeking
from payaid_entitlements.web.needs import Needs, ask
from payaid_entitlements.web.request import intent_of
from payaid_entitlements.web.routing import EXEMPT

try:
    from rest_framework.permissions import BasePermission
    from rest_framework.request import Request
    from rest_framework.throttling import BaseThrottle
    from rest_framework.views import APIView
except ModuleNotFoundError as error:
    if (error.name or "").partition(".")[0] != "rest_framework":
        raise
    raise ModuleNotFoundError(
        "entitlements in Django REST framework need it; run: pip install djangorestframework", name=error.name
    ) from error

#: What holds for every action.
ALL: Final = "*"


class HasEntitlement(BasePermission):
    """
    Lets only tenants pass that hold what the view names.

    ``required_features = {"*": "invoicing", "bulk_send": "whatsapp.messages"}``: by action of a viewset, or by method
    of another view (``"post"``), a key of a module or feature, several, `needs`, or `exempt`. ``"*"`` is asked for
    every action, also for those that have a line of their own, unless that says `exempt`. A text alone is for all.
    Where there is no ``"*"``, an action without a line is refused, and `manage.py check` says so.

    It stands behind permissions that ask who somebody is, and last where several are combined by ``|``, since what it
    refuses is answered at once.
    """

    #: Asked besides, whatever the view names.
    keys: ClassVar[tuple[str, ...]] = ()

    @classmethod
    def of(cls, *keys: str) -> type[Self]:
        """Make a permission that asks for *keys*, modules or features, for views that cannot name them."""
        read_needs(keys)
        return type(f"HasEntitlement({', '.join(keys)})", (cls,), {"keys": keys})

    def has_permission(self, request: Request, view: APIView) -> bool:
        """
        Ask; True, unless it is only asked what else one could do.

        Raises:
            Refused, StoreUnavailable, TenantUnidentified, TenantConflict: They may not pass.
            ConfigurationError: The view does not say what is needed.
        """
        binding = current_binding()
        if isinstance(binding, Seeking):
            # Somebody may have asked by the session of one before a token said that it is another.
            binding.find_again()
        needed = self._needed(request, view)
        if not _is_probe(request, view):
            ask(binding, needed)
            return True
        # The browsable API and OPTIONS look which forms to show; that is no request, and no limit counts it.
        access = intent_of(request.method or "")
        asked = tuple(replace(need, access=need.access or access) for need in needed.requirements)
        try:
            ask(binding, Needs(requirements=asked))
        except Refused:
            return False
        return True

    def _needed(self, request: Request, view: APIView) -> Needs:
        action = action_of(request, view)
        found = needs_of(view, action)
        said = said_of(request._request)
        more = read_needs(self.keys) if self.keys else EXEMPT
        if found is None and said is EXEMPT and more is EXEMPT:
            if action is None:
                # A method that the view does not have: 405, as the framework says it.
                return EXEMPT
            raise ConfigurationError(f"{type(view).__qualname__}: {_without(action)}")
        return known_to(entitlements().catalog, (found or EXEMPT) + said + more)


def action_of(request: Request, view: APIView) -> str | None:
    """What is done: the action of a viewset, or the method of another view; None where it has none such."""
    method = (request.method or "").lower()
    if hasattr(view, "action_map"):
        # Not `view.action`, which stays what it is where it is looked what else one could do.
        action = cast("str | None", view.action_map.get(method))
        if action is None and method == "options":
            return "options" if has_own_options(view) else "metadata"
        return action
    method = "get" if method == "head" else method
    return method if hasattr(view, method) else None


def needs_of(view: Any, action: str | None) -> Needs | None:
    """
    What ``required_features`` of *view*, or of its class, says of *action*; None for nothing.

    Raises:
        ConfigurationError, TypeError, ValueError: It says nothing that could be needed.
    """
    said = getattr(view, "required_features", None)
    if said is None:
        return None
    if not isinstance(said, Mapping):
        return read_needs(said)
    handler = None if action is None else getattr(view, action, None)
    if handler is not None and is_exempt(handler):
        return EXEMPT
    # What the framework's own options() answers is about all actions, and says nothing of anybody.
    own = EXEMPT if action == "metadata" or (action == "options" and not has_own_options(view)) else None
    if action in said:
        own = read_needs(said[action])
        if own is EXEMPT:
            return EXEMPT
    if ALL in said:
        return read_needs(said[ALL]) + (own or EXEMPT)
    return own


def _without(action: str) -> str:
    return f"its action {action!r} has no line in required_features, nor has '*'; name a key, or exempt"


def _is_probe(request: Request, view: APIView) -> bool:
    return hasattr(view, "response") or request.method != request._request.method


class EntitlementThrottle(BaseThrottle):
    """
    Counts requests on the rate limit that the view names as ``rate_limit``.

    ``rate_limit = "api"``, or by action ``{"*": "api", "export": "exports"}``, of which an action's own line is counted
    on alone; else on ``PAYAID["RATE_LIMIT"]``. A limit per address counts those too who have not logged in.
    """

    def allow_request(self, request: Request, view: APIView) -> bool:
        """
        Count.

        Raises:
            RateLimited: There is no room.
            StoreUnavailable: The limiter gave no answer, and the limit lets nobody pass then.
            ConfigurationError: Nobody has said which limit it is.
        """
        key = limit_of(view, action_of(request, view), configuration().rate_limit)
        binding = current_binding()
        if not _is_counted_by_address(binding, key):
            enforce_limits(binding, (Limited(key),))
        return True


def limit_of(view: Any, action: str | None, otherwise: str | None) -> str:
    """
    Say on which limit *action* of *view*, or of its class, is counted.

    Raises:
        ConfigurationError: Nobody has said.
    """
    said = getattr(view, "rate_limit", None)
    if isinstance(said, Mapping):
        said = said.get(action, said.get(ALL))
    if said is None:
        said = otherwise
    if said is None:
        name = view.__qualname__ if isinstance(view, type) else type(view).__qualname__
        raise ConfigurationError(
            f"EntitlementThrottle: {name} names no rate_limit for {action!r}, nor does PAYAID['RATE_LIMIT']"
        )
    return cast("str", said)


def _is_counted_by_address(binding: Binding, key: str) -> bool:
    """Count somebody who has not logged in on a limit per address. False where it is somebody, or another limit."""
    catalog = binding.client.catalog
    limit = None if catalog is None else catalog.rate_limits.get(key)
    if limit is None or limit.per != "address":
        return False
    try:
        _ = binding.view
    except TenantUnidentified:
        outcome: RateLimitOutcome = binding.act(
            lambda client: client.try_rate_limit(None, key, address=binding.address)
        )
        if binding.outcomes is not None:
            binding.outcomes.append(outcome)
        outcome.or_raise()
        return True
    return False


# -- what `manage.py check` asks ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LookedOver:
    """
    What stands before a view of the framework, besides guards.

    Attributes:
        needs: All that may be asked.
        open: Methods before which nothing stands.
        asks_late: `HasEntitlement` is asked, which also asks what the settings say.
        mistakes: What is not as it looks.
        unsaid: Actions of which nothing is said; no mistake where the settings say it.
    """

    needs: tuple[Needs, ...]
    open: frozenset[str]
    asks_late: bool
    mistakes: tuple[str, ...]
    unsaid: tuple[str, ...] = ()


def looked_over(
    of_class: type[APIView], said: Mapping[str, Any], actions: Mapping[str, str] | None, handlers: Mapping[str, object]
) -> LookedOver:
    """
    Look over a view.

    Args:
        said: What `as_view` was given besides; routers hand over here what `action` was given.
        actions: By method, of a viewset.
        handlers: By method in upper case.
    """
    seen: Any = type(of_class.__name__, (of_class,), dict(said))
    asked = list(_flat(seen.permission_classes))
    entitling = [each for each in asked if _is(each, HasEntitlement)]
    required = getattr(seen, "required_features", None)
    is_dynamic = of_class.get_permissions is not APIView.get_permissions
    mistakes = list(_throttled(seen, actions, handlers))
    if not entitling and not (is_dynamic and required is not None):
        if required is not None:
            mistakes.append("required_features is never asked; permission_classes have no HasEntitlement")
        return LookedOver((), frozenset(handlers), False, tuple(mistakes))
    mistakes += _combined(seen.permission_classes)
    own = [each.keys for each in entitling if each.keys]
    needs: list[Needs] = [read_needs(keys) for keys in own]
    opened = {}
    for method in handlers:
        action = (actions or {}).get(method.lower(), method.lower())
        try:
            found = needs_of(seen, action)
        except (ConfigurationError, TypeError, ValueError) as error:
            mistakes.append(f"required_features, {action!r}: {error}")
            continue
        if found is not None:
            needs.append(found)
        elif not own:
            opened[method] = _without(action)
    if isinstance(required, Mapping):
        mistakes += _unused(seen, required)
    return LookedOver(tuple(needs), frozenset(opened), True, tuple(mistakes), tuple(opened.values()))


def _unused(seen: type, required: Mapping[str, Any]) -> Iterator[str]:
    for name in required:
        if name != ALL and not hasattr(seen, name):
            known = [each for each in dir(seen) if not each.startswith("_")]
            yield f"required_features has a line for {name!r}, which it has no action for{did_you_mean(name, known)}"


def _throttled(seen: type[APIView], actions: Mapping[str, str] | None, handlers: Mapping[str, object]) -> Iterator[str]:
    if not any(_is(each, EntitlementThrottle) for each in seen.throttle_classes):
        return
    catalog = entitlements().catalog
    for method in handlers:
        action = (actions or {}).get(method.lower(), method.lower())
        try:
            key = limit_of(seen, action, configuration().rate_limit)
        except ConfigurationError as error:
            yield str(error)
            continue
        if catalog is not None and key not in catalog.rate_limits:
            yield f"the catalog has no rate limit {key!r}{did_you_mean(key, catalog.rate_limits)}"


def _is(found: object, kind: type) -> bool:
    return isinstance(found, type) and issubclass(found, kind)


def _flat(classes: Sequence[Any]) -> Iterator[Any]:
    """Permissions, also those that are combined."""
    for each in classes:
        parts = [getattr(each, name) for name in ("op1_class", "op2_class") if hasattr(each, name)]
        if parts:
            yield from _flat(parts)
        else:
            yield each


def _combined(classes: Sequence[Any]) -> Iterator[str]:
    """What of ours is combined so that it is turned around, or answers too early."""
    for each in classes:
        word = getattr(getattr(each, "operator_class", None), "__name__", "")
        first = list(_flat([each.op1_class])) if hasattr(each, "op1_class") else []
        if not any(_is(one, HasEntitlement) for one in first):
            continue
        if word == "OR":
            yield "HasEntitlement stands before a |, and what it refuses is answered at once; write it last"
        elif word == "NOT":
            yield "HasEntitlement stands behind a ~; whoever may not pass is refused at once, and the others by that"
