"""Leases: units that are spent in memory, and never one more than is sold."""

from __future__ import annotations

import asyncio
import copy
import os
import pickle
import signal
import subprocess
import sys
import time
from asyncio import CancelledError
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from uuid import UUID

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements, Lease
from payaid_entitlements.core.metering.leased import LeasedUsage
from payaid_entitlements.errors import (
    ConfigurationError,
    NotReleased,
    OperationConflict,
    OutcomeUnknown,
    QuotaExceeded,
    Refused,
    StoreUnavailable,
)
from payaid_entitlements.metering import ending, leasing
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from tests.entitlements.flagging import flag, kill, put
from tests.metering.conftest import CATALOG

IMPORTS = "crm.imports"


@pytest.fixture
def ent(stage):
    """A client that leases 10 imports at once, of 100."""
    stage.elsewhere.subscribe("acme", "pro")
    return stage.open(leases={IMPORTS: 10, "crm.hours": Lease(5, timedelta(seconds=10)), "crm.calls": 4})


def used(stage, feature=IMPORTS):
    """What the ledger counts, as somebody else sees it."""
    return stage.open().usage("acme", feature)[feature].used


def test_ten_are_counted_at_once_and_spent_one_by_one(stage, ent):
    said = [ent.consume("acme", IMPORTS, operation=("act", number)) for number in range(10)]
    assert [each.used for each in said] == list(range(1, 11))
    assert [each.remaining for each in said] == list(range(99, 89, -1))
    assert [each.taken for each in said] == [1] * 10
    assert used(stage) == 10
    ent.consume("acme", IMPORTS, operation=("act", 10))
    assert used(stage) == 20


def test_closing_gives_back_what_is_unspent(stage, ent):
    ent.consume("acme", IMPORTS, 3, operation="three of them")
    assert used(stage) == 10
    ent.close()
    assert used(stage) == 3


def test_what_is_spent_reads_as_a_usage(stage, ent):
    said = ent.consume("acme", IMPORTS, operation=("act", 1))
    plain = stage.open().usage("acme", IMPORTS)[IMPORTS]
    assert isinstance(said, LeasedUsage)
    again = replace(said)
    assert again == said
    assert hash(again) == hash(said) == hash(replace(plain, used=1, remaining=99, fraction=Decimal("0.01"), taken=1))
    assert said == replace(plain, used=1, remaining=99, fraction=Decimal("0.01"), taken=1)
    assert replace(plain, used=1, remaining=99, fraction=Decimal("0.01"), taken=1) == said
    assert said != plain
    assert said != 1
    assert pickle.loads(pickle.dumps(said)) == copy.copy(said) == said
    assert said.to_json()["used"] == 1
    with pytest.raises(AttributeError, match="nothing_such"):
        said.nothing_such  # noqa: B018


@pytest.mark.parametrize("operation", [("act", 1), "operation:17", UUID(int=7), ("act", 2**70), "short", ("é", 1)])
def test_a_repetition_counts_nothing(stage, ent, operation):
    assert not ent.consume("acme", IMPORTS, 2, operation=operation).replayed
    again = ent.consume("acme", IMPORTS, 2, operation=operation)
    assert (again.replayed, again.taken, again.used) == (True, 2, 2)
    with pytest.raises(OperationConflict):
        ent.consume("acme", IMPORTS, 1, operation=operation)
    stage.clock.advance(seconds=11)
    again = ent.consume("acme", IMPORTS, 2, operation=operation)
    assert (again.replayed, again.taken) == (True, 2)
    with pytest.raises(OperationConflict):
        ent.consume("acme", IMPORTS, 1, operation=operation)
    with pytest.raises(TypeError):
        ent.consume("acme", IMPORTS, 2.0, operation=operation)
    ent.close()
    assert used(stage) == 2


def test_what_the_ledger_has_counted_is_repeated_there(stage, ent):
    """More than a block is counted as ever; so is its repetition, though there are units here by then."""
    ent.consume("acme", IMPORTS, 11, operation="eleven imports")
    ent.consume("acme", IMPORTS, operation=("act", 1))
    again = ent.consume("acme", IMPORTS, 11, operation="eleven imports")
    assert again.replayed
    with pytest.raises(OperationConflict):
        ent.consume("acme", IMPORTS, 1, operation="eleven imports")
    ent.close()
    assert used(stage) == 12


