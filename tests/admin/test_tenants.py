"""What support does: suspending, overriding, moving, forgetting; with or without a subscription."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.interval import Interval, Unit
from payaid_entitlements.core.subscription import Subscription
from payaid_entitlements.core.values import DENY, UNLIMITED, Allowance
from payaid_entitlements.errors import ConfigurationError, UnknownFeature, UnknownTenant
from tests.admin.conftest import TODAY, at, facts, utc


@pytest.mark.parametrize(
    ("verb", "reason"), [("suspend", Reason.SUBSCRIPTION_SUSPENDED), ("revoke", Reason.SUBSCRIPTION_REVOKED)]
)
def test_what_the_vendor_takes_is_taken_at_once_until_it_is_given_back(shop, admin, verb, reason):
    """The default plan's features too; reinstating lets what was bought count again."""
    admin.subscribe("acme", "pro")
    change = getattr(admin, verb)("acme")
    assert {"crm", "books", "seats: 5"} <= set(change.losses)
    assert shop.check("acme", "crm").reason is reason
    assert not shop.check("acme", "crm", access="read").allowed
    assert "books" in admin.reinstate("acme").gains
    assert shop.check("acme", "books").allowed


def test_an_override_holds_for_the_tenant_until_its_end(shop, admin):
    """A number keeps the window of what was bought; cleared, or over, what was bought counts again."""
    admin.subscribe("acme", "pro")
    change = admin.override("acme", "crm.calls", 500, until=at(3))
    assert change.gains == ("crm.calls: 100/month -> 500/month",)
    assert [str(each) for each in change.altered] == [
        "override of crm.calls: none -> 500 until 2026-09-24 14:13:20+00:00"
    ]
    assert shop.worth("acme", "crm.calls") == Allowance(500, Interval(1, Unit.MONTH))
    shop.clock.advance(days=3)
    assert shop.worth("acme", "crm.calls") == Allowance(100, Interval(1, Unit.MONTH))
    admin.override("acme", "seats", UNLIMITED)
    assert shop.worth("acme", "seats") == Allowance(UNLIMITED)
    assert admin.clear_override("acme", "seats").losses == ("seats: unlimited -> 5",)


def test_an_exception_for_some_days_does_not_lift_a_ban(shop, admin):
    """It may begin later; before and after it, what stands is what counts."""
    admin.subscribe("acme", "pro")
    admin.override("acme", "crm.export", DENY)
    admin.override("acme", "crm.export", True, from_=at(2), until=at(3))
    allowed = []
    for _ in range(5):
        allowed.append(shop.check("acme", "crm.export").allowed)
        shop.clock.advance(days=1)
    assert allowed == [False, False, True, False, False]
    admin.clear_override("acme", "crm.export")
    assert shop.check("acme", "crm.export").allowed


def test_an_exception_that_is_undone_leaves_what_stood(shop, admin):
    """Both of its facts are taken back."""
    admin.subscribe("acme", "pro")
    admin.override("acme", "crm.export", DENY)
    change = admin.override("acme", "crm.export", True, from_=at(1), until=at(2))
    admin.undo(change.id)
    allowed = []
    for _ in range(4):
        allowed.append(shop.check("acme", "crm.export").allowed)
        shop.clock.advance(days=1)
    assert allowed == [False] * 4


def test_an_override_of_one_user_leaves_the_others_alone(shop, admin):
    """And the change tells what becomes of that user's answers."""
    admin.subscribe("acme", "pro")
    change = admin.override("acme", "crm.export", DENY, user="u1")
    assert change.losses == ("crm.export", "books.close", "books.audit")
    assert shop.check("acme", "crm.export", user="u1").reason is Reason.OVERRIDE_DENIED
    assert shop.check("acme", "crm.export", user="u2").allowed
    assert shop.check("acme", "crm.export").allowed
    admin.clear_override("acme", "crm.export", user="u1")
    assert shop.check("acme", "crm.export", user="u1").allowed


def test_an_override_says_why_or_is_refused(shop):
    """Nobody can tell it from a mistake later. The reason may come with the call or with the actor."""
    nameless = shop.admin(because=None)
    with pytest.raises(TypeError, match="without a reason"):
        nameless.override("acme", "crm.export", True)
    with pytest.raises(TypeError, match="without a reason"):
        nameless.override("acme", "crm.export", True, because="")
    assert shop.memory.read(["acme"]) == {}
    nameless.override("acme", "crm.export", True, because="INC-4711")
    said = shop.document("acme").timelines["override", "crm.export"].facts[-1].value
    assert (said["actor"], said["because"]) == ("asha", "INC-4711")
    assert shop.trail("acme")[-1].because == "INC-4711"


