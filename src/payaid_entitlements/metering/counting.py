"""
Limits over the host's own rows: counted live, under a lock that is held until the host commits.

There is no counter that could drift. Of two hosts who add rows at once, the second counts when the first has committed:
there are exactly as many rows as are sold.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

from payaid_entitlements.cache.counting import LockRows
from payaid_entitlements.cache.steps import CallHost
from payaid_entitlements.core.catalog.model import Feature, Kind
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.metering.amounts import to_units
from payaid_entitlements.core.metering.posting import Balance
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.metering.room import room, surely
from payaid_entitlements.view import require_key

if TYPE_CHECKING:
    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.catalog.model import Catalog
    from payaid_entitlements.core.metering.usage import Usage
    from payaid_entitlements.stores.ports import Transaction

#: Counts a tenant's rows in the host's transaction.
Counter: TypeAlias = Callable[[str, "Transaction"], int]
AsyncCounter: TypeAlias = Callable[[str, "Transaction"], "Awaitable[int] | int"]

C = TypeVar("C", bound="Counter | AsyncCounter")


class Counters:
    """
    How a host counts its rows, by feature.

    Args:
        catalog: What is sold, as far as the program says so.
        awaits: Counters may be coroutine functions.
    """

    __slots__ = ("_awaits", "_by_feature", "_catalog")

    def __init__(self, catalog: Catalog | None, *, awaits: bool) -> None:
        self._by_feature: dict[str, Counter | AsyncCounter] = {}
        self._catalog = catalog
        self._awaits = awaits

    def add(self, feature: str, counter: C) -> C:
        """
        Take *counter* for *feature*.

        Raises:
            TypeError: It is no function.
            ConfigurationError: *feature* has a counter already, or is not one that the host counts; or *counter* is to
                be awaited and cannot be.
        """
        require_key(feature)
        if not callable(counter):
            raise TypeError(f"counts({feature!r}) goes on a function of (tenant, tx), not on {counter!r}")
        if not self._awaits and inspect.iscoroutinefunction(counter):
            raise ConfigurationError(f"counts({feature!r}): a coroutine function is for AsyncEntitlements")
        if self._by_feature.get(feature, counter) is not counter:
            raise ConfigurationError(f"{feature!r} is counted already, by {_name(self._by_feature[feature])}")
        defined = None if self._catalog is None else self._catalog.features.get(feature)
        if self._catalog is not None and (defined is None or defined.count != "host"):
            raise ConfigurationError(
                f"counts({feature!r}): the catalog has no allocation of this key with `count: host`, which says that "
                "your own rows are counted"
            )
        self._by_feature[feature] = counter
        return counter

    @property
    def features(self) -> Collection[str]:
        """Keys of the features of which the host's rows can be counted."""
        return self._by_feature.keys()

    def count(self, feature: str, tenant: str, tx: Transaction) -> Flow[int]:
        """
        Count the rows of *tenant*.

        Raises:
            ConfigurationError: Nobody says how.
            TypeError: What was counted is no number of rows.
        """
        counter = self._by_feature.get(feature)
        if counter is None:
            raise ConfigurationError(
                f"nobody says how your rows of {feature!r} are counted; write a function (tenant, tx) -> int below "
                f"@ent.counts({feature!r})"
            )
        rows = yield CallHost(partial(counter, tenant, tx))
        if type(rows) is int and rows >= 0:
            return rows
        if inspect.iscoroutine(rows):
            rows.close()
        raise TypeError(f"{_name(counter)}, which counts {feature!r}, gave {rows!r}; it must give a number of rows")


class Counts(dict[tuple[str, ...], int]):
    """
    What was counted in this process: a number for each name and its labels.

    Called with the key of an allocation with ``count: host`` it decorates the function that counts the host's own rows:
    ``@ent.counts("crm.contacts") def rows(tenant, tx) -> int``. That is called with the tenant's id and the transaction
    of `require_room`, under its lock.
    """

    __slots__ = ("_counters",)

    def __init__(self, counts: Mapping[tuple[str, ...], int], counters: Counters) -> None:
        super().__init__(counts)
        self._counters = counters

    def __call__(self, feature: str) -> Callable[[C], C]:
        """
        Have the decorated function count the rows of *feature*.

        Raises:
            TypeError, ConfigurationError: When it is put on a function; see `Counters.add`.
        """
        return lambda counter: self._counters.add(feature, counter)


def _name(counter: object) -> str:
    return str(getattr(counter, "__qualname__", repr(counter)))


def require_room(
    setting: Setting, counters: Counters, tenant: str, feature: str, amount: object, tx: Transaction | None
) -> Flow[Usage]:
    """
    Return only if there is room for *amount* more rows, and let nobody else add any until *tx* ends.

    Returns:
        How many there are, without those that the host is about to add.

    Raises:
        Refused: There is no room, or none is sold.
        TypeError: The feature is no allocation, or its counter gave no number.
        ConfigurationError: It is counted by the ledger, nobody says how to count it, *amount* is impossible, or *tx* is
            no open transaction of the ledger's database.
        ChangeConflict: *tx* cannot see what others have added; the host must begin again.
        StoreUnavailable: The store, or the database, gave no answer.
    """
    require_key(feature)
    identify("tenant", tenant)
    if tx is None:
        raise ConfigurationError(
            f"require_room({tenant!r}, {feature!r}, tx=None): pass the transaction in which you add the row; the lock "
            "is held until it commits"
        )
    wanted = to_units(amount, Feature(feature, None, Kind.ALLOCATION, feature))
    found = yield from room(setting, tenant, feature, "host")
    if not found.decision.allowed:
        found.refuse(found.decision)
    yield LockRows(tenant, feature, tx)
    rows = yield from counters.count(feature, tenant, tx)
    balances = (Balance(used=rows),)
    if found.cap is not None and rows + wanted > found.cap and found.is_enforced and not found.is_sure:
        found = yield from surely(setting, found, "host")
        if not found.decision.allowed:
            found.refuse(found.decision)
    if found.cap is None or rows + wanted <= found.cap:
        return found.said(balances)
    if not found.is_enforced:
        setting.observer.count("usage.would_refuse", feature)
        return found.said(balances, would_refuse=True)
    setting.observer.count("usage.refused", feature, Reason.ALLOCATION_NO_ROOM.value)
    found.refuse(found.full(Reason.ALLOCATION_NO_ROOM, balances))
