"""The miss path, driven by hand: no store, no loop, no waiting. Failure first: that is where policy is."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from structlog.testing import capture_logs

from payaid_entitlements.cache.loading import SURE_WITHIN, hold, hosted, load, seen_at
from payaid_entitlements.cache.local import LEASE, NEVER, POLL_AFTER
from payaid_entitlements.cache.renewing import begin, poll, read_world, renew, renew_flags
from payaid_entitlements.cache.steps import (
    Apply,
    Join,
    Poll,
    Prepare,
    ReadCatalog,
    ReadControls,
    ReadFlags,
    ReadHost,
    ReadTenants,
)
from payaid_entitlements.cache.warming import warm_up
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.publishing import publish
from payaid_entitlements.core.controls import ENFORCE, OBSERVE, Controls
from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.subscription import Subscription
from payaid_entitlements.core.world import Modes, World
from payaid_entitlements.errors import ChangeConflict, ConfigurationError, StoreUnavailable, UnknownPlan
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, Applied, Concern, LogEntry, LogPage, Scope
from tests.cache.conftest import CATALOG, SECOND, document, published_of

DOWN = StoreUnavailable("down")
QUIET = LogPage((), 5)


class Outside:
    """Plays the store to a flow: answers steps from a script, and notes what was asked."""

    def __init__(self, **answers):
        self.answers = answers
        self.asked = []

    def run(self, flow):
        try:
            step = next(flow)
            while True:
                self.asked.append(
                    type(step).__name__ if not isinstance(step, Join) else f"Join {step.key.strip(chr(0))}"
                )
                answer = self.answer(step)
                step = flow.throw(answer) if isinstance(answer, Exception) else flow.send(answer)
        except StopIteration as done:
            return done.value

    def answer(self, step):
        match step:
            case Join(key, start, wait):
                if f"join_{key}" in self.answers:
                    return self.answers[f"join_{key}"]
                if not wait and self.answers.get("somebody_else_flies"):
                    return None
                try:
                    return self.run(start())
                except StoreUnavailable as error:
                    return error
            case ReadTenants((tenant,)):
                found = self.answers.get(tenant, document(tenant))
                return found if isinstance(found, Exception) else {} if found is None else {tenant: found}
            case Poll():
                return self.next("poll", QUIET)
            case ReadCatalog():
                return self.next("catalog", published_of())
            case ReadControls():
                return self.next("controls", Controls())
            case ReadFlags():
                return self.next("flags", FlagSet())
            case ReadHost():
                return self.next("host", None)
            case Prepare():
                return self.next("prepare", ())
            case Apply():
                return self.next("apply", Applied("c", True, 1, 1))
        raise AssertionError(step)

    def next(self, name, default):
        answer = self.answers.get(name, default)
        return answer.pop(0) if isinstance(answer, list) else answer


@pytest.fixture
def warm(setting):
    """A client that has begun and knows acme, and then lets its lease run on."""
    Outside().run(begin(setting))
    Outside().run(hold(setting, "acme"))
    return setting


def test_the_first_question_prepares_reads_the_world_and_then_the_tenant(setting):
    """In this order, so that nothing that changes in between is missed."""
    outside = Outside()
    found = outside.run(hold(setting, "acme"))

    assert outside.asked == [
        "Join world",
        "Prepare",
        "Poll",
        "ReadCatalog",
        "ReadControls",
        "ReadFlags",
        "Join acme",
        "ReadTenants",
    ]
    assert found.age is None
    assert found.entry.table["crm.export"].allowed


def test_a_question_within_the_lease_asks_nobody(warm):
    """Nothing is read while the change log vouches for what is near."""
    outside = Outside()
    outside.run(hold(warm, "acme"))
    assert outside.asked == []


def test_after_two_seconds_whoever_asks_reads_the_change_log(warm, hand):
    """One cheap question vouches for every tenant in the process."""
    hand.advance(POLL_AFTER)
    outside = Outside()
    outside.run(hold(warm, "acme"))

    assert outside.asked == ["Join poll", "Poll"]
    assert warm.near.lease == hand.now + POLL_AFTER


def test_while_one_reads_the_change_log_others_do_not_wait(warm, hand):
    """Until the five seconds are over they answer from what is near."""
    hand.advance(POLL_AFTER)
    found = Outside(somebody_else_flies=True).run(hold(warm, "acme"))
    assert found.age is None
    hand.advance(LEASE)
    outside = Outside()
    outside.run(hold(warm, "acme"))
    assert outside.asked[:2] == ["Join poll", "Poll"]


def test_a_change_in_the_log_makes_the_tenant_be_read_again(warm, hand):
    """And the answer is the new one."""
    hand.advance(POLL_AFTER)
    page = LogPage((LogEntry(6, Scope.TENANT, "acme", 2),), 6)
    outside = Outside(poll=page, acme=document("acme", revision=2, plan="free"))
    found = outside.run(hold(warm, "acme"))

    assert found.entry.revision == 2
    assert not found.entry.table["crm.export"].allowed
    assert warm.near.position == 6


def test_a_change_of_the_catalog_or_the_controls_makes_a_new_world(warm, hand):
    """Everything that was worked out under the old one is dropped."""
    hand.advance(POLL_AFTER)
    page = LogPage((LogEntry(6, Scope.CONTROLS, None, 1),), 6)
    outside = Outside(poll=page, controls=Controls().with_killed("crm"))
    found = outside.run(hold(warm, "acme"))

    assert outside.asked == [
        "Join poll",
        "Poll",
        "ReadCatalog",
        "ReadControls",
        "ReadFlags",
        "Join acme",
        "ReadTenants",
    ]
    assert not found.entry.table["crm.export"].allowed


def test_a_gap_in_the_log_drops_everything(warm, hand):
    """Who cannot know what has changed believes nothing."""
    generation = warm.near.generation
    hand.advance(POLL_AFTER)
    Outside(poll=LogPage((), 90, gap=True)).run(hold(warm, "acme"))
    assert warm.near.generation > generation
    assert warm.near.position == 90


def test_the_log_is_read_to_its_end(warm, hand):
    """The lease counts from the last page, which was asked last."""
    pages = [
        LogPage((LogEntry(6, Scope.TENANT, "acme", 2),), 6, more=True),
        LogPage((LogEntry(7, Scope.TENANT, "b", 1),), 7),
    ]
    outside = Outside(poll=pages)
    outside.run(poll(warm))
    assert outside.asked == ["Poll", "Poll"]
    assert warm.near.position == 7
    assert warm.near.floor("b") == 1


def test_within_five_seconds_answers_go_on_as_they_were_when_the_log_gives_none(warm, hand):
    hand.advance(POLL_AFTER)
    outside = Outside(poll=DOWN)
    found = outside.run(hold(warm, "acme"))
    assert outside.asked == ["Join poll", "Poll"]
    assert found.age is None


def test_beyond_the_lease_an_answer_says_how_old_it_is(warm, hand):
    """A dead log ends the promise; it does not prolong it."""
    hand.advance(LEASE)
    found = Outside(poll=DOWN).run(hold(warm, "acme"))
    assert found.age == LEASE
    hand.advance(100)
    assert Outside(poll=DOWN).run(hold(warm, "acme")).age == LEASE + 100
    assert Outside(poll=DOWN, acme=DOWN).run(hold(warm, "acme")).age == LEASE + 100


def test_a_tenant_that_is_not_near_is_read_even_if_the_log_gives_no_answer(warm, hand):
    """A reading is the truth of its moment; only when it fails too is there nothing to say."""
    hand.advance(LEASE)
    assert Outside(poll=DOWN).run(hold(warm, "other")).age is None
    with pytest.raises(StoreUnavailable):
        Outside(poll=DOWN, third=DOWN).run(hold(warm, "third"))


def test_an_entry_that_was_contradicted_and_cannot_be_read_is_no_answer(warm, hand):
    """It is not old but wrong: a change was heard of, and what it made of the tenant is not known."""
    page = LogPage((LogEntry(6, Scope.TENANT, "acme", 2),), 6)
    hand.advance(POLL_AFTER)
    for log in (page, QUIET, DOWN):
        with pytest.raises(StoreUnavailable):
            Outside(poll=log, acme=DOWN).run(hold(warm, "acme"))
        hand.advance(LEASE)


def test_what_was_never_confirmed_is_not_old_but_unknown(warm, hand):
    """Without any moment at which it was true there is no age to state."""
    warm.near.confirmed = NEVER
    warm.near.held["acme"].read_at = NEVER
    warm.near.lease = warm.near.trusted = NEVER
    with pytest.raises(StoreUnavailable):
        Outside(poll=DOWN).run(hold(warm, "acme"))


def test_when_freshness_ends_one_reads_and_the_others_keep_the_answer(warm, hand):
    """Stale while revalidate, as long as the change log vouches for it."""
    hand.advance(61)
    Outside().run(poll(warm))
    outside = Outside()
    found = outside.run(hold(warm, "acme"))
    assert outside.asked == ["Join acme", "ReadTenants"]
    assert found.entry.read_at == hand.now

    hand.advance(61)
    Outside().run(poll(warm))
    before = warm.near.held["acme"]
    assert Outside(somebody_else_flies=True).run(hold(warm, "acme")).entry is before
    assert Outside(acme=DOWN).run(hold(warm, "acme")).entry is before
    assert Outside(acme=DOWN).run(hold(warm, "acme")).age is None


def test_nobody_is_turned_away_on_a_copy_older_than_a_second(warm, hand):
    """sure=True reads the change log first, and waits for it."""
    hand.advance(0.999)
    outside = Outside()
    outside.run(hold(warm, "acme", sure=True))
    assert outside.asked == []

    hand.advance(0.001)
    page = LogPage((LogEntry(6, Scope.TENANT, "acme", 2),), 6)
    outside = Outside(poll=page, acme=document("acme", revision=2))
    assert outside.run(hold(warm, "acme", sure=True)).entry.revision == 2
    assert outside.asked == ["Join poll", "Poll", "Join acme", "ReadTenants"]


def test_who_had_to_be_sure_and_could_not_be_is_told_that_nobody_answers(warm, hand):
    """Also within the five seconds in which other answers go on: an outage is never "not entitled"."""
    hand.advance(SURE_WITHIN)
    assert Outside(poll=DOWN).run(hold(warm, "acme", sure=True)).age == SURE_WITHIN
    assert Outside(poll=DOWN, acme=DOWN).run(hold(warm, "acme", sure=True)).age == SURE_WITHIN
    assert Outside().run(hold(warm, "acme")).age is None


def test_a_look_at_the_log_that_began_too_early_makes_nobody_sure(warm, hand):
    """Somebody else's look took two seconds: who joined it looks again."""

    class Slow(Outside):
        def answer(self, step):
            if isinstance(step, Join) and self.asked.count("Join poll") == 1:
                warm.near.extend(hand.now - 2)
                return None
            return super().answer(step)

    hand.advance(10)
    outside = Slow()
    outside.run(hold(warm, "acme", sure=True))
    assert outside.asked == ["Join poll", "Join poll", "Poll"]
    assert warm.near.confirmed == hand.now


