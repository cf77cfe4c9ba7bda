"""The contract of ledgers is worth something: ledgers that break a promise fail the test of that promise."""

from __future__ import annotations

import pytest

pytest_plugins = "pytester"

#: As the author of another ledger writes it.
PREAMBLE = """
import copy
import time
from dataclasses import replace

import pytest

from payaid_entitlements.core.metering.posting import Assign, Debit, Refund, Short
from payaid_entitlements.stores.ledger import UsageEvent
from payaid_entitlements.stores.memory_ledger import MemoryLedger, _Told
from payaid_entitlements.testing import LedgerContract


def contract(ledger):
    class Contract(LedgerContract):
        @pytest.fixture
        def new_ledger(self):
            shared = ledger()
            return lambda: shared
    return Contract


class TestHealthy(contract(MemoryLedger)):
    pass
"""

#: A promise that is broken: the method that breaks it, and the test that must fail.
BROKEN = {
    "it reads, then writes": (
        """
    def post(self, tenant, postings, **named):
        mine = MemoryLedger()
        mine._tenants, mine._events = copy.deepcopy(self._tenants), dict(self._events)
        posted = mine.post(tenant, postings, **named)
        time.sleep(0.01)
        self._tenants, self._events = mine._tenants, mine._events
        return posted
        """,
        "test_of_two_who_want_the_last_unit_one_gets_it",
    ),
    "what is repeated is done again": (
        """
    def post(self, tenant, postings, *, operation=None, **named):
        if isinstance(postings[0], Debit):
            operation = f"{operation}-{len(self.entries(tenant))}"
        return super().post(tenant, postings, operation=operation, **named)
        """,
        "test_repeated_it_gives_the_first_outcome[debit]",
    ),
    "another act has the same operation": (
        """
    def post(self, tenant, postings, *, digest=None, **named):
        return super().post(tenant, postings, **named)
        """,
        "test_repeated_with_another_digest_it_conflicts[debit]",
    ),
    "it is refunded twice": (
        """
    def post(self, tenant, postings, **named):
        if isinstance(postings[0], Refund):
            self._tenants[tenant].entries.pop((postings[0].operation, 2), None)
        return super().post(tenant, postings, **named)
        """,
        "test_it_goes_back_once",
    ),
    "a refund goes to the lot that was burnt first": (
        """
    def post(self, tenant, postings, **named):
        if not isinstance(postings[0], Refund):
            return super().post(tenant, postings, **named)
        entries, key = self._tenants[tenant].entries, (postings[0].operation, 0)
        kept = entries[key]
        answer = copy.deepcopy(kept.answer)
        for filled in answer[1]:
            filled[2].reverse()
        entries[key] = replace(kept, answer=answer)
        try:
            return super().post(tenant, postings, **named)
        finally:
            entries[key] = kept
        """,
        "test_what_was_burnt_last_goes_back_first",
    ),
    "what has expired is not free": (
        """
    def post(self, tenant, postings, **named):
        kept = self._tenants.get(tenant)
        if kept is None or not isinstance(postings[0], Debit):
            return super().post(tenant, postings, **named)
        holds, kept.holds = kept.holds, {}
        try:
            return super().post(tenant, postings, **named)
        finally:
            kept.holds = holds
        """,
        "test_what_has_expired_is_free_at_that_instant",
    ),
    "a mark is told again to who repeats": (
        """
    def post(self, tenant, postings, *, operation=None, **named):
        posted = super().post(tenant, postings, operation=operation, **named)
        for crossing in posted.crossings if posted.replayed else ():
            event = UsageEvent(f"again-{crossing.mark.at}", tenant, operation, crossing, posted.at)
            self._events[event.id] = _Told(event)
        return posted
        """,
        "test_repeated_it_says_the_same_and_tells_nobody_again",
    ),
    "more is taken than is left": (
        """
    def post(self, tenant, postings, **named):
        postings = [
            replace(each, short=Short.OVERFLOW) if isinstance(each, Debit) and each.short is Short.CAP else each
            for each in postings
        ]
        return super().post(tenant, postings, **named)
        """,
        "test_what_is_left_is_taken_where_that_is_enough",
    ),
    "of several some are used up": (
        """
    def post(self, tenant, postings, *, operation=None, **named):
        for number, each in enumerate(postings[:-1]):
            super().post(tenant, [each], operation=f"{operation}-{number}", **named)
        return super().post(tenant, postings[-1:], operation=operation, **named)
        """,
        "test_several_features_are_used_up_together_or_not_at_all",
    ),
    "there is a seat more than is sold": (
        """
    def post(self, tenant, postings, **named):
        if isinstance(postings[0], Assign) and postings[0].beyond is not None:
            postings = [replace(postings[0], beyond=postings[0].beyond + 1)]
        return super().post(tenant, postings, **named)
        """,
        "test_the_last_can_be_given_and_no_more",
    ),
    "what was folded is lost": (
        """
    def prune(self, before, **named):
        pruned = super().prune(before, **named)
        for kept in self._tenants.values():
            kept.folded.clear()
        return pruned
        """,
        "test_old_acts_are_folded",
    ),
}


@pytest.fixture
def theirs(pytester):
    """The tests of somebody else's ledgers: one that keeps all promises, and many that break one each."""
    broken = []
    for number, (method, _) in enumerate(BROKEN.values()):
        broken.append(f"class Broken{number}(MemoryLedger):\n{method}\n")
        broken.append(f"class TestBroken{number}(contract(Broken{number})):\n    pass\n")
    pytester.makepyfile(test_theirs="\n\n".join([PREAMBLE, *broken]))
    return pytester


def _run(theirs, names):
    # Other plugins of this environment are imported anew in each session, which takes seconds.
    return theirs.inline_run(
        "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *(f"test_theirs.py::{name}" for name in names)
    )


def test_each_broken_promise_fails_its_test_and_a_ledger_that_keeps_it_passes(theirs):
    broken = {f"TestBroken{number}::{test}": promise for number, (promise, (_, test)) in enumerate(BROKEN.items())}
    healthy = [f"TestHealthy::{test}" for _, test in BROKEN.values()]
    passed, skipped, failed = _run(theirs, [*broken, *healthy]).listoutcomes()
    ended = {report.nodeid.partition("::")[2] for report in passed}
    assert [broken[name] for name in broken if name in ended] == []
    assert sorted(ended) == sorted(healthy)
    assert skipped == []
    assert sorted(report.nodeid.partition("::")[2] for report in failed) == sorted(broken)
    # By what they answer, not by an error of their own.
    where = {broken[report.nodeid.partition("::")[2]]: report.longrepr.reprcrash.path for report in failed}
    assert [promise for promise, path in where.items() if "contracts" not in path] == []
