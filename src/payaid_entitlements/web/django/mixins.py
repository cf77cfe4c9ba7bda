"""A mixin that lets only those into a class of views who hold what it names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.generic import View

from payaid_entitlements.binding import current_binding
from payaid_entitlements.guards.requirement import Rank, Requirement, enforce, enforce_async

#: What a class may name: a key, several that are all needed, or nothing.
Keys = str | Iterable[str] | None


class FeatureRequiredMixin:
    """
    Lets only tenants into a view that hold what it names; stands left of the view's own class.

    Plain and asynchronous views. What is named is asked for every method but ``OPTIONS`` as Django answers it, which a
    browser asks without credentials before it asks anything else; a class with ``options`` or ``dispatch`` of its own
    is asked.

    Attributes:
        required_module: Key of a module, or several.
        required_feature: Key of a feature, or several.
        required_flag: Key of a flag, or several.
    """

    required_module: ClassVar[Keys] = None
    required_feature: ClassVar[Keys] = None
    required_flag: ClassVar[Keys] = None

    def __init_subclass__(cls, **more: Any) -> None:
        """
        Look where the mixin stands.

        Raises:
            TypeError: Where it would never be asked, or too early.
        """
        super().__init_subclass__(**more)
        order = cls.__mro__
        if View in order and order.index(View) < order.index(FeatureRequiredMixin):
            raise TypeError(
                f"{cls.__qualname__}: FeatureRequiredMixin stands right of the view, where it never runs; "
                f"write class {cls.__name__}(FeatureRequiredMixin, ...)"
            )
        if any(each.__module__ == "rest_framework.views" for each in order):
            raise TypeError(
                f"{cls.__qualname__}: the mixin asks before Django REST framework knows who asks; use "
                "permission_classes = [HasEntitlement] and required_features, of payaid_entitlements.web.django.rest"
            )

    def get_requirements(self) -> tuple[Requirement, ...]:
        """
        Say what is needed, in the order in which it is asked.

        Raises:
            ImproperlyConfigured: Nothing is.
        """
        found = requirements_of(self)
        if not found:
            raise ImproperlyConfigured(
                f"{type(self).__qualname__} names nothing that is required; "
                "set required_module, required_feature or required_flag"
            )
        return found

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Ask, and go on."""
        if request.method == "OPTIONS" and not self._answers_options():
            return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # of the view right of it
        if self.view_is_async:  # type: ignore[attr-defined]  # as above
            return self._awaited(request, *args, **kwargs)
        enforce(current_binding(), self.get_requirements())
        return super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # as above

    def _answers_options(self) -> bool:
        """Is OPTIONS answered by the host? A ``dispatch`` that is right of the mixin runs for it as for anything."""
        order = type(self).__mro__
        return has_own_options(self) or has_own_dispatch(order[order.index(FeatureRequiredMixin) + 1 :])

    async def _awaited(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        await enforce_async(current_binding(), self.get_requirements())
        response = super().dispatch(request, *args, **kwargs)  # type: ignore[misc]  # as above
        # `http_method_not_allowed` of a view with asynchronous methods is one too.
        found: HttpResponseBase = await response
        return found


def has_own_options(view: object) -> bool:
    """Does a view, or a class of views, answer OPTIONS by what the host has written, and not as its framework does?"""
    options = getattr(view, "options", None)
    # Not its `__module__`, which a decorator takes from what it wraps.
    home = getattr(options, "__globals__", {}).get("__name__")
    if options is not None and home not in ("django.views.generic.base", "rest_framework.views"):
        return True
    metadata = getattr(view, "metadata_class", None)
    return metadata is not None and metadata.__module__ != "rest_framework.metadata"


def has_own_dispatch(classes: Iterable[type]) -> bool:
    """Has the host written a ``dispatch`` in one of *classes*?"""
    written = (each.__module__.partition(".")[0] for each in classes if "dispatch" in vars(each))
    return any(package not in ("django", "rest_framework") for package in written)


def requirements_of(view: object) -> tuple[Requirement, ...]:
    """What an instance or a class of the mixin names."""
    return tuple(
        Requirement(rank, key)
        for rank, keys in (
            (Rank.MODULE, getattr(view, "required_module", None)),
            (Rank.FEATURE, getattr(view, "required_feature", None)),
            (Rank.FLAG, getattr(view, "required_flag", None)),
        )
        for key in _listed(keys)
    )


def _listed(keys: Keys) -> Iterable[str]:
    if keys is None:
        return ()
    return (keys,) if isinstance(keys, str) else keys