def test_a_log_that_is_too_slow_is_not_looked_at_for_ever(warm, hand):
    """One is enough that began after the question, however long it took."""

    class Crawling(Outside):
        def answer(self, step):
            if isinstance(step, Poll):
                hand.advance(3)
            return super().answer(step)

    hand.advance(10)
    asked_at = hand.now
    outside = Crawling()
    found = outside.run(hold(warm, "acme", sure=True))
    assert outside.asked.count("Poll") == 1
    assert seen_at(warm, found.entry) == asked_at


def test_who_cannot_be_made_sure_by_the_log_reads_the_tenant(warm, hand):
    """Two looks have said nothing, as where the client is closed meanwhile: then the reading itself vouches."""
    hand.advance(10)
    outside = Outside(**{"join_\x00poll": None})
    found = outside.run(hold(warm, "acme", sure=True))
    assert outside.asked == ["Join poll", "Join poll", "Join acme", "ReadTenants"]
    assert found.entry.read_at == hand.now


def test_an_old_row_of_the_host_is_not_vouched_for_by_our_log(warm, hand):
    """The change log was read a moment ago, and knows nothing of a payment that the host has noted."""
    hosted_setting = replace(warm, hosted=True)
    Outside(host=None).run(hold(hosted_setting, "acme", fresh=True))
    read_at = hand.now
    hand.advance(1.5)
    Outside().run(poll(hosted_setting))
    assert seen_at(hosted_setting, warm.near.held["acme"]) == read_at
    assert seen_at(warm, warm.near.held["acme"]) == hand.now


