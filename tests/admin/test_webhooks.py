"""Messages of payment providers: repeated, late, lost and in any order, they come to the same end."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.instant import DAY, instant
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import State
from payaid_entitlements.core.values import DENY
from payaid_entitlements.errors import ConfigurationError, OperationConflict, UnknownPlan
from tests.admin.conftest import SOLD, TODAY, Shop, at, edited, facts
from tests.core.conftest import world_of

# -- the same message again ----

VERBS = [
    ("subscribe", ("big",), {}),
    ("change_plan", ("big",), {}),
    ("change_plan", ("free",), {"when": "period_end"}),
    ("set_add_on", ("more_seats", 2), {}),
    ("cancel", (), {}),
    ("pause", (), {}),
    ("resume", (), {}),
    ("past_due", (TODAY,), {}),
    ("paid", (), {}),
    ("suspend", (), {}),
    ("revoke", (), {}),
    ("reinstate", (), {}),
    ("override", ("seats", 9), {"until": at(1)}),
    ("clear_override", ("seats",), {}),
    ("set_timezone", ("Asia/Kolkata",), {}),
    ("invalidate", (), {}),
    ("forget", (), {}),
]


@pytest.mark.parametrize(("verb", "arguments", "named"), VERBS, ids=[verb for verb, _, _ in VERBS])
def test_a_repeated_operation_is_applied_once(shop, admin, verb, arguments, named):
    """Also days later, when the same words would mean another instant; nothing is written, and nothing differs."""
    admin.subscribe("acme", "pro")
    first = getattr(admin, verb)("acme", *arguments, operation="evt_1", **named)
    assert facts(first) == (True, "change.applied")
    before = shop.document("acme")
    shop.clock.advance(days=2)
    again = getattr(admin, verb)("acme", *arguments, operation="evt_1", **named)
    assert facts(again) == (False, "change.repeated")
    assert (again.id, again.revision, again.altered) == (first.id, first.revision, ())
    assert shop.document("acme") == before


def test_an_operation_names_one_act(shop, admin):
    """Another verb or other arguments with the same operation is a mistake that must not be silent."""
    admin.subscribe("acme", "pro", operation="evt_1")
    for verb, arguments in (("subscribe", ("big",)), ("cancel", ()), ("suspend", ())):
        with pytest.raises(OperationConflict, match="evt_1"):
            getattr(admin, verb)("acme", *arguments, operation="evt_1")
    assert facts(admin.subscribe("globex", "big", operation="evt_1")) == (True, "change.applied")
    assert shop.document("acme").revision == 1


def test_a_repeated_message_does_not_fail_for_what_was_sold_meanwhile(shop, admin):
    """It was right the first time. As the first of its kind it is refused."""
    admin.subscribe("acme", "big", operation="evt_1")
    without = edited()
    del without["plans"]["big"]
    admin.publish(without)
    assert facts(admin.subscribe("acme", "big", operation="evt_1")) == (False, "change.repeated")
    with pytest.raises(UnknownPlan):
        admin.subscribe("acme", "big", operation="evt_2")
    with pytest.raises(UnknownPlan):
        admin.subscribe("acme", "big")


def test_a_repeated_message_is_found_pages_behind(shop, admin):
    """However much happened before it."""
    for number in range(500):
        admin.override("acme", "crm.contacts", number)
    first = admin.subscribe("acme", "pro", operation="evt_1")
    tried = shop.admin(dry_run=True).subscribe("acme", "pro", operation="evt_1")
    assert (facts(tried), tried.id) == ((False, "change.repeated"), first.id)


def test_an_operation_without_effect_is_remembered_too(shop, admin):
    """What was so already when it came the first time must not hold when it comes again."""
    admin.subscribe("acme", "pro")
    assert facts(admin.resume("acme", operation="evt_1")) == (True, "change.applied")
    admin.pause("acme")
    assert facts(admin.resume("acme", operation="evt_1")) == (False, "change.repeated")
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_PAUSED


# -- late messages ----


@pytest.mark.parametrize(("verb", "arguments", "named"), VERBS[:-2], ids=[verb for verb, _, _ in VERBS[:-2]])
def test_a_message_older_than_what_its_source_has_said_changes_nothing(shop, admin, verb, arguments, named):
    """Of the same subject; it says so, and the revision stays."""
    admin.subscribe("acme", "pro", as_of=at(-9))
    getattr(admin, verb)("acme", *arguments, as_of=at(-1), **named)
    before = shop.document("acme")
    late = getattr(admin, verb)("acme", *arguments, as_of=at(-2), **named)
    assert facts(late) == (False, "change.superseded")
    assert (late.id, late.gains, late.losses, late.altered) == (None, (), (), ())
    assert shop.document("acme") == before


def test_superseding_is_by_subject(shop, admin):
    """A late upgrade does not undo a recovery, and the recovery does not stop the upgrade."""
    admin.subscribe("acme", "pro", as_of=at(-9))
    admin.past_due("acme", at(-8), as_of=at(-8))
    admin.paid("acme", as_of=at(-2))
    assert facts(admin.change_plan("acme", "big", as_of=at(-4))) == (True, "change.applied")
    assert facts(admin.past_due("acme", at(-6), as_of=at(-6))) == (False, "change.superseded")
    assert shop.check("acme", "seats").plan == "big"
    assert shop.check("acme", "seats").advisories == ()


def test_a_late_message_holds_from_when_it_was_said(shop, admin):
    """In the past, so that the past is explained as it really was; of a clock that is ahead, from now on."""
    admin.subscribe("acme", "pro", as_of=at(-9))
    change = admin.change_plan("acme", "big", as_of=at(-3))
    assert change.effective_at == at(-3)
    explained = [shop.run(shop.ent.explain("acme", "seats", at=when)).decision.plan for when in (at(-4), at(-3))]
    assert explained == ["pro", "big"]
    assert admin.pause("acme", as_of=TODAY + timedelta(minutes=5)).effective_at == TODAY
    assert shop.check("acme", "books").reason is Reason.SUBSCRIPTION_PAUSED


def test_a_message_from_the_future_is_refused(shop, admin):
    """It would win against all that its source goes on saying."""
    admin.subscribe("acme", "pro")
    with pytest.raises(ConfigurationError, match="is 1440 minutes ahead"):
        admin.past_due("acme", TODAY, as_of=at(1))
    with pytest.raises(ConfigurationError, match="5 minutes ahead"):
        admin.past_due("acme", TODAY, as_of=TODAY + timedelta(minutes=5, microseconds=1))
    assert shop.document("acme").revision == 1


@pytest.mark.parametrize(
    ("by_hand", "late"),
    [
        (("suspend", ()), ("reinstate", ())),
        (("override", ("seats", DENY)), ("override", ("seats", 9))),
        (("override", ("seats", DENY)), ("clear_override", ("seats",))),
        (("change_plan", ("big",)), ("change_plan", ("free",))),
        (("pause", ()), ("pause", (at(9),))),
        (("set_add_on", ("more_seats", 2)), ("set_add_on", ("more_seats", 1))),
        (("set_timezone", ("Asia/Kolkata",)), ("set_timezone", ("Europe/Berlin",))),
    ],
    ids=lambda each: each[0],
)
def test_what_is_done_by_hand_is_not_undone_by_a_message_of_before(shop, admin, by_hand, late):
    """What nobody dates was said when it was done. A message of afterwards counts."""
    admin.subscribe("acme", "pro")
    shop.clock.advance(days=3)
    verb, arguments = by_hand
    getattr(admin, verb)("acme", *arguments)
    before = shop.document("acme")
    shop.clock.advance(hours=1)
    verb, arguments = late
    assert facts(getattr(admin, verb)("acme", *arguments, as_of=at(2))) == (False, "change.superseded")
    assert shop.document("acme") == before
    assert facts(getattr(admin, verb)("acme", *arguments, as_of=at(3.01))) == (True, "change.applied")


def test_a_downgrade_that_is_to_come_does_not_swallow_the_upgrade_before_it(shop, admin):
    """The customer has paid for the time until then."""
    admin.subscribe("acme", "pro", as_of=at(-9))
    assert facts(admin.change_plan("acme", "free", when=at(9), as_of=at(-1))) == (True, "change.applied")
    assert facts(admin.change_plan("acme", "big", as_of=at(-2))) == (True, "change.applied")
    assert shop.check("acme", "seats").plan == "big"
    shop.clock.travel_to(at(9))
    assert shop.check("acme", "seats").plan == "free"


def test_a_message_about_who_was_forgotten_is_superseded(shop, admin):
    """It does not bring back what was erased, whatever it says; the next one who has this name is somebody else."""
    admin.subscribe("acme", "pro", as_of=TODAY, operation="evt_1")
    shop.clock.advance(days=1)
    admin.forget("acme")
    shop.clock.advance(days=1)
    for verb, arguments in (("subscribe", ("pro",)), ("paid", ()), ("suspend", ())):
        late = getattr(admin, verb)("acme", *arguments, as_of=TODAY, operation="evt_1")
        assert facts(late) == (False, "change.superseded")
    assert shop.document("acme").timelines == {}
    assert facts(admin.subscribe("acme", "big", as_of=at(1))) == (True, "change.applied")
    assert shop.check("acme", "seats").plan == "big"


# -- in any order ----

WORLD = world_of(SOLD)
_MESSAGES = st.one_of(
    st.tuples(st.just("subscribe"), st.just(("pro",)), st.sampled_from([{}, {"ends": at(4)}, {"trial": True}])),
    st.tuples(
        st.just("change_plan"),
        st.sampled_from([("free",), ("pro",), ("big",)]),
        st.sampled_from([{}, {"when": at(3)}, {"when": at(7)}]),
    ),
    st.tuples(st.just("set_add_on"), st.tuples(st.just("more_seats"), st.integers(0, 2)), st.just({})),
    st.tuples(st.just("past_due"), st.sampled_from([(at(-3),), (at(-1),), (at(1),)]), st.just({})),
    st.tuples(st.just("cancel"), st.just(()), st.sampled_from([{"when": "now"}, {"when": at(2)}, {"when": at(6)}])),
    st.tuples(st.just("pause"), st.sampled_from([(), (at(3),)]), st.just({})),
    st.tuples(
        st.sampled_from(["resume", "paid", "suspend", "reinstate", "revoke"]),
        st.just(()),
        st.just({}),
    ),
    st.tuples(st.just("override"), st.sampled_from([("seats", 9), ("crm", DENY)]), st.just({"until": at(5)})),
    st.tuples(st.just("clear_override"), st.sampled_from([("seats",), ("crm",)]), st.just({})),
)


@st.composite
def conversations(draw):
    """What a source says, each at an instant of its own, and the order in which that arrives: late, and some twice."""
    said = draw(st.lists(_MESSAGES, max_size=6))
    said = draw(st.permutations(said))
    dated = [(at(number - 20), message) for number, message in enumerate(said)]
    return dated, draw(st.permutations(dated + draw(st.lists(st.sampled_from(dated), max_size=3)) if dated else []))


def told(messages):
    """What a tenant holds, now and later, after *messages*."""
    shop = Shop("sync")
    admin = shop.admin("webhook:payments")
    admin.subscribe("acme", "pro", as_of=at(-30), operation="evt_0")
    for as_of, (verb, arguments, named) in messages:
        shop.clock.advance(seconds=1)
        getattr(admin, verb)("acme", *arguments, as_of=as_of, operation=f"evt_{as_of}", **named)
    now = instant(shop.clock.now())
    segments = resolve(shop.document("acme"), WORLD, now, now + 40 * DAY)
    shop.close()
    return [
        (segment.until, segment.standpoint.plan, segment.standpoint.state, _answers(segment.standpoint))
        for segment in segments
    ]


def _answers(standpoint):
    return [
        (table[key].allowed, table[key].reason, table[key].value)
        for table in (standpoint.write, standpoint.read)
        for key in (*SOLD.modules, *SOLD.features)
    ]


UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def can_be_exchanged(conversation):
    """
    Can they arrive in this order? See `payaid_entitlements.core.changing`: what looks like the purchase of a trial must
    not arrive before the subscription by which the trial had been replaced.
    """
    said, arrived = conversation
    begun = [message for message in said if message[1][0] == "subscribe"]
    trials = [message for message in begun if message[1][2].get("trial")]
    others = [message for message in begun if message not in trials]
    bought = [message for message in said if message[1][0] == "change_plan"]
    return not any(
        trial[0] < other[0] < change[0] and arrived.index(other) > max(arrived.index(trial), arrived.index(change))
        for trial in trials
        for other in others
        for change in bought
    )


@UNHURRIED
@given(conversations().filter(can_be_exchanged))
def test_messages_in_any_order_and_twice_come_to_the_same_end(conversation):
    """What a source said last holds, whatever order its messages arrive in."""
    said, arrived = conversation
    assert told(arrived) == told(said)


def test_what_cannot_be_exchanged_is_known():
    """A purchase that arrived while a trial ran takes back what was cancelled, also where it turns out to be none."""
    said = [
        (at(-20), ("subscribe", ("pro",), {"trial": True})),
        (at(-19), ("subscribe", ("pro",), {})),
        (at(-18), ("cancel", (), {"when": "now"})),
        (at(-17), ("change_plan", ("free",), {})),
    ]
    arrived = [said[0], said[3], said[2], said[1]]
    assert can_be_exchanged((said, said))
    assert not can_be_exchanged((said, arrived))
    assert [states for _, _, states, _ in told(said)] == [State.CANCELLED]
    assert [states for _, _, states, _ in told(arrived)] == [State.ACTIVE]


@pytest.mark.soak
@settings(UNHURRIED, max_examples=5_000)
@given(conversations().filter(can_be_exchanged))
def test_thousands_of_conversations_come_to_the_same_end(conversation):
    """The same, for long."""
    said, arrived = conversation
    assert told(arrived) == told(said)
