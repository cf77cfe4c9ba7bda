"""Asking flags on behalf of a tenant: what they may look at, and what they make of what is sold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.flags.cbor import text
from payaid_entitlements.core.flags.context import TARGETING_KEY, FlagContext
from payaid_entitlements.core.flags.details import FlagError, FlagReason
from payaid_entitlements.core.flags.failing import EvaluationFailed
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.tracing import Outcome, Step
from payaid_entitlements.errors import ConfigurationError

if TYPE_CHECKING:
    from payaid_entitlements.core.explanation import Explanation
    from payaid_entitlements.core.flags.compiled import CompiledFlag
    from payaid_entitlements.core.flags.snapshot import FlagSnapshot
    from payaid_entitlements.core.instant import Instant
    from payaid_entitlements.core.resolution import Standpoint
    from payaid_entitlements.core.world import World

#: Attributes that are the library's own. A host hands on what browsers send; nobody puts himself on another plan.
OWN: Final = frozenset({"tenant", "user", "plan", "modules", "state"})


class Asker(FlagContext):
    """
    Who asks for a tenant. What flags mostly look at, its id and that of a user, is there at once; the rest is gathered
    when first a flag looks at it.
    """

    __slots__ = ("_said", "_standpoint")

    def __init__(
        self,
        tenant: str,
        user: str | None,
        at: Instant,
        standpoint: Standpoint | None,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """
        Note who asks.

        Args:
            standpoint: What the tenant holds; None where that is not known.
            attributes: What the host says besides. Those that are the library's `OWN` are left out.
        """
        self.tenant = tenant
        self.user = user
        self.at = at
        self.tenant_text = text_of(tenant)
        self.user_text = None if user is None else text_of(user)
        self._standpoint = standpoint
        self._said = attributes

    def __getattr__(self, name: str) -> Mapping[str, object]:
        # Asked only while the slot is empty. Of two threads, each gathers the same.
        if name != "attributes":
            raise AttributeError(name)
        self.attributes = found = self._gathered()
        return found

    def _gathered(self) -> Mapping[str, object]:
        user, standpoint = self.user, self._standpoint
        found: dict[str, object] = {TARGETING_KEY: self.tenant if user is None else user}
        if self._said:
            found.update((name, value) for name, value in self._said.items() if name not in OWN)
        found["tenant"] = self.tenant
        if user is not None:
            found["user"] = user
        if standpoint is not None:
            found["modules"] = sorted(standpoint.modules)
            if standpoint.plan is not None:
                found["plan"] = standpoint.plan
            if standpoint.state is not None:
                found["state"] = standpoint.state.value
        return found


class Unread(Asker):
    """Who asks, where what the host says besides cannot be read: flags that look at it have no answer, others do."""

    __slots__ = ("why",)
    why: str

    def _gathered(self) -> Mapping[str, object]:
        raise EvaluationFailed(FlagError.INVALID_CONTEXT, self.why)


def asker(
    tenant: str,
    user: str | None,
    at: Instant,
    standpoint: Standpoint | None,
    said: Mapping[str, object] | None,
    attributes: Mapping[str, object],
) -> Asker:
    """
    Note who asks, with *attributes* of this question over what was *said* before.

    Raises:
        TypeError: *attributes* is no mapping of names. Where it cannot be read, flags say so.
    """
    try:
        return Asker(tenant, user, at, standpoint, {**(said or {}), **read_attributes(attributes)})
    except ConfigurationError as error:
        found = Unread(tenant, user, at, standpoint)
        found.why = str(error)
        return found


@lru_cache(4096)
def user_of(user: str) -> str:
    """
    Return *user*, checked as `identify` does, which takes longer than most flags.

    Raises:
        TypeError: It identifies nobody.
    """
    return identify("user", user)


@lru_cache(4096)
def text_of(id: str) -> bytes:
    """What is hashed of an id: most ask for whom somebody has asked a moment ago."""
    return text(id)


@lru_cache(4096)
def text_of_user(user: str) -> bytes:
    """
    What is hashed of a user, checked as `user_of` does.

    Raises:
        TypeError: It identifies nobody.
    """
    return text(identify("user", user))


def read_attributes(attributes: object) -> dict[str, object]:
    """
    Copy what the host says besides: whatever becomes of its own mapping, what was said stays.

    Raises:
        TypeError: It is no mapping of names. What the values are is the flag's business.
        ConfigurationError: It is one of the host's own making, which raised when it was read.
    """
    if not isinstance(attributes, Mapping):
        raise TypeError(f"attributes is a mapping of names (str) to JSON data, not {type(attributes).__name__}")
    try:
        found: dict[str, object] = dict(attributes)
    except Exception as error:
        # What it says is left out, here as wherever attributes are told of: it may say who.
        raise ConfigurationError(f"attributes cannot be read: {type(error).__name__}") from error
    for name in found:
        if not isinstance(name, str):
            raise TypeError(f"attributes is a mapping of names (str) to JSON data; {name!r} is no name")
    return found


def narrowing(flags: FlagSnapshot, world: World, key: str) -> tuple[CompiledFlag, ...]:
    """The flags that may refuse *key*: those of its module come first."""
    own, module = flags.narrowing.get(key, ()), world.module_of(key)
    return own if module is None or module == key else (*flags.narrowing.get(module, ()), *own)


def quietly(flags: FlagSnapshot) -> FlagSnapshot:
    """The same where no evaluation is told of: an explanation shows nobody anything."""
    return flags if flags.origin is None else flags.origin


def refused_by(flag: CompiledFlag, key: str, context: FlagContext) -> Decision | None:
    """
    The refusal of *key* where *flag* does not come out true; None where it does.

    A flag that leaves its value to the caller, or that cannot be evaluated, lets nobody in: as ``view.flag(key)``.
    """
    details = flag.evaluate(context)
    if details.value is True:
        return None
    is_off = details.reason is FlagReason.DISABLED
    reason = Reason.FLAG_OFF if is_off else Reason.FLAG_ROLLOUT_EXCLUDED
    return Decision(False, reason, key, f"flag {flag.flag.key}")


def refusal(flags: Iterable[CompiledFlag], key: str, context: FlagContext) -> Decision | None:
    """The refusal of *key* by the first of *flags* that does not come out true; None where all do."""
    for flag in flags:
        found = refused_by(flag, key, context)
        if found is not None:
            return found
    return None


def narrowed(explanation: Explanation, flags: Iterable[CompiledFlag], context: FlagContext) -> Explanation:
    """Go on with *explanation*, by what *flags* say of what was allowed so far."""
    write = explanation.decision
    read = write if explanation.read is None else explanation.read
    if not (write.allowed or read.allowed):
        return explanation
    steps, refused = list(explanation.steps), None
    for flag in flags:
        details = flag.evaluate(context)
        why = details.message or ("no rule decided" if details.rule is None else f"rule {details.rule}")
        came_out = "left to the caller" if details.variant is None else details.variant
        found = refused_by(flag, explanation.feature, context)
        outcome: Outcome = "pass" if found is None else "deny"
        text = f"{flag.flag.key} is {came_out} ({details.reason.value}): {why}"
        steps.append(Step(explanation.feature, "flag", outcome, text))
        refused = found if refused is None else refused
    if refused is not None:
        write, read = (refused if each.allowed else each for each in (write, read))
    return replace(explanation, steps=tuple(steps), decision=write, read=None if read == write else read)
