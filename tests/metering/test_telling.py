"""Marks that are reached are told: after the commit, by whoever can, once each as a rule."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from payaid_entitlements import Entitlements, Event
from payaid_entitlements.core.metering.posting import Debit, Line, Mark
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.testing import FaultyStore
from tests.metering.conftest import CATALOG, START

JUNE = datetime(2030, 6, 1, 12, tzinfo=UTC)


@pytest.fixture
def told(ent):
    """What the client was told so far; its handler is of the client's colour."""
    return hearing(ent)


def hearing(ent):
    found: list[Event] = []
    if hasattr(ent.inner, "aclose"):

        @ent.on("usage.threshold")
        async def hears(event):
            found.append(event)
    else:

        @ent.on("usage.threshold")
        def hears(event):
            found.append(event)

    return found


def marks(events):
    return [(event.feature, event.threshold, event.used) for event in events]


def test_a_mark_is_told_once_by_who_reached_it(ent, told):
    """80 % and all of it; with all that there is to say."""
    ent.consume("acme", "crm.imports", 79, operation="one")
    assert told == []
    ent.consume("acme", "crm.imports", 2, operation=("job", 7))
    (event,) = told
    assert event == Event(
        "usage.threshold", event.id, "acme", "crm.imports", 80, reached=80, used=81, operation='["job",7]', at=START
    )
    ent.consume("acme", "crm.imports", 19, operation="three")
    ent.consume("acme", "crm.imports", 19, operation="three")
    assert marks(told) == [("crm.imports", 80, 81), ("crm.imports", 100, 100)]
    assert len({event.id for event in told}) == 2


def test_both_marks_may_be_reached_at_once(ent, told):
    ent.consume("acme", "crm.imports", 100, operation="one")
    assert marks(told) == [("crm.imports", 80, 100), ("crm.imports", 100, 100)]


def test_a_mark_is_told_again_after_it_was_left(ent, told, stage):
    """By a refund, and in another window."""
    ent.consume("acme", "crm.imports", 85, operation="one")
    ent.refund("acme", operation="one")
    ent.consume("acme", "crm.imports", 85, operation="two")
    stage.clock.travel_to(JUNE)
    ent.consume("acme", "crm.imports", 85, operation="three")
    assert marks(told) == [("crm.imports", 80, 85)] * 3


def test_what_is_refused_reaches_nothing(ent, told):
    assert not ent.try_consume("acme", "crm.imports", 101, operation="one").allowed
    assert told == []


def test_credits_have_marks_of_their_own(ent, told):
    """Those of what pays, in its units."""
    ent.consume("acme", "crm.drawings", 4, operation="one")
    assert marks(told) == [("tokens", 80, 40)]
    ent.consume("acme", "crm.hours", Decimal("8.25"), operation="two")
    assert (told[1].reached, told[1].used) == (Decimal("8.00"), Decimal("8.25"))


def test_who_has_no_handlers_leaves_it_to_who_has(stage, ent):
    """Within half a minute of metering; and never twice."""
    stage.elsewhere.subscribe("other", "pro")
    ent.consume("acme", "crm.imports", 85, operation="one")
    late = stage.open()
    told = hearing(late)
    late.consume("other", "crm.imports", operation="one")
    assert marks(told) == [("crm.imports", 80, 85)]
    ent.consume("acme", "crm.calls", 9, operation="two")
    stage.clock.advance(seconds=29)
    late.consume("other", "crm.imports", operation="two")
    assert len(told) == 1
    stage.clock.advance(seconds=1)
    late.consume("other", "crm.imports", operation="three")
    assert marks(told) == [("crm.imports", 80, 85), ("crm.calls", 80, 9)]
    stage.clock.advance(minutes=5)
    late.consume("other", "crm.imports", operation="four")
    assert len(told) == 2


def test_a_clock_that_is_put_back_stops_nobody(ent, told, stage):
    """In tests it is."""
    ent.consume("acme", "crm.imports", operation="one")
    stage.open().consume("acme", "crm.imports", 85, operation="two")
    stage.clock.advance(seconds=-10)
    ent.consume("acme", "crm.imports", operation="three")
    assert len(told) == 1