@pytest.mark.parametrize(
    "operation",
    [None, (), ("act", None), ("act", True), ("none", 1), "invoice:None-1", "undefined", 7, ("a b", ""), ""],
)
def test_what_identifies_nothing_is_refused_from_a_lease_too(ent, operation):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    with pytest.raises(TypeError):
        ent.consume("acme", IMPORTS, operation=operation)


@pytest.mark.parametrize("amount", [0, -1, True, 1.0, Decimal("0.5")])
def test_an_amount_that_is_none_is_refused_from_a_lease_too(ent, amount):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    with pytest.raises((TypeError, ConfigurationError)):
        ent.consume("acme", IMPORTS, amount, operation=("act", 2))


def test_the_last_unit_is_given_out_once(stage, ent):
    """Two clients with leases, by turns, until both are refused: 100 in all, once what is unspent is back."""
    other = stage.open(leases={IMPORTS: 7})
    admitted, refused, number = 0, 0, 0
    while refused < 2:
        refused = 0
        for client in (ent, other):
            number += 1
            try:
                admitted += client.consume("acme", IMPORTS, 2, operation=("act", number)).taken
            except QuotaExceeded:
                refused += 1
        assert used(stage) <= 100
    ent.close()
    other.close()
    last = stage.open()
    while last.try_consume("acme", IMPORTS, operation=("last", number)).allowed:
        number += 1
        admitted += 1
    assert admitted == used(stage) == 100


