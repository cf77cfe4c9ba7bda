"""The view that a question is answered by: the one that is bound to the request, else the client's."""

from __future__ import annotations

import asyncio

from openfeature.exception import ProviderNotReadyError

from payaid_entitlements.binding import CURRENT, Binding
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ViewExpired
from payaid_entitlements.flagging import old_view, view_near
from payaid_entitlements.openfeature.whom import Whom
from payaid_entitlements.view import TenantView


class Looking:
    """
    Views of one client, for those who ask by OpenFeature.

    A request has one truth: where a gate, a guard's middleware or ``ent.bind`` has bound a view of this client, and the
    context names the same tenant or none, that view answers.

    Args:
        ent: Of either colour. A question that is not awaited never makes an async one wait: it is answered by what is
            near, or not at all.
    """

    def __init__(self, ent: Entitlements | AsyncEntitlements) -> None:
        self._ent = ent

    def view(self, about: Whom, *, unvouched: bool = False) -> TenantView | None:
        """
        Give the view of *about*; None where no tenant is known.

        Args:
            unvouched: Of an async client, also one that the change log was not asked about for some seconds: it says
                that it is stale.

        Raises:
            ProviderNotReadyError: Nothing is near, and the client is an async one.
            TypeError: Nothing is near, and waiting for the store would make an event loop stand still.
        """
        binding = self._bound(about)
        if binding is not None:
            return _of(binding.view, about.user)
        if about.tenant is None:
            return None
        near = self._ent.peek_tenant(about.tenant, user=about.user)
        if near is not None:
            return near
        if isinstance(self._ent, Entitlements):
            return self._ent.tenant(about.tenant, user=about.user)
        old = old_view(self._ent, about.tenant, about.user) if unvouched else None
        if old is not None:
            return old
        raise ProviderNotReadyError(
            f"nothing is near about {about.tenant!r}, and a question that is not awaited cannot wait for the store: "
            "ask with the client's ..._async method, or warm up"
        )

    async def view_async(self, about: Whom) -> TenantView | None:
        """Same as `view`, awaited: then every client can wait, and no event loop stands still."""
        binding = self._bound(about)
        if binding is not None:
            return _of(binding.view, about.user)
        if about.tenant is None:
            return None
        return await view_near(self._ent, about.tenant, about.user)

    def near(self, about: Whom) -> TenantView | None:
        """The view of *about* that is near, however old; None where none is. Asks nobody."""
        binding = self._bound(about)
        if binding is not None:
            return _of(binding.view, about.user)
        return None if about.tenant is None else old_view(self._ent, about.tenant, about.user)

    def confirmed(self, view: TenantView, about: Whom) -> TenantView:
        """Give a view that is sure enough to refuse by, as far as that can be had without waiting in an event loop."""
        binding = self._bound(about)
        if binding is not None:
            return _of(binding.confirmed(), about.user)
        return self._ent.confirm(view) if isinstance(self._ent, Entitlements) else view

    async def confirmed_async(self, view: TenantView, about: Whom) -> TenantView:
        """Same as `confirmed`, awaited."""
        binding = self._bound(about)
        if binding is not None:
            return _of(await binding.confirmed_async(), about.user)
        if isinstance(self._ent, AsyncEntitlements):
            return await self._ent.confirm(view)
        return await asyncio.to_thread(self._ent.confirm, view)

    def _bound(self, about: Whom) -> Binding | None:
        binding = CURRENT.get()
        if binding is None or binding.client is not self._ent or about.tenant not in (None, binding.view.tenant):
            return None
        try:
            binding.view.require_young()
        except ViewExpired:
            return None
        return binding


def _of(view: TenantView, user: str | None) -> TenantView:
    return view if user is None or user == view.user else view.for_user(user)
