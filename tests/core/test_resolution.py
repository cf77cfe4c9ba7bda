"""From facts to answers: segments, shared tables and overlays."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.catalog.model import Access
from payaid_entitlements.core.controls import OBSERVE, Controls
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.evaluation import Evaluation
from payaid_entitlements.core.facts import NewFact
from payaid_entitlements.core.instant import DAY, LATEST
from payaid_entitlements.core.resolution import (
    MOST_SEGMENTS,
    MOST_TABLES,
    next_transition,
    resolve,
    situation,
    standpoint,
)
from payaid_entitlements.core.subscription import State, Terms, Times, subject
from payaid_entitlements.core.values import DENY, Allowance
from payaid_entitlements.core.world import World
from payaid_entitlements.errors import StoreDamaged
from tests.core.conftest import NOW, granted, override, status, sub, tenant, world_of
from tests.core.generated import KEYS, PUBLISHED, controls, days, documents

WORLD = world_of()


def stand(document, world=WORLD, at=NOW, user=None):
    """What holds at an instant."""
    return resolve(document, world, at, at + 1, user=user)[0].standpoint


def answers(of):
    """All that a standpoint answers about the example catalog."""
    return [(of.write[key], of.read[key]) for key in KEYS], of.plan, of.state, of.modules


@settings(deadline=None)
@given(documents, controls, days, st.sampled_from([None, "u"]))
def test_segments_tile_the_time_and_agree_with_every_instant_inside(document, switches, at, user):
    """Each segment ends where the next begins; inside of one, resolving anew says the same."""
    world = World.of(PUBLISHED, switches)
    horizon = at + 30 * DAY
    segments = resolve(document, world, at, horizon, user=user)
    assert 1 <= len(segments) <= MOST_SEGMENTS
    begins = at
    for number, segment in enumerate(segments):
        is_last = number == len(segments) - 1
        end = segment.until if segment.until is not None else horizon + DAY
        assert begins < end
        assert is_last or (segment.until is not None and end < horizon)
        for inside in {begins, (begins + end) // 2, end - 1}:
            assert answers(stand(document, world, inside, user)) == answers(segment.standpoint)
        begins = end
    assert begins >= horizon or len(segments) == MOST_SEGMENTS


def test_an_override_can_reach_what_is_in_it_and_what_requires_it():
    """However far, and nothing else: the rest is not even decided again."""
    assert WORLD.dependents["crm.export"] == ("crm.export", "books.close", "books.audit")
    assert WORLD.dependents["seats"] == ("seats",)
    assert WORLD.dependents["old"] == ("old", "old.fax")
    every = {*WORLD.catalog.modules, *WORLD.catalog.features}
    assert set(WORLD.dependents["crm"]) == every - {"old", "old.fax", "seats"}


def test_what_an_override_does_not_change_stays_shared():
    """There may be a hundred thousand tenants with one."""
    world = world_of()
    shared, over = stand(tenant(sub("pro")), world), stand(tenant(sub("pro"), override("seats", Allowance(9))), world)
    assert over.modules is shared.modules
    assert over.situation.held is shared.situation.held
    assert dict(over.write) == {"seats": over.write["seats"]}


def test_a_module_that_an_override_takes_or_gives_is_counted_so():
    """Also those that require it."""
    assert stand(tenant(sub("pro"), override("crm", DENY))).modules == {"old"}
    assert stand(tenant(override("books", True))).modules == {"crm", "books"}


@settings(deadline=None)
@given(documents, controls, days, st.sampled_from([None, "u"]))
def test_an_overlay_is_the_same_as_deciding_everything(document, switches, at, user):
    """What is shared plus what is overlaid answers each key as the rules do for this tenant alone."""
    world = World.of(PUBLISHED, switches)
    of = situation(document, world, at, user=user)
    found = standpoint(of, world)
    write, read = Evaluation(world, of, "write"), Evaluation(world, of, "read")
    for key in KEYS:
        assert found.write[key] == write.decide(key)
        assert found.read[key] == read.decide(key)
    assert found.situation == of
    assert found.modules == {key for key in world.catalog.modules if read.decide(key).allowed}


@settings(deadline=None)
@given(documents, documents, days)
def test_a_tenant_never_changes_another_ones_answers(one, other, at):
    """Whoever was asked about before in the same world, and whatever overrides they have, nothing differs."""
    alone = answers(stand(other, World.of(PUBLISHED, Controls()), at))
    world = World.of(PUBLISHED, Controls())
    before = answers(stand(one, world, at))
    assert answers(stand(other, world, at, "u")) and answers(stand(other, world, at)) == alone
    assert answers(stand(one, world, at)) == before


def test_tenants_of_one_shape_share_their_tables():
    """Same plan version, add-ons and standing: the same objects, however many tenants."""
    world = world_of()
    one = stand(tenant(sub("pro", ends=NOW + 30 * DAY), name="one"), world)
    two = stand(tenant(sub("pro", anchor=5), name="two"), world)
    other = stand(tenant(sub("pro", add_ons={"more_seats": 1})), world)
    assert one is two
    assert one.write is two.write and one.read is two.read
    assert other.write is not one.write
    assert len(world.tables) == 2


def test_shapes_without_end_are_not_kept_without_end():
    """Each quantity of an add-on is a shape: what is kept for others is bounded, what is held stays right."""
    world = world_of()
    first = stand(tenant(sub("pro", add_ons={"more_seats": 1})), world)
    for quantity in range(2, MOST_TABLES + 3):
        stand(tenant(sub("pro", add_ons={"more_seats": quantity})), world)
    assert len(world.tables) == 2
    assert answers(stand(tenant(sub("pro", add_ons={"more_seats": 1})), world)) == answers(first)


def test_reading_and_writing_share_a_table_where_they_do_not_differ():
    """Only a read-only stage needs two."""
    assert stand(tenant(sub("pro"))).write is stand(tenant(sub("pro"))).read
    resting = stand(tenant(sub("pro", paused_from=NOW)))
    assert resting.write is not resting.read


def test_an_overlay_holds_only_what_differs():
    """An override costs what it changes, and asks the shared table for the rest."""
    world = world_of()
    shared = stand(tenant(sub("pro")), world)
    before = dict(shared.write)
    over = stand(tenant(sub("pro"), override("seats", Allowance(9))), world)
    assert dict(over.write) == {"seats": over.write["seats"]}
    assert over.write.base is shared.write
    assert over.read is over.write
    assert over.write["crm"] is shared.write["crm"]
    assert dict(shared.write) == before
    resting = stand(tenant(sub("pro", paused_from=NOW), override("seats", Allowance(9))), world)
    assert resting.read is not resting.write
    assert (resting.write["crm"].allowed, resting.read["crm"].allowed) == (False, True)


def test_waiting_times_are_each_tenants_own():
    """Two who share their decisions because nothing has begun yet still wait for different days."""
    world = world_of()
    one = stand(tenant(sub("pro", starts=NOW + 5), name="one"), world)
    two = stand(tenant(sub("pro", starts=NOW + 9), name="two"), world)
    assert one.write is two.write
    assert [[when for when, _ in each.situation.coming] for each in (one, two)] == [[NOW + 5], [NOW + 9]]
    (shape,) = world.tables.values()
    assert shape.situation.coming == ()


def test_names_of_subscriptions_are_each_tenants_own():
    """Whatever they are called, they share their decisions; a remedy names the right one, under an override too."""
    world = world_of()
    named = [stand(tenant(sub("pro", name), name=name), world) for name in ("main", "team", "other")]
    over = stand(tenant(sub("pro", "team"), override("seats", Allowance(9))), world)
    assert len({id(each.write) for each in named}) == len(world.tables) == 1
    assert [each.situation.held[0].name for each in (*named, over)] == ["main", "team", "other", "team"]
    assert over.write.base is named[0].write


def test_a_key_that_nobody_knows_is_refused_and_not_remembered():
    """Wrong keys come without end; each gets a refusal, and the shared table does not grow."""
    over = stand(tenant(override("seats", Allowance(9)))).write
    size = len(over), len(over.base)
    assert (over["crm.exprot"].reason, over["crm.telex"].reason) == (
        Reason.CATALOG_UNKNOWN,
        Reason.CATALOG_RETIRED,
    )
    assert not over["crm.exprot"].allowed and not over["crm.telex"].allowed
    assert (len(over), len(over.base)) == size


@pytest.mark.parametrize("key", [None, 7, b"crm", ("crm",)])
def test_a_key_is_a_str(key):
    """Another type is a mistake of the code, not a feature that is not sold."""
    with pytest.raises(TypeError, match="a feature's key is a str"):
        stand(tenant()).write[key]


@pytest.mark.parametrize(
    ("facts", "plan", "state"),
    [
        ([], "free", None),
        ([sub("pro")], "pro", State.ACTIVE),
        ([sub("pro", trial_end=NOW + DAY)], "pro", State.TRIALING),
        ([sub("pro", ends=NOW)], "free", State.ENDED),
        ([sub("pro", "a"), sub("big", "b")], "big", State.ACTIVE),
        ([sub("pro", "a"), sub("big", "b", ends=NOW)], "pro", State.ACTIVE),
        ([sub("pro", past_due_since=NOW - 8 * DAY)], "pro", State.PAST_DUE),
        ([sub("pro", past_due_since=NOW - 30 * DAY)], "free", State.PAST_DUE),
    ],
)
def test_a_standpoint_names_the_plan_in_force(facts, plan, state):
    """The highest plan in force, else the default plan; the state says what became of the subscription."""
    found = stand(tenant(*facts))
    assert (found.plan, found.state) == (plan, state)


def test_without_a_default_plan_there_is_no_plan():
    """A tenant of whom nothing is known holds nothing then."""
    world = World.of(world_of({"catalog": 1, "modules": {"crm": {}}, "default_plan": "none"}).published, Controls())
    assert (stand(tenant(), world).plan, stand(tenant(), world).modules) == (None, frozenset())


def test_modules_are_those_that_may_be_used_at_least_for_reading():
    """A read-only stage keeps its modules; a softened refusal counts as usable too."""
    late = tenant(sub("pro", past_due_since=NOW - 8 * DAY))
    assert stand(late).modules == {"crm", "books", "old"}
    assert stand(tenant(), world_of(controls=Controls().with_mode("books", OBSERVE))).modules == {
        "crm",
        "books",
    }


def test_what_is_decided_for_later_comes_as_a_segment():
    """A scheduled plan and a trial's end are known now: crossing them asks nobody."""
    facts = [
        *sub("pro", trial_end=NOW + 10 * DAY),
        NewFact(subject("main", "plan"), NOW + DAY, {"plan": "big", "version": 1}),
    ]
    segments = resolve(tenant(facts), WORLD, NOW, NOW + 20 * DAY)
    assert [(segment.until, segment.standpoint.plan) for segment in segments] == [
        (NOW + DAY, "pro"),
        (NOW + 3 * DAY, "big"),
        (NOW + 10 * DAY, "big"),
        (None, "free"),
    ]