def test_who_is_suspended_is_stopped_at_the_next_look(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.elsewhere.suspend("acme")
    stage.clock.advance(seconds=2.5)
    with pytest.raises(Refused):
        ent.consume("acme", IMPORTS, operation=("act", 2))
    (account,) = stage.memory.ledger.book("acme").accounts
    assert account.balance.used == 1


def test_a_lease_outlives_a_look_at_the_change_log(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.clock.advance(seconds=2.5)
    ent.consume("acme", IMPORTS, operation=("act", 2))
    assert used(stage) == 10
    assert ent.counts["lease.taken", IMPORTS] == 1


def test_a_lease_ends_with_its_window(stage, ent):
    """What is unspent goes back to the window that it is of, and the next one starts with what is spent in it."""
    stage.clock.advance(days=30, hours=23, minutes=59, seconds=55)
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.clock.advance(seconds=6)
    assert ent.consume("acme", IMPORTS, operation=("act", 2)).used == 1
    ent.close()
    assert used(stage) == 1


def test_decimals_are_spent_in_whole_units_and_others_are_counted_as_ever(stage, ent):
    assert ent.consume("acme", "crm.hours", 2, operation=("act", 1)).used == Decimal("2.00")
    ent.consume("acme", "crm.hours", Decimal("0.25"), operation=("act", 2))
    assert ent.consume("acme", "crm.hours", Decimal("2.00"), operation=("act", 1)).replayed
    ent.close()
    assert used(stage, "crm.hours") == Decimal("2.25")


def test_what_is_not_enforced_is_not_leased(stage):
    stage.elsewhere.subscribe("acme", "pro")
    ent = stage.open(leases={IMPORTS: 10, "hr.runs": 5}, enforcement="observe")
    ent.consume("acme", IMPORTS, operation=("act", 1))
    assert ent.consume("acme", "hr.runs", operation=("act", 2)).would_refuse
    assert used(stage) == 1
    assert used(stage, "hr.runs") == 1


def test_what_a_flag_narrows_is_not_leased(stage, ent):
    """A kill switch changes no entry: what is in memory would be spent on."""
    put(stage, flag("new", default="on", narrows=("crm",)))
    for number in range(3):
        ent.consume("acme", IMPORTS, operation=("act", number))
        assert used(stage) == number + 1
    kill(stage, "new")
    stage.clock.advance(seconds=3)
    with pytest.raises(NotReleased):
        ent.consume("acme", IMPORTS, operation=("act", 9))


def test_a_lease_ends_where_a_flag_begins_to_narrow(stage, ent):
    """What is left of it is not spent."""
    ent.consume("acme", IMPORTS, operation=("act", 1))
    assert used(stage) == 10
    put(stage, flag("new", narrows=(IMPORTS,)))
    stage.clock.advance(seconds=3)
    with pytest.raises(NotReleased):
        ent.consume("acme", IMPORTS, operation=("act", 2))


def test_a_soft_limit_is_leased_beyond_it_and_comes_back(stage, ent):
    for number in range(11):
        ent.consume("acme", "crm.calls", operation=("act", number))
    assert used(stage, "crm.calls") == 12
    ent.close()
    assert used(stage, "crm.calls") == 11


def test_transactions_and_other_ways_go_past_the_lease(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    ent.consume("acme", IMPORTS, operation=("act", 2), when_short="cap")
    ent.consume("acme", IMPORTS, operation=("act", 3), user="ida")
    ent.consume_many("acme", {IMPORTS: 1}, operation=("act", 4))
    ent.close()
    assert used(stage) == 4


def test_in_an_outage_nothing_is_spent_beyond_what_the_log_vouches_for(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.faults.is_down = True
    ent.consume("acme", IMPORTS, operation=("act", 2))
    stage.clock.advance(seconds=120)
    with pytest.raises(StoreUnavailable):
        ent.consume("acme", IMPORTS, operation=("act", 3))
    assert not ent.inner._leases.is_idle
    stage.faults.is_down = False
    ent.close()
    assert used(stage) == 2


def test_a_lost_reply_strands_nothing(stage, ent):
    """Whether the block was taken nobody knows: it is given back as a whole."""
    stage.faults.loses_replies = True
    with pytest.raises(OutcomeUnknown):
        ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.faults.loses_replies = False
    stage.clock.advance(seconds=60)
    ent.consume("acme", IMPORTS, operation=("act", 1))
    ent.close()
    assert used(stage) == 1


def interrupt(name):
    if name == "post":
        raise CancelledError  # in threads as good as Ctrl-C


def test_who_is_interrupted_strands_nothing(stage, ent):
    stage.faults.before = interrupt
    with pytest.raises(CancelledError):
        ent.consume("acme", IMPORTS, operation=("act", 1))
    assert not ent.inner._leases.is_idle
    with pytest.raises(CancelledError):
        ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.faults.before = None
    ent.consume("acme", IMPORTS, operation=("act", 1))
    ent.close()
    assert used(stage) == 1


def test_what_could_not_be_given_back_is_tried_again(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.clock.advance(seconds=11)
    stage.faults.is_down = True
    driver, leases = ent.inner._driver, ent.inner._leases
    assert ent.run(driver.run, leases.end_overdue()) == 1
    stage.faults.is_down = False
    stage.clock.advance(seconds=60)
    assert ent.run(driver.run, leases.end_overdue()) is None
    assert used(stage) == 1


def test_what_cannot_be_given_back_is_said(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.faults.is_down = True
    ent.close()
    assert used_in(stage.memory) == 10
    assert not ent.inner._leases.is_idle


def test_a_block_of_which_all_was_erased_is_forgotten(stage, ent):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    stage.memory.ledger.forget("acme")
    ent.close()
    assert ent.inner._leases.is_idle


def used_in(memory):
    (account,) = memory.ledger.book("acme").accounts
    return account.balance.used


@pytest.mark.parametrize("terms", [0, -1, True, 1.5, "7"])
def test_terms_that_are_none_are_refused(terms):
    with pytest.raises(ConfigurationError):
        Entitlements(MemoryStore(), leases={IMPORTS: terms})


@pytest.mark.parametrize("life", [timedelta(0), timedelta(days=2)])
def test_a_life_that_is_none_is_refused(life):
    with pytest.raises(ConfigurationError):
        Lease(1, life)


def test_without_leases_there_are_none(stage):
    assert stage.open().inner._leases is None


def test_memory_of_acts_is_bounded(stage, ent, monkeypatch):
    monkeypatch.setattr(leasing, "REMEMBERED", 10)
    for number in range(60):
        ent.consume("acme", IMPORTS, operation=("act", number))
    (meter,) = ent.inner._leases._meters.values()
    assert len(meter.acts) + len(meter.older) <= 20
    ent.consume("acme", IMPORTS, operation=("act", 60))
    assert all(ent.consume("acme", IMPORTS, operation=("act", each)).replayed for each in range(51, 61))


def test_so_many_meters_are_leased_and_others_counted_as_ever(stage, ent, monkeypatch):
    monkeypatch.setattr(leasing, "MOST_METERS", 1)
    ent.consume("acme", IMPORTS, operation=("act", 1))
    ent.consume("acme", "crm.calls", operation=("act", 2))
    assert (used(stage), used(stage, "crm.calls")) == (10, 1)
    stage.clock.advance(seconds=11)
    ent.inner._leases._take_away(("acme", IMPORTS))
    ent.consume("acme", "crm.calls", operation=("act", 3))
    assert (used(stage), used(stage, "crm.calls")) == (1, 5)


@pytest.mark.parametrize("threads", [8])
def test_threads_are_exact(tmp_path, threads):
    """8 threads of one client want 30 each of 100: 100 pass, and each in its order."""
    with Entitlements.open(f"sqlite:///{tmp_path}/u.db", catalog=CATALOG, leases={IMPORTS: 9}) as ent:
        ent.admin("asha", because="a test").subscribe("acme", "pro")

        def work(number):
            passed = 0
            for each in range(30):
                try:
                    ent.consume("acme", IMPORTS, operation=(f"thread{number}", each))
                    passed += 1
                except QuotaExceeded:
                    pass
            return passed

        with ThreadPoolExecutor(threads) as pool:
            passed = sum(pool.map(work, range(threads)))
        ent._driver.run(ent._leases.end())
        said = ent.usage("acme", IMPORTS)[IMPORTS]
        assert said.used == passed
        for each in range(100 - passed):
            ent.consume("acme", IMPORTS, operation=("last", each))
        with pytest.raises(QuotaExceeded):
            ent.consume("acme", IMPORTS, operation=("too", 1))


def test_what_nobody_spends_comes_back_when_its_life_is_over(tmp_path):
    life = timedelta(seconds=0.2)
    with Entitlements.open("memory://", catalog=CATALOG, leases={IMPORTS: Lease(10, life)}) as ent:
        ent.admin("asha", because="a test").subscribe("acme", "pro")
        ent.consume("acme", IMPORTS, operation=("act", 1))
        patience = time.monotonic() + 10
        while ent.usage("acme", IMPORTS)[IMPORTS].used != 1:
            assert time.monotonic() < patience
            time.sleep(0.02)


WORKER = """
import os, sys
from datetime import timedelta
from payaid_entitlements import AsyncEntitlements, Entitlements, Lease
from payaid_entitlements.errors import QuotaExceeded
from tests.metering.conftest import CATALOG
url, name, how, most = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
ent = Entitlements.open(url, catalog=CATALOG, leases={"crm.imports": Lease(7, timedelta(seconds=60))})
passed = 0
for number in range(most):
    try:
        ent.consume("acme", "crm.imports", operation=(name, number))
    except QuotaExceeded:
        break
    passed += 1
print(passed, flush=True)
if how == "kill":
    sys.stdin.read()
"""


def begin(url, name, how, most):
    return subprocess.Popen(
        [sys.executable, "-c", WORKER, url, name, how, str(most)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def shop(tmp_path):
    """The URL of a store with acme on pro: 100 imports."""
    url = f"sqlite:///{tmp_path}/usage.db"
    with Entitlements.open(url, catalog=CATALOG) as ent:
        ent.admin("asha", because="a test").subscribe("acme", "pro")
        yield url, ent


def test_four_processes_are_exact(shop):
    """They consume until they are refused, and end without a word: what was unspent is back, and 100 are given out."""
    url, ent = shop
    workers = [begin(url, f"worker{number}", "end", 200) for number in range(4)]
    passed = sum(int(worker.communicate(timeout=60)[0]) for worker in workers)
    assert ent.usage("acme", IMPORTS)["crm.imports"].used == passed
    for number in range(100 - passed):
        ent.consume("acme", IMPORTS, operation=("last", number))
    with pytest.raises(QuotaExceeded):
        ent.consume("acme", IMPORTS, operation=("too", 1))


def test_who_is_killed_strands_a_block_at_most(shop):
    """Two have taken 7 and spent 3, and one is killed: 4 stay counted, never more are given out; who knows corrects."""
    url, ent = shop
    workers = [begin(url, f"worker{number}", "kill", 3) for number in range(2)]
    assert [int(worker.stdout.readline()) for worker in workers] == [3, 3]
    os.kill(workers[0].pid, signal.SIGKILL)
    workers[1].communicate("", timeout=60)
    for worker in workers:
        worker.wait(60)
        worker.stdin.close()
        worker.stdout.close()
    said = ent.usage("acme", IMPORTS)["crm.imports"]
    assert said.used == 2 * 3 + 4
    for number in range(100 - said.used):
        ent.consume("acme", IMPORTS, operation=("last", number))
    with pytest.raises(QuotaExceeded):
        ent.consume("acme", IMPORTS, operation=("too", 1))
    ent.admin("asha", because="one was killed").adjust("acme", IMPORTS, -4, operation="killed")
    for number in range(4):
        ent.consume("acme", IMPORTS, operation=("again", number))
    with pytest.raises(QuotaExceeded):
        ent.consume("acme", IMPORTS, operation=("too", 2))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_spends_nothing_of_its_parent(shop):
    url, _ = shop
    program = (
        "import os\n"
        "from payaid_entitlements import Entitlements\n"
        "from tests.metering.conftest import CATALOG\n"
        f"ent = Entitlements.open({url!r}, catalog=CATALOG, leases={{'crm.imports': 10}})\n"
        "ent.consume('acme', 'crm.imports', operation=('parent', 1))\n"
        "pid = os.fork()\n"
        "if pid == 0:\n"
        "    ent.consume('acme', 'crm.imports', operation=('child', 1))\n"
        "    print(ent.usage('acme')['crm.imports'].used, flush=True)\n"
        "    ent.close()\n"
        "    os._exit(0)\n"
        "os.waitpid(pid, 0)\n"
        "ent.consume('acme', 'crm.imports', operation=('parent', 2))\n"
        "ent.close()\n"
        "with Entitlements.open(" + repr(url) + ", catalog=CATALOG) as other:\n"
        "    print(other.usage('acme')['crm.imports'].used)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["20", "3"]


@pytest.mark.parametrize("operation", ["None taken, thanks", "x" * 300])
def test_an_operation_that_is_looked_at_twice_is_spent_too(stage, ent, operation):
    ent.consume("acme", IMPORTS, operation=("act", 1))
    if len(operation) > 255:
        with pytest.raises(TypeError):
            ent.consume("acme", IMPORTS, operation=operation)
    else:
        assert ent.consume("acme", IMPORTS, operation=operation).used == 2


def test_words_are_remembered_up_to_a_bound(ent, monkeypatch):
    monkeypatch.setattr(leasing, "REMEMBERED", 0)
    ent.consume("acme", IMPORTS, operation=("act", 1))
    monkeypatch.setattr(leasing, "_words", set())
    assert ent.consume("acme", IMPORTS, operation=("seldom", 1)).used == 2
    assert leasing._words == set()


def test_what_is_not_leased_is_counted_as_ever(stage, ent):
    ent.consume("acme", "crm.mails", operation=("mail", 1))
    assert used(stage, "crm.mails") == 1


def test_several_blocks_are_watched_by_one(stage, ent):
    for feature in (IMPORTS, "crm.calls"):
        ent.consume("acme", feature, operation=("act", 1))
    ent.close()
    assert (used(stage), used(stage, "crm.calls")) == (1, 1)


def test_what_is_owed_is_looked_after_until_it_is_paid():
    """Driven by hand: a tracer loses lines behind an error that is thrown into a flow."""
    leases = object.__new__(leasing.Leases)
    leases._owed, leases._meters, leases._clock = {"lease": 1}, {}, lambda: 0.0
    leases._pay_back = lambda: iter(())
    said = []
    leases._setting = type("Setting", (), {})()
    leases._setting.observer = type(
        "Observer", (), {"once": staticmethod(lambda name, **of: said.append((name, of)))}
    )()
    with pytest.raises(StopIteration) as ended:
        next(leases.end_overdue())
    assert ended.value.value == leasing._REST
    with pytest.raises(StopIteration):
        next(leases.end())
    assert said == [("lease.stranded", {"blocks": 1})]


def test_of_several_blocks_in_one_loop_one_task_sees_to_the_end(monkeypatch):
    monkeypatch.setattr(ending, "_bounded", lambda pause: 0.01)

    async def run():
        async with AsyncEntitlements(AsyncMemoryStore(), catalog=CATALOG, leases={IMPORTS: 2, "crm.texts": 2}) as ent:
            await ent.admin("asha").subscribe("acme", "pro")
            for feature in (IMPORTS, "crm.texts", IMPORTS):
                await ent.consume("acme", feature, 2, operation=("act", feature, len(asyncio.all_tasks())))
            watching = [task for task in asyncio.all_tasks() if "_watch" in repr(task.get_coro())]
            await ent._driver.run(ent._leases.end())
            await asyncio.wait_for(asyncio.gather(*watching), 10)  # it ends when there is nothing more to see to
            return len(watching)

    assert asyncio.run(run()) == 1


def test_at_exit_a_client_that_is_gone_has_nothing_to_end():
    ending._at_exit(lambda: None)