def test_a_reading_of_the_host_that_began_too_early_makes_nobody_sure(warm, hand):
    """Who shares somebody else's reading checks when it began."""
    hosted_setting = replace(warm, hosted=True)
    early = Outside(host=None).run(hold(hosted_setting, "acme", fresh=True)).entry
    hand.advance(SURE_WITHIN)
    outside = Outside(join_acme=early, host=Subscription("pro"))
    found = outside.run(hold(hosted_setting, "acme", sure=True))
    assert outside.asked == ["Join poll", "Poll", "Join acme", "ReadTenants", "ReadHost"]
    assert found.entry.table["crm.export"].allowed


def test_a_host_that_gives_no_answer_ends_what_its_row_said(warm, hand):
    """Past freshness the old answer says how old it is, since nobody vouches for it; the log cannot."""
    hosted_setting = replace(warm, hosted=True)
    Outside(host=Subscription("pro")).run(hold(hosted_setting, "acme", fresh=True))
    hand.advance(61)
    Outside().run(poll(hosted_setting))
    warm.near.held["acme"].fresh = hand.now  # not up to 10 % earlier
    assert Outside(somebody_else_flies=True).run(hold(hosted_setting, "acme")).age is None
    assert Outside(host=DOWN).run(hold(hosted_setting, "acme")).age == 61.0