def test_a_handler_that_fails_harms_nobody_and_is_called_again(ent, stage, told):
    """The others are told; it is counted; and after a minute it is tried again, by all."""
    fails = []

    @ent.on("usage.threshold")
    def broken(event):
        fails.append(event)
        if len(fails) == 1:
            raise ZeroDivisionError("a handler of the host's")

    assert ent.consume("acme", "crm.imports", 85, operation="one").used == 85
    assert (len(fails), len(told)) == (1, 1)
    assert ent.inner.counts["event.failed", "usage.threshold"] == 1
    stage.clock.advance(seconds=59)
    ent.consume("acme", "crm.calls", operation="two")
    assert len(fails) == 1
    stage.clock.advance(seconds=31)
    ent.consume("acme", "crm.calls", operation="three")
    assert (len(fails), len(told)) == (2, 2)
    assert fails[0] == fails[1]
    stage.clock.advance(minutes=5)
    ent.consume("acme", "crm.calls", operation="four")
    assert len(fails) == 2


def test_what_no_handler_can_take_in_is_given_up_after_a_day(ent, stage):
    fails = []

    @ent.on("usage.threshold")
    def broken(event):
        fails.append(event)
        raise ZeroDivisionError

    ent.consume("acme", "crm.imports", 85, operation="one")
    stage.clock.advance(days=1, seconds=1)
    for number in range(3):
        ent.consume("acme", "crm.calls", operation=("later", number))
        stage.clock.advance(minutes=2)
    assert len(fails) == 2


def test_a_ledger_that_gives_no_answer_then_harms_nobody(ent, stage, told):
    """What is counted is counted, and told later."""

    def before(name):
        if name == "claim_events":
            raise StoreUnavailable("a test says so")

    stage.faults.before = before
    assert ent.consume("acme", "crm.imports", 85, operation="one").used == 85
    assert (told, ent.inner.counts["events.unavailable",]) == ([], 1)
    stage.faults.before = None
    stage.clock.advance(seconds=30)
    ent.consume("acme", "crm.calls", operation="two")
    assert len(told) == 1


def test_more_than_a_page_is_told_too(ent, stage):
    """Whoever comes first tells all that was left."""
    for number in range(101):
        ent.consume(f"t{number:03}", "crm.imports", 8, operation="one")
    late = stage.open()
    told = hearing(late)
    late.consume("acme", "crm.calls", operation="one")
    assert sorted(event.tenant for event in told) == [f"t{number:03}" for number in range(101)]


def test_what_the_mark_was_of_may_be_gone(ent, stage):
    """A limit that is another one by now, and a store that gives no answer: what is known is told."""
    ent.consume("acme", "crm.imports", 85, operation="one")
    stage.elsewhere.override("acme", "crm.imports", 90)
    late = stage.open()
    told = hearing(late)
    late.consume("other", "crm.imports", operation="one")
    assert [(event.threshold, event.reached, event.used) for event in told] == [(None, 80, 85)]


def test_what_is_known_is_told_also_in_an_outage_of_the_store(stage):
    """Which part of the limit it was is not known then; that it was reached is."""
    stage.elsewhere.subscribe("acme", "pro")
    facts = FaultyStore(stage.memory)
    with Entitlements(facts, ledger=stage.memory.ledger, catalog=CATALOG, clock=stage.clock) as ent:
        ent.consume("other", "crm.imports", operation="one")
        stage.open().consume("acme", "crm.hours", Decimal("8.50"), operation="one")
        told = []
        ent.on("usage.threshold")(told.append)
        facts.faults.before = _no_reading
        ent.consume("other", "crm.imports", operation="two")
    assert [(event.tenant, event.threshold, event.reached, event.used) for event in told] == [
        ("acme", None, Decimal("8.00"), Decimal("8.50"))
    ]


def test_what_is_in_no_catalog_any_more_is_told_as_it_was_counted(ent, stage, told):
    """In its smallest units: how many digits it had, nobody knows."""
    posting = Debit("crm.gone", 5, (Line("crm.gone", "w0", 10),), marks=(Mark("crm.gone", 4),))
    stage.memory.ledger.post("acme", (posting,), operation="one", digest="d")
    ent.consume("acme", "crm.imports", operation="two")
    assert [(event.feature, event.threshold, event.reached, event.used) for event in told] == [("crm.gone", None, 4, 5)]


def _no_reading(name):
    if name == "read":
        raise StoreUnavailable("a test says so")


def test_what_nobody_knows_is_no_event_and_what_nobody_awaits_no_handler(ent, stage):
    with pytest.raises(ConfigurationError, match=r"did you mean.*usage\.threshold"):
        ent.on("usage.treshold")(print)

    async def awaited(event): ...

    if stage.colour == "sync":
        with pytest.raises(ConfigurationError, match="AsyncEntitlements"):
            ent.on("usage.threshold")(awaited)
    else:
        assert ent.on("usage.threshold")(awaited) is awaited
