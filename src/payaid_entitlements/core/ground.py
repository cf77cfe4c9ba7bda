"""The ground that a change stands on: what is known of the tenant, what is sold, and when somebody said it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from payaid_entitlements.core.facts import TenantDocument, Timeline
from payaid_entitlements.core.instant import MINUTE, Instant
from payaid_entitlements.core.subscription import Terms, subject, terms_at
from payaid_entitlements.core.world import World
from payaid_entitlements.core.zones import period_end
from payaid_entitlements.errors import UnknownTenant

#: When a change takes effect: at once, when what runs now ends, or at an instant.
When = Literal["now", "period_end"] | Instant

#: So far may the clock of a source be ahead of ours.
MOST_AHEAD = 5 * MINUTE


@dataclass(frozen=True, slots=True)
class Ground:
    """
    What a change is worked out from.

    Attributes:
        now: The instant that it is.
        as_of: When the source said it; None for what was said now.
        id: What the change will be known by; a grant is known by it too.
    """

    document: TenantDocument
    world: World
    now: Instant
    as_of: Instant | None = None
    id: str = ""

    @property
    def at(self) -> Instant:
        """From when on it holds: when the source said it, but never later than now."""
        return self.now if self.as_of is None else min(self.as_of, self.now)

    def terms(self, name: str) -> Terms:
        """
        The subscription *name* as it was when the source spoke, as far back as the document reaches.

        Raises:
            UnknownTenant: The tenant has none of this name.
        """
        for at in (self.at, self.now):
            for terms in terms_at(self.document, at):
                if terms.name == name:
                    return terms
        raise UnknownTenant(f"tenant {self.document.tenant!r} has no subscription {name!r}; subscribe it first")

    def is_of_another(self, name: str) -> bool:
        """Was it said before the subscription *name* began, and so about the one before?"""
        begun = self.document.timelines.get(subject(name, "starts"), Timeline())
        return self.as_of is not None and self.as_of < begun.said

    def knows(self, name: str, field: str) -> bool:
        """Is anything known of *field*?"""
        return subject(name, field) in self.document.timelines

    def instant(self, when: When, terms: Terms) -> Instant:
        """The instant that *when* is for a subscription."""
        if when == "now":
            return self.at
        return period_end(self.document, self.world, terms, self.at) if when == "period_end" else when
