"""
Flags as a view asks them: for its tenant, its user and its instant. Pure, and the same in both colours.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.flags.asking import Asker, asker, refused_by, text_of_user, user_of
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails, FlagError, FlagReason, FlagValue
from payaid_entitlements.core.flags.model import FlagType
from payaid_entitlements.core.flags.rollouts.measured import Arm, Measuring
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.resolution import Standpoint
from payaid_entitlements.core.world import World
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import UnknownFlag
from payaid_entitlements.forking import IMPORTING

if TYPE_CHECKING:
    from payaid_entitlements.core.flags.explaining import FlagExplanation

T = TypeVar("T")


class FlagView:
    """
    What `TenantView` answers about flags.

    Its own are the contexts in which flags were asked: that of the view, and that of who was named last.
    """

    __slots__ = ("_context", "_last")

    _context: FlagContext | None
    _last: FlagContext | None

    # What the view knows, for as long as it lives.
    _tenant: str
    _user: str | None
    _at: Instant
    _standpoint: Standpoint | None
    _attributes: Mapping[str, object] | None
    _flags: FlagSnapshot
    _world: World | None
    _observer: Observer
    _is_strict: bool

    def flag(
        self,
        key: str,
        default: bool = False,
        user: str | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> bool:
        """
        Ask a boolean flag. Pure CPU, as `check`: what it says is pinned with the view.

        Args:
            default: Where there is no such flag, where it leaves its value to the caller, where it cannot be
                evaluated, or *attributes* cannot be read (counted as ``flag.error``, and logged once), and in an outage
                in which nothing is known of it.
            user: Whom it is about, where that is not the view's user. To name one is all that a percentage of users
                needs; `for_user` does so once for many flags.
            attributes: What its rules may look at besides, over those of the view. Never ``tenant``, ``user``,
                ``plan``, ``modules`` and ``state``, which are the library's.

        Raises:
            TypeError: The flag is not boolean; *user* identifies nobody.
            UnknownFlag: There is no such flag, and the client is strict.
        """
        try:
            ask = self._flags.asks[key]
        except KeyError:
            return self._no_flag(key, default)
        if attributes is not None:
            value = ask(self._context_for(user, attributes)).value
        elif user is None:
            value = ask(self._context or self._own_context()).value
        elif (of_user := self._flags.of_user.get(key)) is not None:
            # Most of those who are named are named once: no context is made for them.
            value = of_user(text_of_user(user)).value
        else:
            last = self._last
            if last is None or last.user != user:
                last = self._context_for(user, None)
            value = ask(last).value
        return value if value is True or value is False else self._left_open(key, default, user, attributes)

    def flag_details(
        self,
        key: str,
        default: FlagValue = None,
        *,
        user: str | None = None,
        attributes: Mapping[str, object] | None = None,
    ) -> FlagDetails:
        """
        Ask a flag of any type, and why it says what it says.

        Args:
            default, user, attributes: As in `flag`.

        Returns:
            Never an exception for what is wrong with a flag: `FlagDetails.error` says it, and the value is *default*.

        Raises:
            TypeError: *user* identifies nobody, or *attributes* is no mapping.
            UnknownFlag: There is no such flag, and the client is strict.
        """
        flag = self._flags.flags.get(key)
        if flag is None:
            self._no_flag(key, default)
            error, message = FlagError.FLAG_NOT_FOUND, f"there is no flag {key!r}"
            if self._world is None:
                error, message = FlagError.PROVIDER_NOT_READY, "the store gave no answer, and no flag is known"
            return FlagDetails(key, default, None, FlagReason.ERROR, None, error, message)
        details = flag.evaluate(self._context_for(user, attributes))
        if details.error is not None:
            self._note_error(details)
        return details if details.variant is not None or default is None else replace(details, value=default)

    def rollout_side(self, key: str) -> tuple[Measuring | None, tuple[Arm, str] | None]:
        """
        For those who measure: the step of a flag's rollout that is measured, and on which side of it this view is.

        Returns:
            None for a flag of which nothing is measured; and None for the side of who is not concerned.

        Raises:
            UnknownFlag: There is no such flag, and the client is strict.
        """
        step = self._flags.measured.get(key)
        if step is None:
            if key not in self._flags.flags:
                self._no_flag(key, None)
            return None, None
        return step, step.side(self._context or self._own_context())

    @property
    def measured_flags(self) -> Collection[str]:
        """Keys of the flags of whose rollouts a step is measured now."""
        return self._flags.measured.keys()

    @property
    def attributes(self) -> Mapping[str, object] | None:
        """What the host said besides, for flags, to look at only; None where it said nothing."""
        return None if self._attributes is None else MappingProxyType(self._attributes)

    def decide_flag(self, key: str, attributes: Mapping[str, object] | None = None) -> Decision:
        """
        Decide for those who need a boolean flag to be on. One that there is not refuses, as one that is off.

        Args:
            attributes: As in `flag`.

        Raises:
            TypeError: The flag is not boolean, or *attributes* is no mapping of names.
            UnknownFlag: There is no such flag, and the client is strict.
        """
        if self.flag(key, attributes=attributes):
            return Decision(True, Reason.FLAG_ON, key, f"flag {key}")
        flag = self._flags.flags.get(key)
        refused = None if flag is None else refused_by(flag, key, self._context_for(None, attributes))
        return Decision(False, Reason.FLAG_OFF, key, f"flag {key}") if refused is None else refused

    def explain_flag(
        self, key: str, *, user: str | None = None, attributes: Mapping[str, object] | None = None
    ) -> FlagExplanation:
        """
        Say why a flag comes out as it does: each rule that was looked at, each bucket and its hash. For operators.

        Args:
            user, attributes: As in `flag`.

        Raises:
            UnknownFlag: There is no such flag.
        """
        if key not in self._flags.flags:
            raise UnknownFlag(f"there is no flag {key!r}{did_you_mean(str(key), self._flags.flags)}")
        # It is for people, who can wait until it is loaded.
        with IMPORTING:
            from payaid_entitlements.core.flags.explaining import explain_flag
        return explain_flag(self._flags, key, self._context_for(user, attributes))

    def _own_context(self) -> FlagContext:
        # Made when first a flag is asked, since most views are asked none. Of two threads, each makes the same.
        self._context = found = Asker(self._tenant, self._user, self._at, self._standpoint, self._attributes)
        return found

    def _context_for(self, user: str | None, attributes: Mapping[str, object] | None) -> FlagContext:
        if user is None and attributes is None:
            return self._context or self._own_context()
        user = self._user if user is None else user_of(user)
        if attributes is not None:
            return asker(self._tenant, user, self._at, self._standpoint, self._attributes, attributes)
        # Kept for the next question, which is mostly about the same user.
        self._last = found = Asker(self._tenant, user, self._at, self._standpoint, self._attributes)
        return found

    def _no_flag(self, key: str, default: T) -> T:
        if not isinstance(key, str):
            raise TypeError(f"a flag's key is a str, not {type(key).__name__} ({key!r})")
        if self._world is None:
            # Nothing is known, in an outage: that says nothing about the key.
            return default
        self._observer.count("flag.unknown", key)
        hint = did_you_mean(key, self._flags.flags)
        if self._is_strict:
            raise UnknownFlag(f"there is no flag {key!r}{hint}")
        self._observer.once("flag.unknown", flag=key, way_out=f"define it, or correct the key{hint}")
        return default

    def _left_open(self, key: str, default: bool, user: str | None, attributes: Mapping[str, object] | None) -> bool:
        """What comes out where no truth value did."""
        flag = self._flags.flags[key]
        if flag.flag.type is not FlagType.BOOLEAN:
            raise TypeError(f"flag {flag.flag.key!r} is a {flag.flag.type.value}; use flag_details({flag.flag.key!r})")
        details = flag.evaluate(self._context_for(user, attributes))
        if details.error is not None:
            self._note_error(details)
        return default

    def _note_error(self, details: FlagDetails) -> None:
        error = str(details.error)
        self._observer.count("flag.error", details.key, error)
        self._observer.once("flag.error", flag=details.key, error=error, way_out=details.message)