def test_readers_of_a_host_that_hangs_wait_after_five_seconds(warm, hand):
    """While one reads the others keep the answer, but not for as long as it likes to take."""
    hosted_setting = replace(warm, hosted=True)
    Outside(host=Subscription("pro")).run(hold(hosted_setting, "acme", fresh=True))
    hand.advance(60 + LEASE)
    Outside().run(poll(hosted_setting))
    outside = Outside(somebody_else_flies=True, host=Subscription("free"))
    assert not outside.run(hold(hosted_setting, "acme")).entry.table["crm.export"].allowed


def test_where_the_host_keeps_subscriptions_being_sure_asks_the_host(warm, hand):
    """The change log knows nothing of the host's own table."""
    hosted_setting = replace(warm, hosted=True)
    Outside(host=Subscription("free")).run(hold(hosted_setting, "acme", fresh=True))
    hand.advance(1.0)
    outside = Outside(host=Subscription("pro"))
    found = outside.run(hold(hosted_setting, "acme", sure=True))
    assert outside.asked == ["Join poll", "Poll", "Join acme", "ReadTenants", "ReadHost"]
    assert found.entry.table["crm.export"].allowed


def test_fresh_goes_past_every_cache_and_shares_nobodys_reading(warm):
    """A reading that somebody else began may have begun too early."""
    outside = Outside(acme=document("acme", revision=2))
    assert outside.run(hold(warm, "acme", fresh=True)).entry.revision == 2
    assert outside.asked == ["Poll", "ReadTenants"]


def test_fresh_knows_a_switch_that_was_turned_a_moment_ago(warm):
    """What is sold and how switches stand is cached too."""
    page = LogPage((LogEntry(6, Scope.CONTROLS, None, 1),), 6)
    outside = Outside(poll=page, controls=Controls().with_killed("crm"))
    assert not outside.run(hold(warm, "acme", fresh=True)).entry.table["crm.export"].allowed


NEWER = publish(published_of(), Catalog.load({**CATALOG, "plans": {**CATALOG["plans"], "pro": {"extends": "free"}}}))[0]
MIGRATED = record(
    TenantDocument("acme", 1), [NewFact(("subscription", "main", "plan"), 0, {"plan": "pro", "version": 2})], recorded=0
).document


def test_a_tenant_that_holds_what_was_published_a_moment_ago_is_judged_by_it(warm):
    """By the old catalog, all who were migrated would hold nothing until the log is read again."""
    page = LogPage((LogEntry(6, Scope.CATALOG, None, 2),), 6)
    outside = Outside(acme=MIGRATED, poll=page, catalog=NEWER)
    entry = outside.run(load(warm, "acme"))
    assert outside.asked == ["ReadTenants", "Poll", "ReadCatalog", "ReadControls", "ReadFlags", "ReadTenants"]
    assert entry.table["crm"].source == "plan pro@2"
    assert warm.near.held["acme"] is entry


def test_what_cannot_be_judged_since_the_store_gives_no_answer_is_no_refusal(warm):
    """That the log could not be read is an outage, not a plan without features."""
    with pytest.raises(StoreUnavailable):
        Outside(acme=MIGRATED, poll=DOWN).run(load(warm, "acme"))