def test_beyond_the_horizon_nothing_is_prepared():
    """The first transition is told even when it is far; what follows it is not worked out."""
    document = tenant(sub("pro", starts=NOW - 9, ends=NOW + 100 * DAY))
    (segment,) = resolve(document, WORLD, NOW, NOW + DAY)
    assert segment.until == NOW + 93 * DAY


def test_a_tenant_with_many_transitions_gets_the_next_few():
    """A document full of plans for the future does not fill the memory."""
    facts = [NewFact(("status",), NOW + day * DAY, None if day % 2 else "suspended") for day in range(1, 50)]
    assert len(resolve(tenant(facts), WORLD, NOW, NOW + 100 * DAY)) == MOST_SEGMENTS == 8


def test_only_overrides_that_concern_the_asked_user_are_transitions():
    """The end of another user's override does not end what is known of this one."""
    document = tenant(override("seats", DENY, user="v", until=NOW + 5), override("crm", True, until=NOW + 9))
    assert next_transition(document, WORLD, NOW, user="u") == NOW + 9
    assert next_transition(document, WORLD, NOW, user="v") == NOW + 5
    assert next_transition(document, WORLD, NOW) == NOW + 9
    assert next_transition(document, WORLD, NOW + 9) is None


def test_what_lies_behind_the_last_instant_never_comes():
    """A grace that would end after the year 9999 has no end."""
    document = tenant(sub("pro", past_due_since=LATEST - DAY))
    assert next_transition(document, WORLD, LATEST - DAY) is None


