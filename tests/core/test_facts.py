"""Facts and the tenant document: what is known, from when on, since when it is known."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.facts import (
    KEPT_BEHIND,
    KEPT_NOTHING,
    Fact,
    NewFact,
    Outcome,
    Recorded,
    TenantDocument,
    Timeline,
    record,
    recorded_from_json,
    recorded_to_json,
    replay,
    trimmed,
)
from payaid_entitlements.core.instant import HOUR
from payaid_entitlements.core.undoing import restored
from payaid_entitlements.errors import StoreDamaged

PLAN, STATUS = ("subscription", "main", "plan"), ("status",)
EMPTY = TenantDocument("acme")

subjects = st.sampled_from([PLAN, STATUS, ("override", "seats", "a:b"), ("override", "seats")])
json_values = st.none() | st.integers(0, 3) | st.text(max_size=2) | st.just({"to": {"deny": True}, "until": 5})
#: A change: how long after the one before, its facts relative to it, and what a source says of its time.
changes = st.tuples(
    st.integers(0, 3 * HOUR),
    st.lists(st.tuples(subjects, st.integers(-4 * HOUR, 4 * HOUR), json_values), min_size=1, max_size=3),
    st.none() | st.integers(-2 * HOUR, 0),
)


def recorded_one_by_one(steps):
    """Record changes as they come; give the document, what each recorded, and the instant of the last."""
    now, document, log = 100 * HOUR, EMPTY, []
    for wait, facts, said in steps:
        now += wait
        new = [NewFact(subject, now + since, value) for subject, since, value in facts]
        outcome = record(document, new, recorded=now, as_of=None if said is None else now + said)
        if outcome.recorded:
            log.append((outcome.document.revision, now, outcome.recorded))
        document = outcome.document
    return document, log, now


def instants(document: TenantDocument, start: int) -> list[int]:
    """Where something may change from *start* on, and the microseconds around."""
    marks = {start, *(fact.since for line in document.timelines.values() for fact in line.facts)}
    return sorted({at for mark in marks for at in (mark - 1, mark, mark + 1) if at >= start})


def test_a_fact_holds_from_its_beginning_until_a_later_one():
    """Beginnings are inclusive; before the first fact nothing is known."""
    known = record(EMPTY, [NewFact(PLAN, 10, "a"), NewFact(PLAN, 20, "b")], recorded=0).document
    assert [known.value(PLAN, at) for at in (9, 10, 19, 20, 99)] == [None, "a", "a", "b", "b"]
    assert known.value(STATUS, 99) is None


def test_a_new_fact_replaces_what_was_said_from_its_beginning_on():
    """What was planned for later is dropped, the past stays, and both are told."""
    known = record(EMPTY, [NewFact(PLAN, 10, "a"), NewFact(PLAN, 30, "b")], recorded=0).document
    outcome = record(known, [NewFact(PLAN, 20, "c")], recorded=1)
    assert [outcome.document.value(PLAN, at) for at in (10, 20, 30)] == ["a", "c", "c"]
    assert outcome.recorded == (Recorded(PLAN, 20, "c", before="a", replaced=((30, "b"),), said=1),)


def test_a_fact_of_the_same_instant_replaces_the_one_before():
    """Of two facts that begin together the later one holds; the earlier one is what was before."""
    known = record(EMPTY, [NewFact(PLAN, 10, "a")], recorded=0).document
    outcome = record(known, [NewFact(PLAN, 10, "b")], recorded=0)
    assert outcome.document.timelines[PLAN].facts == (Fact(10, "b", 0, 2, 0),)
    assert outcome.recorded == (Recorded(PLAN, 10, "b", before="a", said=0),)


def test_a_change_counts_once_however_many_facts_it_has():
    """One change, one revision; each fact knows when and by which revision it was written."""
    outcome = record(EMPTY, [NewFact(PLAN, 5, "a"), NewFact(STATUS, 6, "suspended")], recorded=7)
    assert outcome.document.revision == 1
    assert outcome.document.timelines[STATUS].facts == (Fact(6, "suspended", 7, 1, 7),)


def test_what_is_older_than_what_its_source_said_is_superseded():
    """A late message changes nothing about its subject, and the document stays the very same."""
    known = record(EMPTY, [NewFact(PLAN, 10, "new")], recorded=20, as_of=10).document
    late = record(known, [NewFact(PLAN, 5, "old")], recorded=21, as_of=5)
    assert late.document is known
    assert late.recorded == ()


def test_superseding_is_by_fact():
    """A late upgrade does not undo a recovery: the suspension before it is in the past, the upgrade holds."""
    known = record(EMPTY, [NewFact(STATUS, 10, None)], recorded=20, as_of=10).document
    late = record(known, [NewFact(STATUS, 5, "suspended"), NewFact(PLAN, 5, "pro")], recorded=21, as_of=5)
    assert late.document.value(STATUS, 30) is None
    assert late.document.value(PLAN, 30) == "pro"
    assert [late.document.value(STATUS, at) for at in (4, 5, 9, 10)] == [None, "suspended", "suspended", None]


def test_two_facts_of_one_message_about_one_subject_are_both_applied():
    """They share one instant of their source; neither supersedes the other."""
    both = record(EMPTY, [NewFact(PLAN, 10, "a"), NewFact(PLAN, 20, "b")], recorded=0, as_of=10).document
    assert [both.value(PLAN, at) for at in (10, 20)] == ["a", "b"]


def test_a_late_message_holds_until_what_was_said_after_it_begins():
    """The upgrade of the 5th arrives after the downgrade "from the 30th on" of the 6th: neither is lost."""
    planned = record(EMPTY, [NewFact(PLAN, 30, "starter")], recorded=7, as_of=6).document
    late = record(planned, [NewFact(PLAN, 5, "pro")], recorded=8, as_of=5)
    assert [late.document.value(PLAN, at) for at in (4, 5, 29, 30)] == [None, "pro", "pro", "starter"]
    assert late.recorded == (Recorded(PLAN, 5, "pro", kept=((30, "starter"),), said=5),)


def test_what_was_planned_before_a_later_word_is_superseded():
    """A message of the 1st that plans for the 30th arrives after one of the 6th that holds from then on."""
    known = record(EMPTY, [NewFact(PLAN, 6, "pro")], recorded=7, as_of=6).document
    assert record(known, [NewFact(PLAN, 30, "free")], recorded=8, as_of=1) == Outcome(known, ())


def test_what_nobody_dates_was_said_when_it_was_recorded():
    """An older message of a source does not lift it; a newer one does."""
    by_hand = record(EMPTY, [NewFact(STATUS, 20, "suspended")], recorded=20).document
    assert record(by_hand, [NewFact(STATUS, 9, None)], recorded=22, as_of=9) == Outcome(by_hand, ())
    newer = record(by_hand, [NewFact(STATUS, 21, None)], recorded=22, as_of=21).document
    assert newer.value(STATUS, 22) is None


def test_what_nobody_dates_holds_against_a_source_whose_clock_is_ahead():
    """Or against a host whose clock is: what somebody does by hand is never lost without a word."""
    ahead = record(EMPTY, [NewFact(STATUS, 20, None)], recorded=20, as_of=25).document
    by_hand = record(ahead, [NewFact(STATUS, 21, "suspended")], recorded=21).document
    assert by_hand.value(STATUS, 21) == "suspended"
    behind = record(by_hand, [NewFact(STATUS, 15, "revoked")], recorded=15)
    assert behind.document.value(STATUS, 30) == "revoked"
    assert behind.recorded[0].said == 25


def test_that_there_is_nothing_is_known_for_thirty_days():
    """So late a message may come and still lose against it; then the document forgets it."""
    known = record(EMPTY, [NewFact(STATUS, 0, None), NewFact(PLAN, 0, "a")], recorded=0).document
    over = KEPT_NOTHING + KEPT_BEHIND
    assert STATUS in record(known, [NewFact(PLAN, 1, "b")], recorded=over - 1).document.timelines
    assert STATUS not in record(known, [NewFact(PLAN, 1, "b")], recorded=over).document.timelines


#: Messages, each said at another instant, with what each says from when on.
laws = st.lists(
    st.tuples(
        st.integers(0, 30),
        st.lists(st.tuples(st.sampled_from([PLAN, STATUS]), st.integers(0, 40), st.integers(0, 5)), max_size=3),
    ),
    max_size=7,
    unique_by=lambda message: message[0],
)


def by_the_law(messages, subject, at):
    """The law in its own words: of all that has begun, what was said last; in one message the last one."""
    begun = [
        (said, place, value)
        for said, facts in messages
        for place, (about, since, value) in enumerate(facts)
        if about == subject and since <= at
    ]
    return max(begun)[2] if begun else None


@given(laws.flatmap(st.permutations))
def test_in_whatever_order_messages_arrive_what_was_said_last_holds(messages):
    """At every instant, of what has begun; the text and the replayed history answer the same."""
    document, log = EMPTY, []
    for said, facts in messages:
        outcome = record(document, [NewFact(*fact) for fact in facts], recorded=-1, as_of=said)
        if outcome.recorded:
            log.append((outcome.document.revision, -1, outcome.recorded))
        document = TenantDocument.from_json(outcome.document.to_json(), tenant="acme")
    whole = replay("acme", log)
    for at in range(42):
        for subject in (PLAN, STATUS):
            expected = by_the_law(messages, subject, at)
            assert (document.value(subject, at), whole.value(subject, at)) == (expected, expected)


@given(laws.flatmap(lambda sent: st.tuples(st.just(sent), st.permutations(sent))), st.integers(0, 3 * HOUR))
def test_messages_that_arrive_as_time_goes_by_come_to_the_same_end(orders, pace):
    """Also where what ended has left the document: from the last arrival on nothing differs."""
    minute, start = HOUR // 60, HOUR
    ends = []
    for order in orders:
        document, now = EMPTY, start
        for said, facts in order:
            new = [NewFact(subject, since * minute, value) for subject, since, value in facts]
            document = record(document, new, recorded=now, as_of=said * minute).document
            now += pace
        ends.append([document.value(subject, at) for subject in (PLAN, STATUS) for at in (now, now + 40 * minute)])
    assert ends[0] == ends[1]


@given(st.lists(changes, max_size=8))
def test_the_history_answers_like_the_document(steps):
    """Replaying all changes answers as the trimmed document does, for every instant from an hour ago on."""
    document, log, now = recorded_one_by_one(steps)
    whole = replay("acme", log)
    assert whole.revision == document.revision
    for at in instants(whole, now - KEPT_BEHIND):
        for subject in {*document.timelines, *whole.timelines}:
            assert document.value(subject, at) == whole.value(subject, at)


@given(st.lists(changes, max_size=8), st.integers(-5 * HOUR, 5 * HOUR))
def test_trimming_never_changes_an_answer(steps, shift):
    """What ended before an instant may go: for that instant and all later ones nothing changes."""
    document, _, now = recorded_one_by_one(steps)
    before = now + shift
    small = trimmed(document, before)
    for at in instants(document, before):
        for subject in document.timelines:
            assert small.value(subject, at) == document.value(subject, at)
    assert {subject: line.said for subject, line in small.timelines.items()} == {
        subject: line.said for subject, line in document.timelines.items() if subject in small.timelines
    }


def test_trimming_forgets_what_is_over():
    """Facts that were replaced leave the document; that there is nothing stays for a while."""
    facts = [
        NewFact(PLAN, 10, "a"),
        NewFact(PLAN, 20, "b"),
        NewFact(STATUS, 10, None),
        NewFact(PLAN, 50, "c"),
    ]
    small = trimmed(record(EMPTY, facts, recorded=0).document, 30)
    assert {subject: [fact.value for fact in line.facts] for subject, line in small.timelines.items()} == {
        PLAN: ["b", "c"],
        STATUS: [None],
    }


def test_a_change_drops_what_ended_more_than_an_hour_ago():
    """A host whose clock is an hour behind still finds what it needs, and documents stay small."""
    known = record(EMPTY, [NewFact(PLAN, 0, "a"), NewFact(PLAN, 10, "b")], recorded=0).document
    kept = record(known, [NewFact(STATUS, 0, "x")], recorded=9 + KEPT_BEHIND).document
    gone = record(known, [NewFact(STATUS, 0, "x")], recorded=10 + KEPT_BEHIND).document
    assert [len(document.timelines[PLAN].facts) for document in (kept, gone)] == [2, 1]


messages = st.lists(
    st.tuples(subjects, st.integers(0, 20), json_values), max_size=8, unique_by=lambda message: message[:2]
)


@given(messages.flatmap(lambda sent: st.tuples(st.just(sent), st.permutations(sent))))
def test_messages_come_to_the_same_end_in_any_order(orders):
    """Of each subject the newest message holds in the end, in whatever order they arrive."""
    ends = []
    for order in orders:
        document = EMPTY
        for subject, said, value in order:
            document = record(document, [NewFact(subject, said, value)], recorded=30, as_of=said).document
        ends.append({subject: document.value(subject, 30) for subject, _, _ in order})
    assert ends[0] == ends[1]
    newest = {subject: value for subject, _, value in sorted(orders[0], key=lambda message: message[1])}
    assert ends[0] == newest


@given(st.lists(changes, max_size=5), changes, st.integers(0, 3 * HOUR))
def test_what_was_recorded_can_be_undone_exactly(steps, change, later):
    """From the instant of undoing on, every subject is what it would be without the change."""
    document, _, now = recorded_one_by_one(steps)
    facts = sorted((NewFact(s, now + since, value) for s, since, value in change[1]), key=lambda fact: fact.since)
    outcome = record(document, facts, recorded=now)
    then = now + later
    undone = record(outcome.document, restored(outcome.recorded, then), recorded=then).document
    for at in {*instants(document, then), *instants(outcome.document, then)}:
        for subject in {*document.timelines, *outcome.document.timelines}:
            assert undone.value(subject, at) == document.value(subject, at)


@given(st.lists(changes, max_size=6))
def test_a_document_comes_back_from_its_text(steps):
    """The same text is in the row, in every cache and in a snapshot; nothing gets lost on the way."""
    document, _, _ = recorded_one_by_one(steps)
    again = TenantDocument.from_json(document.to_json(), tenant="acme")
    assert again == document
    assert again.to_json() == document.to_json()
    assert TenantDocument.from_json(document.to_json().encode(), tenant="acme") == document


@given(st.lists(changes, max_size=4))
def test_what_was_recorded_comes_back_from_its_text(steps):
    """The audit trail keeps every fact with what it replaced."""
    _, log, _ = recorded_one_by_one(steps)
    for _, _, facts in log:
        assert recorded_from_json(recorded_to_json(facts)) == facts


def test_the_parts_of_a_subject_are_never_joined():
    """A feature and a user with any separator in them cannot be mistaken for another pair."""
    one, other = ("override", "a", "b:c"), ("override", "a:b", "c")
    known = record(EMPTY, [NewFact(one, 0, 1), NewFact(other, 0, 2)], recorded=0).document
    again = TenantDocument.from_json(known.to_json(), tenant="acme")
    assert (again.value(one, 0), again.value(other, 0)) == (1, 2)


KNOWN = TenantDocument("acme", 3, 2, {PLAN: Timeline((Fact(1, "a", 7, 1, 5), Fact(9, None, 7, 1, 5)))}, 4)
TEXT = json.loads(KNOWN.to_json())


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '"text"',
        json.dumps({**TEXT, "schema": 2}),
        json.dumps({**TEXT, "tenant": "other"}),
        json.dumps({**TEXT, "revision": None}),
        json.dumps({**TEXT, "facts": None}),
        json.dumps({**TEXT, "facts": [[1, 2, 3]]}),
        json.dumps({**TEXT, "facts": [[["status"], [[1, 2, 3]]]]}),
        json.dumps({**TEXT, "facts": [[["status"], [[2, "suspended"]]]]}),
        json.dumps({**TEXT, "facts": [[["status"], [[-1, "suspended"]]]]}),
        json.dumps({**TEXT, "facts": [[["status"], [[1, "suspended"], [0, None]]]]}),
        json.dumps({**TEXT, "facts": [[["status"], [[0, "suspended"], [0, None]]]]}),
        json.dumps({**TEXT, "stamps": [[1, 6, 7, 1], [9, 5, 7, 1]]}),
        json.dumps({**TEXT, "stamps": [[1, 5, 7], [9, 5, 7, 1]]}),
        json.dumps({**TEXT, "stamps": [[1, 5, 7, 1], [2**62, 5, 7, 1]]}),
        json.dumps({**TEXT, "forgotten": "yesterday"}),
        json.dumps({**TEXT, "facts": [[["status"], "5"]]}),
        json.dumps({**TEXT, "facts": [[["status"], [[0, None]], []]]}),
        json.dumps({key: value for key, value in TEXT.items() if key != "generation"}),
        json.dumps(TEXT)[:-5],
        b"\xff\xfe",
    ],
)
def test_a_document_that_is_damaged_or_of_somebody_else_is_refused(text):
    """The store has no answer then, which never means "not entitled"; and never are facts of another tenant read."""
    with pytest.raises(StoreDamaged, match="tenant 'acme'"):
        TenantDocument.from_json(text, tenant="acme")


@pytest.mark.parametrize(
    ("path", "is_subject"),
    [
        (["status"], True),
        (["status", 5], False),
        ([], False),
        ([["status"]], False),
        (["override", "a"], True),
        (["override", "a", "b"], True),
        (["override"], False),
        (["override", "a", "b", "c"], False),
        (["grant", "a"], True),
        (["grant"], False),
        (["grant", "a", "b"], False),
        (["subscription", "main", "plan"], True),
        (["subscription", "main"], False),
        (["subscription", "main", "add_on", "a"], True),
        (["subscription", "main", "add_on"], False),
        (["subscription", "main", "provider_id", "a"], True),
        (["subscription", "main", "provider_id", "a", "b"], False),
    ],
)
def test_what_a_fact_is_about_has_one_of_few_forms(path, is_subject):
    """What else is there was written by somebody else, and nothing can be made of it."""
    text = json.dumps({**TEXT, "facts": [[path, [[0, "a"]]]]})
    if is_subject:
        assert list(TenantDocument.from_json(text, tenant="acme").timelines) == [tuple(path)]
        return
    with pytest.raises(StoreDamaged, match="tenant 'acme'"):
        TenantDocument.from_json(text, tenant="acme")


def test_what_facts_are_about_is_kept_once_for_all_tenants():
    """Many tenants are near, and their paths are mostly the same."""
    one, other = (
        TenantDocument.from_json(json.dumps({**TEXT, "tenant": tenant}), tenant=tenant) for tenant in ("acme", "beta")
    )
    assert [id(subject) for subject in one.timelines] == [id(subject) for subject in other.timelines]


def test_the_form_of_a_document_is_for_ever():
    """Documents of schema 1 read the same in every version. Since, said, recorded and revision are written once."""
    text = (
        '{"schema":1,"tenant":"acme","generation":2,"revision":3,"forgotten":4,"stamps":[[1,5,7,1],[9,5,7,1]],'
        '"facts":[[["subscription","main","plan"],[[0,"a"],[1,null]]]]}'
    )
    assert KNOWN.to_json() == text
    assert TenantDocument.from_json(text, tenant="acme") == KNOWN


def test_what_was_said_before_a_tenant_was_forgotten_is_about_another():
    """The one who is called the same now has nothing to do with it."""
    assert [KNOWN.is_of_another(as_of) for as_of in (None, 3, 4)] == [False, True, False]
    assert not EMPTY.is_of_another(3)


def test_a_successor_of_a_forgotten_tenant_has_its_own_generation():
    """What is replayed for a generation belongs to it."""
    facts = (Recorded(PLAN, 1, "a", said=1),)
    assert replay("acme", [(1, 1, facts)], generation=4) == TenantDocument(
        "acme", 1, 4, {PLAN: Timeline((Fact(1, "a", 1, 1, 1),))}
    )
