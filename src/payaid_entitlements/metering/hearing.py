"""Who wants to be told what: the functions of the host's that ``@ent.on(...)`` names, and what they are given."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeVar

from payaid_entitlements.core.values import Amount
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError

#: Of a limit so much was used up, as the first posting that reached it made it.
THRESHOLD: Final = "usage.threshold"
#: What can be heard of.
NAMES: Final = (THRESHOLD,)


@dataclass(frozen=True, slots=True)
class Event:
    """
    Something that happened, and is true: told after the commit.

    Attributes:
        name: ``usage.threshold``.
        id: The same when it is told again: each is told at least once, and once as a rule.
        tenant: Whose it is.
        feature: Of what so much was used: a quota or a credit. Slots are not told of.
        threshold: Which mark was reached, in percent of the limit; None where the limit has changed since.
        reached: The mark, in units of *feature*.
        used: Units used after what reached it.
        operation: What reached it, as it is written (`core.identity.operation_id`).
        at: When, by the ledger's clock.
    """

    name: str
    id: str
    tenant: str
    feature: str
    threshold: int | None
    reached: Amount
    used: Amount
    operation: str
    at: datetime


#: What the host gives; an asynchronous client awaits what can be awaited.
Handler = Callable[[Event], object]
H = TypeVar("H", bound=Handler)


class Handlers:
    """
    The handlers of one client, by the name of what they want to hear.

    Attributes:
        looked_at: When it was last looked for events that others have left, by the cache's clock; None for never.
    """

    def __init__(self, *, awaits: bool) -> None:
        self._awaits = awaits
        self._by_name: dict[str, list[Handler]] = {name: [] for name in NAMES}
        self.looked_at: float | None = None

    def of(self, name: str) -> list[Handler]:
        """Who wants to hear of *name*, in the order of their coming."""
        return self._by_name[name]

    def add(self, name: str, handler: H) -> H:
        """
        Tell *handler* of *name* from now on.

        Raises:
            ConfigurationError: There is no such event, or nobody could await the handler.
        """
        if name not in self._by_name:
            raise ConfigurationError(f"there is no event {name!r}{did_you_mean(str(name), NAMES)}")
        if not self._awaits and inspect.iscoroutinefunction(handler):
            raise ConfigurationError(
                f"{handler.__name__} is awaited, and this client awaits nothing: AsyncEntitlements"
            )
        self._by_name[name].append(handler)
        return handler
