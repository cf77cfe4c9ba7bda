"""What billing does: subscriptions begin, change, pause, fall due and end."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.instant import from_clock
from payaid_entitlements.core.provider_ids import provider_ids
from payaid_entitlements.core.subscription import State
from payaid_entitlements.core.values import UNLIMITED, Allowance
from payaid_entitlements.errors import ConfigurationError, UnknownPlan, UnknownTenant
from tests.admin.conftest import TODAY, at, facts, utc


def test_a_subscription_holds_at_once(shop, admin):
    """The next question of this process is answered by it, and the change says what it opened."""
    assert shop.check("acme", "books").reason is Reason.PLAN_MODULE_ABSENT
    change = admin.subscribe("acme", "pro")
    assert shop.check("acme", "books").allowed
    assert facts(change) == (True, "change.applied")
    assert (change.revision, change.effective_at, change.tenants) == (1, TODAY, 1)
    assert change.gains == (
        "books",
        "old",
        "crm.export",
        "crm.calls: 100/month",
        "books.close",
        "books.audit",
        "books.ledgers: 3",
        "books.delay: 1 day",
        "books.strict",
        "old.fax",
        "seats: 1 -> 5",
    )
    assert (change.losses, change.exceeds) == ((), ())
    assert shop.trail()[-1].id == change.id


def test_a_subscription_is_what_is_said_of_it(shop, admin):
    """Trial, add-ons, anchor, begin, end, zone and name are kept as they are given."""
    admin.subscribe("acme", "pro", trial=True, add_ons={"more_seats": 2})
    assert shop.view("acme").state is State.TRIALING
    assert shop.worth("acme", "seats") == Allowance(15)
    admin.subscribe(
        "acme", "big", name="second", starts=at(1), ends=at(3), anchor=utc(2026, 1, 31), timezone="Asia/Tokyo"
    )
    assert shop.worth("acme", "seats") == Allowance(15)
    shop.clock.advance(days=1)
    assert shop.worth("acme", "seats") == Allowance(UNLIMITED)
    shop.clock.advance(days=2)
    assert shop.worth("acme", "seats") == Allowance(15)
    second = shop.run(shop.ent.explain("acme", "seats")).subscriptions[0]
    assert (second.name, second.plan, second.state) == ("second", "big", State.ENDED)


def test_a_trial_ends_by_the_clock(shop, admin):
    """Nobody has to do anything; the same process crosses the boundary from what is near."""
    admin.subscribe("acme", "pro", trial=True)
    shop.clock.advance(days=14, seconds=-1)
    assert shop.check("acme", "books").reason is Reason.TRIAL_GRANTED
    shop.clock.advance(seconds=1)
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_TRIAL_ENDED


@pytest.mark.parametrize("verb", ["subscribe", "change_plan"])
def test_an_unknown_plan_is_named_with_the_nearest_one(admin, verb):
    """A typo is an error of the program, told with the way out; nothing is written."""
    admin.subscribe("acme", "free")
    with pytest.raises(UnknownPlan, match="no plan 'por'; did you mean 'pro'"):
        getattr(admin, verb)("acme", "por")
    assert [entry.verb for entry in admin.audit("acme")] == ["subscribe"]


def test_a_plan_is_changed_now_at_the_end_of_the_period_or_at_an_instant(shop, admin):
    """An upgrade holds at once, a downgrade waits; the change says from when on it holds and what it will take."""
    admin.subscribe("acme", "pro", anchor=utc(2026, 9, 1))
    upgrade = admin.change_plan("acme", "big")
    assert (upgrade.effective_at, shop.worth("acme", "seats")) == (TODAY, Allowance(UNLIMITED))
    downgrade = admin.change_plan("acme", "pro", when="period_end")
    assert downgrade.effective_at == utc(2026, 10, 1)
    assert downgrade.losses == (
        "crm.contacts: 10",
        "books.ledgers: 9 -> 3",
        "books.delay: 1 hour -> 1 day",
        "seats: unlimited -> 5",
    )
    assert shop.worth("acme", "seats") == Allowance(UNLIMITED)
    sooner = admin.change_plan("acme", "pro", when=at(2))
    assert sooner.effective_at == at(2)
    shop.clock.advance(days=2)
    assert shop.worth("acme", "seats") == Allowance(5)


def test_when_is_one_of_two_words_or_an_instant(admin):
    """A typo must not mean "now"; a naive datetime names no instant."""
    admin.subscribe("acme", "pro")
    with pytest.raises(ConfigurationError, match="'now', 'period_end'"):
        admin.change_plan("acme", "big", when="tomorrow")
    with pytest.raises(TypeError, match="time zone"):
        admin.cancel("acme", when=TODAY.replace(tzinfo=None))


def test_an_add_on_is_added_and_given_back(shop, admin):
    """In a quantity, and only what may be held."""
    admin.subscribe("acme", "pro")
    assert admin.set_add_on("acme", "more_seats", 2).gains == ("seats: 5 -> 15",)
    assert admin.set_add_on("acme", "more_seats", 0).losses == ("seats: 15 -> 5",)
    with pytest.raises(UnknownPlan, match="did you mean 'more_seats'"):
        admin.set_add_on("acme", "more_seat", 1)
    with pytest.raises(ConfigurationError, match="at most 2"):
        admin.set_add_on("acme", "more_seats", 3)
    assert shop.worth("acme", "seats") == Allowance(5)


@pytest.mark.parametrize(("when", "ends"), [({}, utc(2026, 10, 1)), ({"when": "now"}, TODAY), ({"when": at(3)}, at(3))])
def test_a_cancellation_holds_at_the_end_of_the_period_unless_said_otherwise(shop, admin, when, ends):
    """Until then nothing changes."""
    admin.subscribe("acme", "pro", anchor=utc(2026, 9, 1))
    change = admin.cancel("acme", **when)
    assert (change.effective_at, "books" in change.losses) == (ends, True)
    if ends > TODAY:
        assert shop.check("acme", "books").allowed
    shop.clock.travel_to(ends)
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_CANCELLED


def test_what_is_over_is_not_revived_by_cancelling_it_again(shop, admin):
    """Nothing changes; subscribing anew begins again."""
    admin.subscribe("acme", "pro")
    admin.cancel("acme", when="now")
    shop.clock.advance(days=5)
    again = admin.cancel("acme")
    assert (facts(again), again.gains) == ((False, "change.unchanged"), ())
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_CANCELLED
    admin.subscribe("acme", "pro")
    assert shop.check("acme", "books").allowed


def test_a_pause_leaves_reading_and_ends(shop, admin):
    """By itself where its end is known, by hand else; the change says that writing is lost."""
    admin.subscribe("acme", "pro")
    change = admin.pause("acme", at(2))
    assert "books: full -> read_only" in change.losses
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_PAUSED
    assert shop.check("acme", "books", access="read").allowed
    shop.clock.advance(days=2)
    assert shop.check("acme", "books").allowed
    admin.pause("acme")
    shop.clock.advance(days=400)
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_PAUSED
    assert "books: read_only -> full" in admin.resume("acme").gains
    assert shop.check("acme", "books").allowed


def test_what_is_due_is_grace_then_reading_then_nothing_until_it_is_paid(shop, admin):
    """The stages are the catalog's, counted from the day that payment was due."""
    admin.subscribe("acme", "pro")
    assert admin.past_due("acme", TODAY).losses == ()
    assert shop.check("acme", "books").advisories == (Reason.SUBSCRIPTION_IN_GRACE,)
    shop.clock.advance(days=7)
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_PAST_DUE
    assert shop.check("acme", "books", access="read").allowed
    shop.clock.advance(days=14)
    assert not shop.check("acme", "books", access="read").allowed
    assert "books" in admin.paid("acme").gains
    assert shop.check("acme", "books").advisories == ()