def test_subscriptions_of_the_host_replace_those_of_the_document():
    """Where the host keeps plans, only it says what is held; overrides and status still count."""
    document = tenant(sub("big"), override("seats", Allowance(9)))
    host = (Terms("host", "pro", None, (), Times(trial_end=NOW + 5)),)
    segments = resolve(document, WORLD, NOW, NOW + 9, host=host)
    assert [(each.until, each.standpoint.plan) for each in segments] == [(NOW + 5, "pro"), (None, "free")]
    assert segments[0].standpoint.write["seats"].value == Allowance(9)
    assert resolve(document, WORLD, NOW, NOW + 9, host=())[0].standpoint.plan == "free"


def test_a_status_that_was_lifted_is_none():
    """What was bought counts again."""
    assert situation(tenant(status(None)), WORLD, NOW).status is None


@pytest.mark.parametrize("word", ["", "fine", 7, False, ["suspended"]])
def test_a_status_that_nobody_knows_gives_nothing(word):
    """It may be a suspension in the words of a newer release: no answer is made of the rest."""
    with pytest.raises(StoreDamaged, match="status of tenant 'acme'"):
        situation(tenant(status(word)), WORLD, NOW)


@pytest.mark.parametrize(
    "fact",
    [
        "deny",
        7,
        {"to": None, "until": None},
        {"to": {"deny": False}, "until": None},
        {"to": {"decimal": "many"}, "until": None},
        {"to": {"limit": {"deny": True}, "per": None}, "until": None},
        {"to": {"limit": 1, "per": "moth"}, "until": None},
        {"to": True, "until": "soon"},
        {"to": True},
        {"until": None},
    ],
)
def test_an_override_that_cannot_be_read_gives_nothing(fact):
    """It may be a refusal; another user's does not matter."""
    says = f"override seats of tenant 'acme' is damaged, or of a newer release: {str(fact)!r}"
    with pytest.raises(StoreDamaged, match=re.escape(says)):
        situation(tenant(NewFact(("override", "seats"), 0, fact)), WORLD, NOW)
    of_one = tenant(NewFact(("override", "seats", "u"), 0, fact))
    with pytest.raises(StoreDamaged):
        situation(of_one, WORLD, NOW, user="u")
    assert situation(of_one, WORLD, NOW, user="v").overrides is None