def test_a_plan_that_was_never_published_gives_nothing_and_is_said(warm, caplog):
    """A database that was restored without its catalog: nothing opens, and nobody has to guess why."""
    entry = Outside(acme=MIGRATED).run(load(warm, "acme"))
    assert not entry.table["crm"].allowed
    assert "plan.unknown" in caplog.text


ADDED = publish(published_of(), Catalog.load({**CATALOG, "add_ons": {"exports": {"override": {"crm.export": True}}}}))[
    0
]
BOUGHT = record(
    document("acme", plan="free"),
    [NewFact(("subscription", "main", "add_on", "exports"), 0, {"quantity": 1, "version": 1})],
    recorded=0,
).document


def test_an_add_on_that_was_published_a_moment_ago_is_judged_by_it(warm):
    """As a plan: whoever has just bought it holds it."""
    page = LogPage((LogEntry(6, Scope.CATALOG, None, 2),), 6)
    entry = Outside(acme=BOUGHT, poll=page, catalog=ADDED).run(load(warm, "acme"))
    assert entry.table["crm.export"].source == "add-on exports@1"


def test_an_add_on_that_was_never_published_gives_nothing_and_is_said(warm, caplog):
    """Nobody has to guess why what was paid for does not open."""
    assert not Outside(acme=BOUGHT).run(load(warm, "acme")).table["crm.export"].allowed
    said = caplog.text
    assert "plan.unknown" in said
    assert "add_on='exports'" in said


def test_a_host_that_names_an_add_on_that_never_was_is_told(warm):
    """Loudly where keys are taken strictly; an unknown version of one is no better."""
    sold = replace(warm, hosted=True, strict=True)
    sold.near.turn_to(World.of(ADDED, Controls()), FlagSnapshot(), (sold.near.generation, sold.near.turns))
    with pytest.raises(UnknownPlan, match=r"returned add-on 'exprots', .* did you mean 'exports'"):
        Outside(host=Subscription("free", add_ons={"exprots": 1})).run(load(sold, "acme"))
    old = Subscription("free", add_ons={"exports": 1}, add_on_versions={"exports": 2})
    with pytest.raises(UnknownPlan, match="returned add-on 'exports@2', which was never published"):
        Outside(host=old).run(load(sold, "acme"))
    old = Subscription("free", add_ons={"exports": 1}, add_on_versions={"exports": 1})
    assert Outside(host=old).run(load(sold, "acme")).table["crm.export"].allowed


def test_a_subscription_that_was_taken_back_names_no_plan(warm):
    """It is no reason to look at the log: the tenant holds the default plan."""
    gone = record(document("acme"), [NewFact(("subscription", "main", "plan"), 5, None)], recorded=0).document
    outside = Outside(acme=gone)
    assert outside.run(load(warm, "acme")).standpoint.plan == "free"
    assert outside.asked == ["ReadTenants"]


@pytest.mark.parametrize(("version", "which"), [(None, "'pru'"), (7, "'pru@7'")])
def test_a_host_that_names_a_plan_that_never_was_is_told(warm, caplog, version, which):
    """Loudly where keys are taken strictly; else its tenant holds nothing, and the log says so."""
    host = Subscription("pru", version=version)
    hosting = replace(warm, hosted=True)
    assert not Outside(host=host).run(load(hosting, "acme")).table["crm"].allowed
    assert "subscriptions= returns" in caplog.text
    with pytest.raises(UnknownPlan, match=rf"returned plan {which}, .* did you mean 'pro'"):
        Outside(host=host).run(load(replace(hosting, strict=True), "acme"))


def test_fresh_without_the_store_is_old_and_says_so(warm, hand):
    """The page after paying still shows something."""
    hand.advance(LEASE)
    assert Outside(poll=DOWN).run(hold(warm, "acme", fresh=True)).age == LEASE
    assert Outside(acme=DOWN).run(hold(warm, "acme", fresh=True)).age is not None


def test_an_answer_is_never_older_than_the_revision_that_was_asked_for(warm):
    """Read your writes: what is near and older does not count, not even in an outage."""
    outside = Outside(acme=document("acme", revision=4))
    assert outside.run(hold(warm, "acme", floor=3)).entry.revision == 4
    with pytest.raises(StoreUnavailable, match="revision 9"):
        Outside(acme=document("acme", revision=4)).run(hold(warm, "acme", floor=9))
    with pytest.raises(StoreUnavailable):
        Outside(acme=DOWN).run(hold(warm, "acme", floor=9))


