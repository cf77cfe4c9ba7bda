"""Our flags by OpenFeature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from types import MappingProxyType
from typing import Any

from openfeature.evaluation_context import EvaluationContext
from openfeature.event import ProviderEvent, ProviderEventDetails
from openfeature.exception import ErrorCode, FlagNotFoundError, GeneralError, ProviderFatalError, ProviderNotReadyError
from openfeature.flag_evaluation import FlagResolutionDetails, Reason
from openfeature.hook import Hook
from openfeature.track import TrackingEventDetails

from payaid_entitlements.core.flags.details import FlagDetails
from payaid_entitlements.core.flags.differing import differing
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import moment
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError, UnknownFlag
from payaid_entitlements.flagging import flags_near, flags_near_async, is_known, visitor
from payaid_entitlements.openfeature.asking import Asking
from payaid_entitlements.openfeature.beside import Beside
from payaid_entitlements.openfeature.kinds import Kind, fitting
from payaid_entitlements.openfeature.looking import Looking
from payaid_entitlements.openfeature.standing import Standing
from payaid_entitlements.openfeature.tracking import Tracked, TrackingSink
from payaid_entitlements.openfeature.whom import Whom, whom
from payaid_entitlements.view import TenantView


class FlagProvider(Asking):
    """
    Flags by OpenFeature.

    The context says whom they are about. Where it names no tenant, a view that is bound to the request answers; where
    none is, flags answer for a visitor, who holds nothing and is in no rollout by tenant.

    Events, each when a question to this client finds it out: ``PROVIDER_CONFIGURATION_CHANGED`` with the changed keys;
    ``PROVIDER_STALE`` when flags are those that were last known, ``PROVIDER_ERROR`` when none are known at all, and
    ``PROVIDER_READY`` when the store has answered again.

    Args:
        ent: A client of either colour. An async one answers a question that is not awaited by what is near, or not at
            all; let its first question be awaited.
        tenant: Attribute of the context that names the tenant; the targeting key then is the user. None: the targeting
            key is the tenant, and the attribute ``user`` may name a user.
        tracking: Takes what is tracked; what the guard of a rollout looks at is measured besides.
        hooks: Of the host's, which run around each question.
    """

    def __init__(
        self,
        ent: Entitlements | AsyncEntitlements,
        *,
        tenant: str | None = None,
        tracking: TrackingSink | None = None,
        hooks: Sequence[Hook] = (),
    ) -> None:
        super().__init__("payaid flags", hooks)
        self._ent = ent
        self._tenant = tenant
        self._tracking = tracking
        self._looking = Looking(ent)
        self._standing = Standing(self._tell, lambda: ent._near)
        self._beside = Beside(ent)
        self._unwatch: Callable[[], None] | None = None

    # -- its life -----------------------------------------------------------------------------------------------

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """
        Bring the flags near. Of an async client nothing is brought: its first question that is awaited does.

        Raises:
            GeneralError: The store gave no answer. Flags that are known answer nevertheless; the provider is in error
                until it has.
            ProviderFatalError: Nothing was ever published there, or the client is configured wrongly.
        """
        if self._unwatch is None:
            self._unwatch = self._ent._near.watch_flags(self._swapped)
        try:
            _, is_old = flags_near(self._ent)
        except ConfigurationError as error:
            raise ProviderFatalError(str(error)) from error
        if is_old:
            self._standing.begin("error")
            raise GeneralError("the store gave no answer; flags are those that were last known")
        self._standing.begin("ready")

    def shutdown(self) -> None:
        """Watch flags no more. The client is the host's to close. Repeating it is harmless."""
        if self._unwatch is not None:
            self._unwatch()
            self._unwatch = None

    def _swapped(self, before: FlagSnapshot | None, now: FlagSnapshot) -> None:
        if before is None:
            return
        keys = differing(before, now)
        if keys:
            self._tell(ProviderEvent.PROVIDER_CONFIGURATION_CHANGED, ProviderEventDetails(flags_changed=keys))

    def _tell(self, event: ProviderEvent, details: ProviderEventDetails) -> None:
        # The SDK's pool of threads ends before the interpreter does, and whoever asks then has his answer all the same.
        with suppress(RuntimeError):
            self.emit(event, details)

    # -- asking -------------------------------------------------------------------------------------------------

    def resolve(
        self, key: str, default: Any, context: EvaluationContext | None, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        """Same as `Asking.resolve`."""
        about = whom(context, self._tenant)
        is_awaited = isinstance(self._ent, AsyncEntitlements)
        view = self._looking.view(about, unvouched=True)
        if view is None:
            if is_awaited and self._ent._near.flags is None:
                raise ProviderNotReadyError("no flags are near yet: let the first question be awaited")
            return self._for_visitor(*flags_near(self._ent), key, default, about, kind)
        # That an async client did not ask the store says nothing about the store.
        return self._for_tenant(view, view.stale and not is_awaited, key, default, about, kind)

    async def resolve_async(
        self, key: str, default: Any, context: EvaluationContext | None, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        """Same as `Asking.resolve_async`."""
        about = whom(context, self._tenant)
        view = await self._looking.view_async(about)
        if view is None:
            return self._for_visitor(*(await flags_near_async(self._ent)), key, default, about, kind)
        return self._for_tenant(view, view.stale, key, default, about, kind)

    def _for_tenant(
        self, view: TenantView, is_old: bool, key: str, default: Any, about: Whom, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        self._note(view._flags, is_old)
        try:
            details = view.flag_details(key, user=about.user, attributes=about.attributes)
        except UnknownFlag as error:
            raise FlagNotFoundError(str(error)) from None
        return resolution(details, default, kind)

    def _for_visitor(
        self, flags: FlagSnapshot, is_old: bool, key: str, default: Any, about: Whom, kind: Kind
    ) -> FlagResolutionDetails[Any]:
        self._note(flags, is_old)
        flag = flags.flags.get(key)
        if flag is None:
            raise FlagNotFoundError(f"there is no flag {key!r}{did_you_mean(key, flags.flags)}")
        return resolution(flag.evaluate(visitor(self._ent, about.user, about.attributes)), default, kind)

    def _note(self, flags: FlagSnapshot, is_old: bool) -> None:
        self._standing.turn("ready" if not is_old else "stale" if is_known(self._ent, flags) else "error")

    # -- tracking -----------------------------------------------------------------------------------------------

    def track(
        self,
        tracking_event_name: str,
        evaluation_context: EvaluationContext | None = None,
        tracking_event_details: TrackingEventDetails | None = None,
    ) -> None:
        """
        Hand on what happened: to the sink, and to the guards of rollouts that have a metric of this name.

        Of an amount the value counts in its unit; of a rate, that it happened is bad, and a value of 0 good. Raises
        nothing and waits for nothing: who is not near is not measured.
        """
        try:
            self._track(tracking_event_name, evaluation_context, tracking_event_details or TrackingEventDetails())
        except Exception as error:  # whatever it is, what was tracked has happened
            observer = self._ent._setting.observer
            observer.count("flag.tracking_lost", tracking_event_name)
            observer.once("flag.tracking_lost", name=tracking_event_name, kind=type(error).__name__)

    def _track(self, name: str, context: EvaluationContext | None, said: TrackingEventDetails) -> None:
        about = whom(context, self._tenant)
        if self._tracking is not None:
            at = moment(self._ent._setting.now())
            self._tracking.track(Tracked(name, about.tenant, about.user, said.value, dict(said.attributes), at))
        view = self._looking.near(about)
        if view is not None:
            view = view.for_user(view.user if about.user is None else about.user, about.attributes)
            flow = self._ent._measuring.happened(view, name, said.value)
            if flow is not None:
                self._beside.run(flow)


def resolution(details: FlagDetails, default: Any, kind: Kind) -> FlagResolutionDetails[Any]:
    """
    Say *details* in OpenFeature's words.

    Raises:
        OpenFeatureError: The flag has no answer.
        TypeMismatchError: Its answer is of another kind.
    """
    if details.error is not None:
        raise ErrorCode.to_exception(ErrorCode(details.error.value), details.message)
    metadata = {name: each for name, each in details.metadata.items() if isinstance(each, bool | int | float | str)}
    if details.rule is not None:
        metadata.setdefault("rule", details.rule)
    value = default if details.variant is None else fitting(details.key, details.value, kind)
    return FlagResolutionDetails(
        value, reason=Reason(details.reason.value), variant=details.variant, flag_metadata=MappingProxyType(metadata)
    )
