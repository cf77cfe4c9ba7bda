"""
What to answer when the store does not. Fail closed, and say so; an outage is never "not entitled".

A grant that is a little old is repeated and marked; a refusal that is old is not, since the
customer may just have paid: it becomes `store.unavailable`.
"""

from __future__ import annotations

from dataclasses import replace

from payaid_entitlements.core.catalog.model import Catalog, FailPolicy, Microseconds
from payaid_entitlements.core.decision import HARD, Decision, Reason

#: How long the last known answer is repeated for every feature, before its own policy decides.
STALE_FOR: Microseconds = 300 * 1_000_000


def policy_of(catalog: Catalog | None, key: str) -> FailPolicy:
    """The fail policy of a module or feature; closed where the catalog is not known either."""
    if catalog is not None:
        feature = catalog.features.get(key)
        if feature is not None:
            return feature.on_outage
        module = catalog.modules.get(key)
        if module is not None:
            return module.on_outage
    return FailPolicy()


def in_outage(
    key: str, last: Decision | None, age: Microseconds, policy: FailPolicy, *, stale_for: Microseconds = STALE_FOR
) -> Decision:
    """
    Decide *key* without the store.

    Args:
        last: The last known decision; None when there is none.
        age: How long ago it was known to be true.
        policy: Of the feature.
        stale_for: Up to this age, inclusive, any grant is repeated.
    """
    if last is not None:
        if last.reason in HARD:
            # The vendor made it, and time does not undo it: it is repeated at any age.
            return replace(last, degraded=True)
        bound = max(stale_for, policy.bound) if policy.kind == "last_known_good" else stale_for
        if last.allowed and age <= bound:
            beyond = age > stale_for
            notes = (*last.advisories, Reason.STORE_LAST_KNOWN_GOOD) if beyond else last.advisories
            return replace(last, advisories=notes, degraded=True)
    if policy.kind == "open":
        return Decision(True, Reason.STORE_FAILED_OPEN, key, degraded=True)
    return Decision(False, Reason.STORE_UNAVAILABLE, key, degraded=True)