def test_a_shared_reading_that_began_too_early_is_read_again(warm):
    """Whoever joins a flight checks that it is new enough for them."""
    world = warm.near.world
    stale = Outside(other=document("other", revision=1)).run(load(warm, "other"))
    warm.near.invalidate("other", 2, 2)
    assert world is not None
    outside = Outside(join_other=stale, other=document("other", revision=2))
    assert outside.run(hold(warm, "other")).entry.revision == 2


def test_a_client_that_is_closed_while_somebody_asks_answers_him(warm):
    """It begins anew, as for whoever asks next; nothing is answered by a world that is not known."""

    class Closing(Outside):
        def answer(self, step):
            if isinstance(step, Join) and step.key == "late":
                warm.near.clear()
            return super().answer(step)

    outside = Closing()
    found = outside.run(hold(warm, "late"))
    begun = ["Join world", "Prepare", "Poll", "ReadCatalog", "ReadControls", "ReadFlags"]
    assert outside.asked == ["Join late", *begun, "ReadTenants", "ReadTenants"]
    assert found.entry.table["crm.export"].allowed
    assert warm.near.held["late"] is found.entry


def test_a_reading_that_a_drop_overtook_is_read_again(warm):
    """Its answer was worked out in a world that is no more."""

    class Overtaking(Outside):
        def answer(self, step):
            if isinstance(step, Join) and step.key == "late":
                found = self.run(step.begin())
                warm.near.drop()
                return found
            return super().answer(step)

    outside = Overtaking()
    outside.run(hold(warm, "late"))
    assert outside.asked == ["Join late", "ReadTenants", "ReadTenants"]


def test_a_tenant_of_whom_nothing_is_known_holds_the_default_plan(warm):
    """And is kept near like any other."""
    found = Outside(nobody=None).run(hold(warm, "nobody"))
    assert found.entry.revision == 0
    assert found.entry.standpoint.plan == "free"
    assert "nobody" in warm.near.held


def test_a_trial_ends_without_asking_anybody(setting, hand):
    """The transition was foreseen when the tenant was read, to the instant."""
    end = instant(datetime.fromtimestamp(hand.now + 30, UTC))
    Outside(acme=document("acme", trial_end=end)).run(hold(setting, "acme"))
    setting.near.lease = setting.near.trusted = hand.now + 1000
    hand.advance(29.999)
    outside = Outside()
    assert outside.run(hold(setting, "acme")).entry.table["crm.export"].allowed
    hand.advance(0.001)
    assert not outside.run(hold(setting, "acme")).entry.table["crm.export"].allowed
    assert outside.asked == []


def test_users_with_overrides_get_segments_of_their_own(setting):
    """Only users who have any cost memory."""
    from payaid_entitlements.core.facts import NewFact, record

    known = document("acme", plan="free")
    facts = [NewFact(("override", "crm.export", "u1"), 0, {"to": True, "until": None})]
    both = record(known, facts, recorded=0).document
    entry = Outside(acme=both).run(hold(setting, "acme")).entry
    assert set(entry.users) == {"u1"}
    assert entry.for_user("u1", setting.near.clock())[1].write["crm.export"].allowed
    assert not entry.table["crm.export"].allowed


def test_a_refusal_of_a_user_lasts_as_long_as_it_was_said_to(setting, hand):
    """
    A user with more changes ahead than are prepared is read again after the last of them.

    Else he would fall back to what the tenant holds, and a refusal of his would be lost.
    """
    from payaid_entitlements.core.facts import NewFact, record

    first = int(hand.now) * SECOND
    facts = [
        NewFact(("override", key, "u1"), 0, {"to": True, "until": first + (number + 1) * SECOND})
        for number, key in enumerate(f"crm.gone{place}" for place in range(12))
    ]
    denied = NewFact(("override", "crm.export", "u1"), 0, {"to": {"deny": True}, "until": None})
    known = record(document("acme"), [*facts, denied], recorded=0).document
    outside = Outside(acme=known)
    for _ in range(20):
        found = outside.run(hold(setting, "acme"))
        assert not found.entry.for_user("u1", found.now)[1].write["crm.export"].allowed
        assert found.entry.for_user("u2", found.now)[1].write["crm.export"].allowed
        hand.advance(1)
    assert outside.asked.count("ReadTenants") == 2