def test_only_a_subscription_that_is_there_can_be_changed(admin):
    """Each verb names the tenant and the subscription that it did not find; nothing is begun by accident."""
    admin.subscribe("acme", "pro")
    for verb, arguments in (
        ("change_plan", ("pro",)),
        ("set_add_on", ("more_seats", 1)),
        ("cancel", ()),
        ("pause", ()),
        ("resume", ()),
        ("past_due", (TODAY,)),
        ("paid", ()),
    ):
        with pytest.raises(UnknownTenant, match="'globex' has no subscription 'main'"):
            getattr(admin, verb)("globex", *arguments)
        with pytest.raises(UnknownTenant, match="'acme' has no subscription 'second'"):
            getattr(admin, verb)("acme", *arguments, name="second")
    assert [entry.verb for entry in admin.audit()] == ["publish", "subscribe"]


def test_a_subscription_knows_what_payment_providers_call_it(shop, admin):
    """Until another one takes its place; an older word of the provider that comes later is superseded."""

    def called():
        return provider_ids(shop.document("acme"), from_clock(shop.clock()))

    admin.subscribe("acme", "pro", provider_ids={"stripe": "sub_1", "razorpay": "sub_9"}, as_of=at(-3))
    assert called() == {"main": {"stripe": "sub_1", "razorpay": "sub_9"}}
    admin.set_provider_id("acme", "stripe", "sub_3", as_of=at(-1))
    late = admin.set_provider_id("acme", "stripe", "sub_2", as_of=at(-2))
    assert facts(late) == (False, "change.superseded")
    admin.set_provider_id("acme", "razorpay", None)
    admin.subscribe("acme", "big", name="second", provider_ids={"stripe": "sub_4"})
    assert called() == {"main": {"stripe": "sub_3"}, "second": {"stripe": "sub_4"}}
    admin.subscribe("acme", "big")
    assert called() == {"second": {"stripe": "sub_4"}}
    with pytest.raises(TypeError, match="id='None' identifies nobody"):
        admin.set_provider_id("acme", "stripe", "None")
    with pytest.raises(UnknownTenant, match="'globex' has no subscription 'main'"):
        admin.set_provider_id("globex", "stripe", "sub_5")


def test_what_is_so_already_is_not_written_again(shop, admin):
    """The revision stays, so nobody's cache is turned out for nothing."""
    admin.subscribe("acme", "pro")
    for again in (
        admin.change_plan("acme", "pro"),
        admin.set_add_on("acme", "more_seats", 0),
        admin.resume("acme"),
        admin.paid("acme"),
        admin.reinstate("acme"),
        admin.clear_override("acme", "seats"),
    ):
        assert facts(again) == (False, "change.unchanged")
        assert (again.id, again.revision, again.gains, again.altered) == (None, 1, (), ())
    assert shop.document("acme").revision == 1


def test_a_host_that_keeps_subscriptions_itself_changes_them_there(shop):
    """Its own table is the truth: a second one beside it would contradict it one day."""
    other = shop.beside(subscriptions=lambda tenant: None)
    desk = other.admin()
    for verb, arguments in (("subscribe", ("pro",)), ("change_plan", ("pro",)), ("cancel", ()), ("paid", ())):
        with pytest.raises(ConfigurationError, match=rf"{verb}: .*your own table is the truth"):
            getattr(desk, verb)("acme", *arguments)
    with pytest.raises(ConfigurationError, match="your own table says which version is held"):
        desk.migrate("pro")
