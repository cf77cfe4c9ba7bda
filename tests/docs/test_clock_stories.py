"""
What the explanations tell with a clock is what happens at these times.
"""

from datetime import UTC, datetime, timedelta

import pytest

from payaid_entitlements import Catalog, Entitlements, Subscription
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FakeClock, FaultyStore

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)

CATALOG = Catalog.load(
    {
        "default_plan": "free",
        "modules": {
            "crm": {"on_outage": "open"},
            "hr": {},
            "analytics": {"on_outage": "last_known_good 1 hour"},
        },
        "plans": {"free": {}, "team": {"modules": ["crm", "hr", "analytics"]}},
    }
)


class Process:
    """
    One process: its client, and what it asks of a store that it may share with others.
    """

    def __init__(self, memory: MemoryStore, clock: FakeClock):
        self.store = FaultyStore(memory)
        self.clock = clock
        self.ent = Entitlements(self.store, catalog=CATALOG, clock=clock)  # type: ignore[arg-type] # passes all on

    def asks(self, tenant: str, key: str = "hr") -> tuple[bool, list[str]]:
        """The answer, and which calls of the store it took."""
        self.store.faults.calls.clear()
        decision = self.ent.check(tenant, key)
        return decision.allowed, list(self.store.faults.calls)


@pytest.fixture
def clock():
    return FakeClock(MIDNIGHT)


@pytest.fixture
def memory():
    return MemoryStore()


@pytest.fixture
def here(memory, clock):
    process = Process(memory, clock)
    process.ent.admin("docs").subscribe("acme", "team")
    yield process
    process.ent.close()


@pytest.fixture
def there(memory, clock, here):
    process = Process(memory, clock)
    yield process
    process.ent.close()


def at(clock: FakeClock, text: str) -> None:
    hours, minutes, seconds = text.split(":")
    clock.travel_to(MIDNIGHT + timedelta(hours=int(hours), minutes=int(minutes), seconds=float(seconds)))


# -- docs/explanation/nearness.md --------------------------------------------------------------------------------


def test_two_seconds_without_a_question_to_the_store(there, clock):
    there.asks("acme")

    at(clock, "00:00:01.9")
    assert there.asks("acme") == (True, [])

    at(clock, "00:00:02")
    assert there.asks("acme") == (True, ["changes_since"])

    at(clock, "00:00:03.9")
    assert there.asks("acme") == (True, [])


def test_a_tenant_is_read_again_after_a_minute(there, clock):
    there.asks("acme")

    at(clock, "00:00:53")
    assert there.asks("acme") == (True, ["changes_since"])

    at(clock, "00:01:00")
    assert there.asks("acme") == (True, ["changes_since", "read"])


def test_a_change_is_seen_by_another_process_at_its_next_look(here, there, clock):
    there.asks("acme")

    at(clock, "00:00:00.5")
    here.ent.admin("docs").suspend("acme")
    assert here.asks("acme")[0] is False

    at(clock, "00:00:01.9")
    assert there.asks("acme")[0] is True

    at(clock, "00:00:02")
    assert there.asks("acme") == (False, ["changes_since", "read"])


def test_nobody_is_turned_away_on_what_is_older_than_a_second(here, there, clock):
    there.asks("initech")

    at(clock, "00:00:00.5")
    here.ent.admin("docs").subscribe("initech", "team")

    at(clock, "00:00:00.9")
    assert there.asks("initech") == (False, [])

    at(clock, "00:00:01")
    assert there.asks("initech") == (True, ["changes_since", "read"])


def test_a_refusal_costs_one_look_a_second(there, clock):
    there.asks("initech")

    at(clock, "00:00:01")
    assert there.asks("initech") == (False, ["changes_since"])

    at(clock, "00:00:01.9")
    assert there.asks("initech") == (False, [])


def test_an_answer_ends_when_the_trial_ends_without_a_question_to_the_store(here, clock):
    here.ent.admin("docs").subscribe("acme", "team", ends=MIDNIGHT + timedelta(seconds=1, milliseconds=500))

    at(clock, "00:00:01.4")
    assert here.asks("acme")[0] is True

    at(clock, "00:00:01.5")
    assert here.asks("acme")[0] is False


def test_a_view_keeps_to_its_instant(here, clock):
    view = here.ent.tenant("acme")
    here.ent.admin("docs").suspend("acme")

    at(clock, "00:00:45")

    assert view.check("hr").allowed
    assert not here.ent.check("acme", "hr").allowed