def test_a_world_that_was_overtaken_is_read_again(warm):
    """Two turn switches at once: this process never goes back behind what it has seen."""
    newer = Controls().with_killed("crm")

    class Overtaken(Outside):
        def answer(self, step):
            if isinstance(step, ReadControls) and self.asked.count("ReadControls") == 1:
                self.run(renew(warm))
            return super().answer(step)

    outside = Overtaken(controls=[newer, Controls(), newer])
    world = outside.run(renew(warm))
    assert world.is_killed("crm")
    assert warm.near.world is world


def flag_set(revision, *, narrows=(), on=False):
    """One flag, that nobody is in."""
    default = "on" if on else "off"
    flag = Flag("new", FlagType.BOOLEAN, {"on": True, "off": False}, default, "off", narrows=narrows)
    return FlagSet(revision, {"new": flag})


FLAGS_CHANGED = LogPage((LogEntry(12, Scope.FLAGS, None, 2),), 12)


def test_a_change_of_flags_reads_the_flags_and_nothing_else(warm):
    """A rollout step re-resolves nobody: what tenants hold stays near."""
    held, world = dict(warm.near.held), warm.near.world
    outside = Outside(poll=FLAGS_CHANGED, flags=flag_set(2))
    outside.run(poll(warm))
    assert outside.asked == ["Poll", "ReadFlags"]
    assert warm.near.held == held
    assert warm.near.world is world
    assert warm.near.flags.revision == 2


def test_a_change_of_flags_beside_one_of_the_switches_reads_the_world_once(warm):
    """The world is read with its flags."""
    both = LogPage((*FLAGS_CHANGED.entries, LogEntry(13, Scope.CONTROLS, None, 2)), 13)
    outside = Outside(poll=both, flags=flag_set(2))
    outside.run(poll(warm))
    assert outside.asked == ["Poll", "ReadCatalog", "ReadControls", "ReadFlags"]


def test_flags_that_narrow_other_keys_make_a_new_world(warm):
    """The keys are marked in the tables, which are then worked out anew."""
    Outside(poll=FLAGS_CHANGED, flags=flag_set(2, narrows=("crm",))).run(poll(warm))
    world = warm.near.world
    assert world.narrowed == {"crm", "crm.export", "crm.import", "crm.report"}
    assert warm.near.held == {}
    Outside().run(hold(warm, "acme"))
    Outside(flags=flag_set(3, narrows=("crm",), on=True)).run(renew_flags(warm))
    assert warm.near.world is world
    assert set(warm.near.held) == {"acme"}


def test_flags_that_were_overtaken_are_read_again(warm):
    """Two read them at once: this process never goes back behind what it has seen."""

    class Overtaken(Outside):
        def answer(self, step):
            if isinstance(step, ReadFlags) and self.asked.count("ReadFlags") == 1:
                found = super().answer(step)
                self.run(renew_flags(warm))
                return found
            return super().answer(step)

    outside = Overtaken(flags=[flag_set(1), flag_set(2), flag_set(2)])
    assert outside.run(renew_flags(warm)).revision == 2
    assert outside.asked.count("ReadFlags") == 3
    assert warm.near.flags.revision == 2


def test_flags_of_a_client_that_was_closed_meanwhile_are_read_with_the_world(warm):
    """It can be used again."""
    warm.near.clear()
    outside = Outside(flags=flag_set(2))
    assert outside.run(renew_flags(warm)).revision == 2
    assert "ReadCatalog" in outside.asked


def test_flags_that_cannot_be_read_leave_the_log_unread(warm):
    """What was not taken in is told again."""
    position = warm.near.position
    with pytest.raises(StoreUnavailable):
        Outside(poll=FLAGS_CHANGED, flags=StoreUnavailable("down")).run(poll(warm))
    assert warm.near.position == position


def test_an_empty_store_is_published_into(setting):
    """Opening with a catalog sells it, when nothing was sold before."""
    given = replace(setting, catalog=Catalog.load(CATALOG))
    outside = Outside(catalog=[None, published_of()])
    outside.run(begin(given))
    assert outside.asked == ["Prepare", "ReadCatalog", "Apply", "Poll", "ReadCatalog", "ReadControls", "ReadFlags"]


