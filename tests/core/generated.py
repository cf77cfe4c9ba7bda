"""Random tenants of the example catalog, for laws that hold for all of them."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import strategies as st

from payaid_entitlements.core.catalog import Kind
from payaid_entitlements.core.controls import Controls, Enforcement
from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from tests.core.conftest import EXAMPLE, NOW, granted, override, published_of, sub

PUBLISHED = published_of(EXAMPLE)
KEYS = [*EXAMPLE.modules, *EXAMPLE.features]

#: Instants are whole days around now, so that boundaries are met exactly.
days = st.integers(-25, 25).map(lambda day: NOW + day * DAY)
quantities = st.dictionaries(st.sampled_from(list(EXAMPLE.add_ons)), st.integers(0, 3), max_size=2)
subscriptions = st.builds(
    lambda plan, name, add_ons, times: sub(plan, name, add_ons=add_ons, **times),
    st.sampled_from(list(EXAMPLE.plans)),
    st.sampled_from(["main", "second", "third"]),
    quantities,
    st.dictionaries(
        st.sampled_from(["starts", "trial_end", "past_due_since", "paused_from", "paused_until", "cancel_at", "ends"]),
        days,
        max_size=3,
    ),
)


def values_of(key: str) -> st.SearchStrategy[object]:
    """What an override of *key* may say."""
    feature = EXAMPLE.features.get(key)
    if feature is None or feature.kind is Kind.SWITCH:
        return st.sampled_from([True, DENY])
    if feature.kind.is_metered:
        return st.sampled_from([Allowance(0), Allowance(7), Allowance(UNLIMITED), DENY])
    values = {"duration": timedelta(hours=3), "choice": "advanced"}
    return st.sampled_from([values.get(feature.type, 77), DENY])


overrides = st.sampled_from(KEYS).flatmap(
    lambda key: st.builds(
        lambda to, user, since, until: override(key, to, user=user, since=since, until=until),
        values_of(key),
        st.sampled_from([None, "u", "v"]),
        days,
        st.none() | days,
    )
)
grants = st.builds(
    lambda feature, since, length, amount: granted(
        feature, amount, since=since, expires=None if length is None else since + length * DAY
    ),
    st.sampled_from([key for key, feature in EXAMPLE.features.items() if feature.kind in (Kind.QUOTA, Kind.CREDIT)]),
    days,
    st.none() | st.integers(1, 20),
    st.integers(1, 9),
)
changes = st.builds(
    lambda name, plan, since: [NewFact(("subscription", name, "plan"), since, {"plan": plan, "version": 1})],
    st.sampled_from(["main", "second"]),
    st.sampled_from(list(EXAMPLE.plans)),
    days,
)
documents = st.builds(
    lambda *parts: (
        record(
            TenantDocument("acme"),
            [fact for part in parts for facts in part for fact in facts],
            recorded=NOW - 100 * DAY,
        ).document
    ),
    st.lists(subscriptions, max_size=3),
    st.lists(changes, max_size=1),
    st.lists(overrides.map(lambda fact: [fact]), max_size=4),
    st.lists(grants, max_size=2),
    st.just([])
    | st.lists(
        st.builds(
            lambda word, since: [NewFact(("status",), since, word)],
            st.sampled_from(["suspended", "revoked"]),
            days,
        ),
        max_size=1,
    ),
)
controls = st.builds(
    lambda modes, killed: Controls(1, modes, frozenset(killed)),
    st.dictionaries(st.sampled_from([*EXAMPLE.modules, "*"]), st.sampled_from(list(Enforcement)), max_size=2),
    st.sets(st.sampled_from(KEYS), max_size=1),
) | st.just(Controls())