@pytest.mark.parametrize(
    ("key", "to", "error", "says"),
    [
        ("crm.exprot", True, UnknownFeature, "did you mean 'crm.export'"),
        ("crm.export", 5, TypeError, "True, False or DENY"),
        ("crm.export", None, TypeError, "not with NoneType"),
        ("seats", True, TypeError, "an amount"),
        ("seats", 0.5, TypeError, "not with float"),
        ("seats", Decimal("0.5"), ConfigurationError, "whole number"),
        ("seats", -1, ConfigurationError, "at least 0"),
        ("seats", "some", ConfigurationError, "seats"),
        ("books.delay", 5, TypeError, "timedelta"),
    ],
)
def test_an_override_is_a_value_that_the_feature_can_have(shop, admin, key, to, error, says):
    """Anything else is refused by name before it is written."""
    with pytest.raises(error, match=says):
        admin.override("acme", key, to)
    assert shop.memory.read(["acme"]) == {}


def test_an_override_that_is_over_is_refused(admin):
    """It would look as if it had been set."""
    with pytest.raises(ConfigurationError, match="over already"):
        admin.override("acme", "seats", 5, until=TODAY)


def test_an_override_of_what_is_not_sold_any_more_can_be_cleared(shop, admin):
    """The key of an override that was set once may be gone from the catalog; a key that never was is a typo."""
    admin.override("acme", "books.delay", timedelta(hours=3))
    with pytest.raises(UnknownFeature):
        admin.clear_override("acme", "books.delya")
    assert facts(admin.clear_override("acme", "books.delay")) == (True, "change.applied")


def test_a_tenant_moves_to_another_zone(shop, admin):
    """Its periods end by midnight there, from the next one on."""
    admin.subscribe("acme", "pro", anchor=utc(2026, 9, 1))
    assert [str(each) for each in admin.set_timezone("acme", "Asia/Kolkata").altered] == [
        "timezone: none -> Asia/Kolkata"
    ]
    assert shop.run(shop.ent.explain("acme", "crm")).zone == "Asia/Kolkata"
    tried = shop.admin(dry_run=True)
    assert tried.cancel("acme").effective_at == utc(2026, 10, 1)
    shop.clock.travel_to(utc(2026, 10, 2))
    assert tried.cancel("acme").effective_at == utc(2026, 10, 31, 18, 30)
    with pytest.raises(ConfigurationError, match="Asia/Kolkata"):
        admin.set_timezone("acme", "Asia/Kolkatta")


def test_a_host_that_changed_its_own_table_says_so(shop):
    """Every process then asks it again; nothing else about the tenant is written."""
    table = {"acme": Subscription("free")}
    hosting = shop.beside(subscriptions=table.get)
    assert not hosting.check("acme", "books").allowed
    table["acme"] = Subscription("pro")
    change = hosting.admin().invalidate("acme", operation="row:17")
    assert facts(change) == (True, "change.applied")
    assert hosting.check("acme", "books", after=change.revision).allowed
    assert facts(hosting.admin().invalidate("acme", operation="row:17")) == (False, "change.repeated")
    assert [row.plan for row in shop.memory.find()] == ["pro"]
    hosting.admin().override("acme", "crm.export", DENY)
    assert hosting.check("acme", "crm.export").reason is Reason.OVERRIDE_DENIED


def test_a_forgotten_tenant_leaves_nothing_but_that_it_was_forgotten(shop, admin):
    """Facts, reasons and operations are gone, from the audit trail too; whoever comes next begins anew."""
    admin.subscribe("acme", "pro", operation="order:1")
    admin.override("acme", "seats", 50, because="friend of Asha")
    change = admin.forget("acme", because="GDPR-7")
    assert facts(change) == (True, "change.applied")
    assert {"books", "seats: 50 -> 1"} <= set(change.losses)
    assert shop.worth("acme", "seats") == Allowance(1)
    assert (shop.document("acme").generation, shop.document("acme").timelines) == (2, {})
    assert [(entry.verb, entry.because, entry.altered) for entry in shop.trail("acme")] == [
        ("subscribe", None, ()),
        ("override", None, ()),
        ("forget", "GDPR-7", ()),
    ]
    assert shop.memory.find() == []
    assert facts(admin.subscribe("acme", "free", operation="order:1")) == (True, "change.applied")


def test_only_who_is_known_can_be_forgotten(shop, admin):
    """A typo in an erasure must not look as if it had been done; erasing twice is harmless."""
    with pytest.raises(UnknownTenant, match="'acmee'"):
        admin.forget("acmee")
    admin.subscribe("acme", "pro")
    admin.forget("acme")
    assert facts(admin.forget("acme")) == (False, "change.unchanged")