def test_the_highest_plan_comes_first():
    """Subscriptions are ordered by the rank of their plans, not by their names."""
    held = situation(tenant(sub("free", "a"), sub("big", "b"), sub("pro", "c")), WORLD, NOW).held
    assert [each.source.plan.key for each in held] == ["big", "pro", "free"]
    assert all(each.standing.access is Access.FULL for each in held)


@settings(deadline=None)
@given(documents, controls)
def test_every_answer_names_the_key_that_was_asked(document, switches):
    """Whatever decided: refusals are told to customers by it."""
    world = World.of(PUBLISHED, switches)
    stand = resolve(document, world, NOW, NOW + 1)[0].standpoint
    for key in (*KEYS, "nothing"):
        assert (stand.write[key].feature, stand.read[key].feature) == (key, key)


def test_an_override_does_not_hide_the_state():
    """Nor what state the trial is in, nor that a module is worth just that it is held."""
    document = tenant(sub("pro", trial_end=NOW + DAY), override("seats", Allowance(9)))
    stand = resolve(document, WORLD, NOW, NOW + 1)[0].standpoint
    assert (stand.state, stand.plan, stand.write["books"].value) == (State.TRIALING, "pro", True)
    ended = resolve(document, WORLD, NOW + DAY, NOW + DAY + 1)[0].standpoint
    assert (ended.state, ended.plan) == (State.TRIAL_ENDED, "free")


def test_what_was_granted_of_what_is_sold_anyway_costs_no_table():
    """Its decisions are those of everybody on the plan: only what differs is a tenant's own."""
    world = world_of()
    plain, more, other = (
        standpoint(situation(tenant(sub("pro"), *facts), world, NOW), world)
        for facts in ([], granted("crm.calls", 5), [override("seats", Allowance(7))])
    )
    assert more.write is plain.write and more.read is plain.read
    assert more.situation.granted == {"crm.calls"}
    assert other.write is not plain.write
    gone = standpoint(situation(tenant(sub("free"), granted("crm.calls", 5)), world, NOW), world)
    assert gone.write["crm.calls"].reason is Reason.GRANT_HELD
