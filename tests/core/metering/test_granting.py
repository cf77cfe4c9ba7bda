"""Laws of grants: whatever order messages come in, and whatever was given before."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core import changing
from payaid_entitlements.core.adding import set_add_on
from payaid_entitlements.core.facts import TenantDocument, record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.metering.granting import Grant, grants_at
from tests.core.conftest import NOW, world_of

WORLD = world_of(
    {
        "catalog": 1,
        "features": {"credits": {"kind": "credit"}, "coins": {"kind": "credit"}},
        "plans": {"pro": {"features": {"credits": "1/month"}}},
        "add_ons": {"pack": {"grant": {"credits": 500, "coins": 3}}},
    }
)
BEGUN = NOW - 30 * DAY


def told(messages: list[tuple[int, int]]) -> TenantDocument:
    """What is known when these arrive one after the other: (day on which it was said, quantity)."""
    document = TenantDocument("acme")
    facts = changing.subscribe(Ground(document, WORLD, NOW, BEGUN), "pro")
    document = record(document, facts, recorded=NOW, as_of=BEGUN).document
    for day, quantity in messages:
        as_of = BEGUN + day * DAY
        facts = set_add_on(Ground(document, WORLD, NOW, as_of), "pack", quantity)
        document = record(document, facts, recorded=NOW, as_of=as_of).document
    return document


def given_in(document: TenantDocument, feature: str = "credits") -> int:
    return sum(int(each.amount) for each in grants_at(document, NOW) if each.feature == feature)


messages = st.lists(st.tuples(st.integers(1, 20), st.integers(0, 4)), max_size=6, unique_by=lambda each: each[0])


@settings(max_examples=100, deadline=None)
@given(messages, st.randoms(use_true_random=False))
def test_what_an_add_on_gives_is_the_same_in_any_order_and_however_often(said, chance):
    """So much for each unit of the most that were ever held."""
    arrived = said + chance.sample(said, len(said) // 2)
    chance.shuffle(arrived)
    most = max((quantity for _, quantity in said), default=0)
    for order in (sorted(said), arrived):
        document = told(order)
        assert given_in(document) == 500 * most
        assert given_in(document, "coins") == 3 * most


@settings(max_examples=100, deadline=None)
@given(messages)
def test_no_lot_changes_once_it_was_given(said):
    """The ledger has counted on it: its amount, its end and its name stay."""
    seen: dict[str, Grant] = {}
    for count in range(len(said) + 1):
        now = {each.id: each for each in grants_at(told(said[:count]), NOW)}
        assert seen.items() <= now.items()
        seen = now
