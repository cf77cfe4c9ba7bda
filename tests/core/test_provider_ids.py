"""What payment providers call a subscription: facts like all others, at which no decision looks."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.changing import subscribe
from payaid_entitlements.core.facts import record
from payaid_entitlements.core.ground import Ground
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.provider_ids import provider_ids, set_provider_id
from payaid_entitlements.errors import UnknownTenant
from tests.core.conftest import NOW, decide, sub, tenant, world_of

WORLD = world_of()


def named(document, provider, id, *, now=NOW, as_of=None, name="main"):
    facts = set_provider_id(Ground(document, WORLD, now, as_of), provider, id, name=name)
    return record(document, facts, recorded=now, as_of=as_of).document


def test_each_provider_has_a_name_for_each_subscription():
    """They do not overwrite each other, and each says since when."""
    document = tenant(sub("pro"), sub("free", "second"))
    for provider, called, name in (
        ("stripe", "sub_1", "main"),
        ("adyen", "A-7", "main"),
        ("stripe", "sub_2", "second"),
    ):
        document = named(document, provider, called, name=name)
    renamed = named(document, "stripe", "sub_9", now=NOW + DAY)
    assert provider_ids(renamed, NOW) == {"main": {"stripe": "sub_1", "adyen": "A-7"}, "second": {"stripe": "sub_2"}}
    assert provider_ids(renamed, NOW + DAY)["main"] == {"stripe": "sub_9", "adyen": "A-7"}
    assert provider_ids(named(renamed, "stripe", None, now=NOW + DAY), NOW + DAY)["main"] == {"adyen": "A-7"}
    assert provider_ids(tenant(sub("pro", timezone="Asia/Tokyo")), NOW) == {}


def test_an_older_word_of_a_provider_is_superseded():
    """As with all facts."""
    known = named(tenant(sub("pro")), "stripe", "sub_2", as_of=NOW)
    assert provider_ids(named(known, "stripe", "sub_1", as_of=NOW - 1), NOW) == {"main": {"stripe": "sub_2"}}


def test_a_new_subscription_has_its_own_names():
    """What its predecessor was called is forgotten, by providers who say nothing of the new one too."""
    known = named(named(tenant(sub("pro")), "stripe", "sub_1"), "adyen", "A-7")
    ground = Ground(known, WORLD, NOW + DAY)
    begun = record(known, subscribe(ground, "pro", provider_ids={"stripe": "sub_2"}), recorded=NOW + DAY).document
    assert provider_ids(begun, NOW + DAY) == {"main": {"stripe": "sub_2"}}


def test_no_decision_looks_at_them():
    """Whatever a provider calls it."""
    plain = tenant(sub("pro"))
    for key in ("crm", "crm.export", "seats", "crm.contacts"):
        assert decide(named(plain, "stripe", "sub_1"), key, WORLD) == decide(plain, key, WORLD)


@pytest.mark.parametrize(
    ("provider", "id", "says"),
    [("", "sub_1", "^provider="), ("stripe", "", "^id="), ("stripe", "None", "^id="), (5, "a", "^provider must")],
)
def test_names_identify_something(provider, id, says):
    """An empty name would be found for everybody who has none."""
    with pytest.raises(TypeError, match=says):
        named(tenant(sub("pro")), provider, id)


def test_only_a_subscription_has_names():
    """Nothing is begun by accident."""
    with pytest.raises(UnknownTenant):
        named(tenant(), "stripe", "sub_1")