def test_a_row_of_the_host_is_read_again_before_somebody_is_refused(memory, clock):
    rows = {"acme": Subscription("team"), "initech": Subscription("free")}
    with Entitlements(memory, catalog=CATALOG, clock=clock, subscriptions=rows.get) as ent:
        assert (ent.check("acme", "hr").allowed, ent.check("initech", "hr").allowed) == (True, False)
        rows["acme"], rows["initech"] = rows["initech"], rows["acme"]

        at(clock, "00:00:00.9")
        assert (ent.check("acme", "hr").allowed, ent.check("initech", "hr").allowed) == (True, False)

        at(clock, "00:00:01")
        assert (ent.check("acme", "hr").allowed, ent.check("initech", "hr").allowed) == (True, True)

        at(clock, "00:00:53")
        assert ent.check("acme", "hr").allowed

        at(clock, "00:01:00")
        assert not ent.check("acme", "hr").allowed


# -- docs/explanation/failing-closed.md --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("when", "hr", "crm", "analytics"),
    [
        ("00:00:01", "plan.granted", "plan.granted", "plan.granted"),
        ("00:05:00", "plan.granted", "plan.granted", "plan.granted"),
        ("00:05:01", "store.unavailable", "store.failed_open", "plan.granted"),
        ("01:00:00", "store.unavailable", "store.failed_open", "plan.granted"),
        ("01:00:01", "store.unavailable", "store.failed_open", "store.unavailable"),
    ],
)
def test_what_is_answered_while_the_store_is_down(here, clock, when, hr, crm, analytics):
    for key in ("hr", "crm", "analytics"):
        here.asks("acme", key)
    here.store.faults.is_down = True

    at(clock, when)

    assert [here.ent.check("acme", key).reason.value for key in ("hr", "crm", "analytics")] == [hr, crm, analytics]


def test_an_old_refusal_is_not_repeated_in_an_outage(here, clock):
    assert here.ent.check("initech", "hr").reason == "plan.module_absent"
    here.store.faults.is_down = True

    at(clock, "00:00:02")

    assert here.ent.check("initech", "hr").reason == "store.unavailable"


def test_a_process_that_starts_in_an_outage_knows_what_the_one_before_knew(memory, clock, here, tmp_path):
    before, after = (
        Entitlements(FaultyStore(memory), catalog=CATALOG, clock=clock, snapshot=tmp_path / "known.db")
        for _ in range(2)
    )
    assert before.check("acme", "hr").allowed
    at(clock, "00:00:50")
    assert before.check("globex", "hr").allowed is False
    after._store.faults.is_down = True

    at(clock, "00:02:00")
    assert after.check("acme", "hr").degraded

    at(clock, "00:05:50")
    assert after.check("acme", "hr").allowed

    at(clock, "00:05:51")
    assert after.check("acme", "hr").reason == "store.unavailable"


def test_a_store_that_is_down_is_left_alone_after_three_quick_failures(here, clock):
    here.asks("acme")
    here.store.faults.is_down = True

    at(clock, "00:00:05")
    assert [here.asks("acme")[1] for _ in range(4)] == [["changes_since"]] * 3 + [[]]

    at(clock, "00:00:05.3")
    assert here.asks("acme")[1] == []

    at(clock, "00:00:05.5")
    assert here.asks("acme")[1] == ["changes_since"]


# -- docs/explanation/facts-and-time.md --------------------------------------------------------------------------


def test_a_late_message_counts_from_when_it_was_said(here, clock):
    at(clock, "09:20:00")
    nine = MIDNIGHT + timedelta(hours=9)
    here.ent.admin("webhook").change_plan("acme", "free", operation="evt_7", as_of=nine)

    assert here.ent.explain("acme", "hr", at=nine - timedelta(microseconds=1)).decision.allowed
    assert not here.ent.explain("acme", "hr", at=nine).decision.allowed


def test_an_overtaken_message_changes_nothing(here, clock):
    at(clock, "09:20:00")
    said = MIDNIGHT + timedelta(hours=9)
    here.ent.admin("webhook").change_plan("acme", "free", operation="evt_7", as_of=said)

    overtaken = here.ent.admin("webhook").change_plan(
        "acme", "team", operation="evt_6", as_of=said - timedelta(minutes=1)
    )

    assert (overtaken.applied, overtaken.reason) == (False, "change.superseded")


def test_what_is_decided_for_later_can_be_asked_now(here):
    soon = MIDNIGHT + timedelta(days=30)
    here.ent.admin("docs").change_plan("acme", "free", when=soon)

    assert here.ent.check("acme", "hr").allowed
    assert not here.ent.explain("acme", "hr", at=soon).decision.allowed