def test_two_processes_that_open_an_empty_store_agree(setting):
    """The one that loses the race takes what the other published."""
    given = replace(setting, catalog=Catalog.load(CATALOG))
    conflict = ChangeConflict("somebody was faster", expected=0, found=1)
    outside = Outside(catalog=[None, published_of(), published_of()], apply=conflict)
    outside.run(begin(given))
    assert setting.observer.counts() == {}
    assert setting.near.world is not None


def test_a_store_that_sells_something_else_is_left_alone_and_said(setting, caplog):
    """An old worker that restarts must not publish its old file over the new one."""
    other = Catalog.load({**CATALOG, "default_plan": "none"})
    outside = Outside()
    outside.run(begin(replace(setting, catalog=other)))
    assert "Apply" not in outside.asked
    assert "catalog.differs" in caplog.text


def test_the_same_catalog_is_not_worth_a_word(setting, caplog):
    """Restarting is normal."""
    Outside().run(begin(replace(setting, catalog=Catalog.load(CATALOG))))
    assert caplog.text == ""


def test_a_store_that_sells_nothing_is_a_mistake_of_the_setup(setting):
    """It is said at the first question, with the command to run."""
    with pytest.raises(ConfigurationError, match="payaid catalog publish"):
        Outside(catalog=None).run(read_world(setting))


def test_modes_of_the_controls_reach_the_world(setting):
    """What operators set is part of what answers depend on."""
    world = Outside(controls=Controls().with_mode("crm", OBSERVE)).run(read_world(setting)).world
    assert world.mode_of("crm.export") is OBSERVE


def test_modes_of_the_controls_that_let_through_are_said_once(setting, caplog):
    """Whoever starts a process reads in its log where refusals are not carried out; enforcing is not worth a word."""
    Outside(controls=Controls().with_mode("hr", ENFORCE)).run(read_world(setting))
    assert "enforcement.is_not_on" not in caplog.text

    controls = Controls().with_mode("crm", OBSERVE).with_mode("hr", ENFORCE)
    for _ in range(2):
        Outside(controls=controls).run(read_world(setting))
    said = caplog.text
    assert said.count("enforcement.is_not_on") == 1
    assert "'crm': 'observe'" in said
    assert "'hr'" not in said


def test_a_mode_of_a_module_that_is_not_sold_is_said(setting, caplog):
    """A typo, or a module that was retired: the processes that name it go on, loudly."""
    Outside().run(read_world(replace(setting, modes=Modes({"crn": OBSERVE}))))
    assert "enforcement.unknown_module" in caplog.text


def test_a_host_that_answers_with_something_else_is_told():
    """None is "no subscription"; anything but a Subscription is a mistake."""
    assert hosted(None) == ()
    assert hosted(Subscription("pro"))[0].plan == "pro"
    with pytest.raises(TypeError, match="str"):
        hosted("pro")


def test_seconds_are_seconds():
    """The clock counts seconds, facts count microseconds."""
    assert instant(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == SECOND


def test_who_is_brought_near_holding_what_was_published_a_moment_ago_is_judged_by_it(warm):
    """Read alone, it is."""
    page = LogPage((LogEntry(6, Scope.CATALOG, None, 2),), 6)
    outside = Outside(acme=MIGRATED, poll=[page, LogPage((), 6)], catalog=NEWER)
    assert outside.run(warm_up(warm, ["acme"], None)) == 1
    assert warm.near.held["acme"].table["crm"].source == "plan pro@2"


def test_what_a_store_cannot_promise_is_said_once_when_a_client_begins(setting):
    concern = Concern("what was acknowledged survives losing power", "fsync is off", "ALTER SYSTEM SET fsync = on")
    with capture_logs() as logs:
        for _ in range(2):
            Outside(prepare=(concern, LOST_WITH_THE_PROCESS)).run(begin(setting))
    assert logs == [
        {
            "event": "store.concern",
            "log_level": "warning",
            "promise": concern.promise,
            "found": concern.found,
            "way_out": concern.way_out,
        }
    ]


def test_an_answer_that_nobody_could_confirm_says_its_age_whatever_it_was_that_failed(warm, hand, monkeypatch):
    """It is enough to be told so by whoever has looked at the log."""

    def looked(*_):
        return DOWN
        yield

    monkeypatch.setattr("payaid_entitlements.cache.loading._keep_lease", looked)
    hand.advance(LEASE)
    assert Outside().run(hold(warm, "acme")).age == LEASE
