"""The contract is worth something: stores of others that break a promise fail the test of that promise."""

from __future__ import annotations

import pytest

pytest_plugins = "pytester"

#: As the author of another store writes it.
PREAMBLE = """
import contextlib
import time
from dataclasses import replace

import pytest

from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.writing import target
from payaid_entitlements.testing import AsyncStoreContract, StoreContract


def contract(store):
    class Contract(StoreContract):
        @pytest.fixture
        def new_store(self):
            shared = store()
            return lambda: shared
    return Contract
"""

#: A promise that is broken: the methods that break it, and the test that must fail.
BROKEN = {
    "tallies are read, then written": (
        """
    def add_tallies(self, name, amounts):
        known = self.tallies(name)
        time.sleep(0.001)
        self.drop_tallies(name)
        super().add_tallies(name, {**known, **{key: known.get(key, 0) + amount for key, amount in amounts.items()}})
        """,
        "test_at_once_every_addition_counts",
    ),
    "flags are told as the switches": (
        """
    def audit(self, *, scope=None, **named):
        word = {"flags": "controls"}.get(scope, scope)
        return [entry for entry in super().audit(**named) if scope is None or entry.scope == word]
        """,
        "test_an_entry_of_catalog_controls_or_flags_has_no_tenant",
    ),
    "nobody understands what is told": (
        """
    @property
    def channel(self):
        class Wire:
            def next(self, timeout): return [None]
            def head(wire): return self.changes_since(None).position, 0.0
            def interrupt(self): pass
            def close(self): pass
        class Channel:
            def connect(self): return Wire()
        return Channel()
        """,
        "test_a_channel_tells_of_each_change_in_its_order",
    ),
    "the last write wins": (
        """
    def apply(self, write, *, expect, **named):
        return super().apply(write, expect=self._revision(*target(write)[:2]), **named)
        """,
        "test_what_was_worked_out_from_an_older_revision_conflicts[tenant]",
    ),
    "what a write was worked out beside is not compared": (
        """
    def apply(self, write, **named):
        return super().apply(replace(write, beside=None), **named)
        """,
        "test_what_was_worked_out_beside_another_revision_conflicts[catalog-flags]",
    ),
    "it reads, then writes": (
        """
    def _renew_lock(self):
        self._lock = contextlib.nullcontext()
    def _revision(self, scope, tenant):
        found = super()._revision(scope, tenant)
        time.sleep(0.01)
        return found
        """,
        "test_of_many_that_race_exactly_one_succeeds[0-tenant]",
    ),
    "a refused write is in the audit trail": (
        """
    def apply(self, write, **named):
        try:
            return super().apply(write, **named)
        except Exception:
            self._content.outbox.append(self._content.outbox[0])
            raise
        """,
        "test_what_was_worked_out_from_an_older_revision_conflicts[tenant]",
    ),
    "case does not matter": (
        """
    def read(self, tenants, **named):
        found = {document.tenant.lower(): document for document in self._content.documents.values()}
        return {tenant: found[tenant.lower()] for tenant in tenants if tenant.lower() in found}
        """,
        "test_ids_are_compared_by_their_bytes",
    ),
    "operations are not known": (
        """
    def apply(self, write, *, operation=None, **named):
        return super().apply(write, **named)
        """,
        "test_repeated_it_gives_the_first_outcome[1-tenant]",
    ),
    "an operation hides what was asked": (
        """
    def apply(self, write, *, operation=None, **named):
        key = target(write)[1], operation
        if operation is not None and key in self._content.operations:
            return replace(self._content.operations[key][0], applied=False)
        return super().apply(write, operation=operation, **named)
        """,
        "test_used_for_another_verb_it_conflicts[tenant]",
    ),
    "a change is skipped": (
        """
    def changes_since(self, position, **named):
        page = super().changes_since(position, **named)
        return replace(page, position=page.position + (1 if page.entries and page.more else 0))
        """,
        "test_it_is_read_in_pages",
    ),
    "a full page promises more": (
        """
    def changes_since(self, position, *, limit=1000):
        page = super().changes_since(position, limit=limit)
        return replace(page, more=len(page.entries) == limit)
        """,
        "test_a_page_that_is_full_at_the_end_is_the_last",
    ),
    "the log promises more for ever": (
        """
    def changes_since(self, position, **named):
        return replace(super().changes_since(position, **named), more=True)
        """,
        "test_a_line_says_what_was_changed",
    ),
    "a gap goes unnoticed": (
        """
    def changes_since(self, position, **named):
        return replace(super().changes_since(position, **named), gap=False)
        """,
        "test_a_reader_who_is_ahead_of_the_log_must_forget",
    ),
    "tenants are listed as they came": (
        """
    def find(self, **named):
        found = {row.tenant: row for row in super().find(**named)}
        return [found[tenant] for tenant in self._content.rows if tenant in found]
        """,
        "test_the_order_is_that_of_bytes",
    ),
    "forgetting forgets nothing": (
        """
    def apply(self, write, **named):
        return super().apply(replace(write, erase=False), **named)
        """,
        "test_what_was_recorded_before_is_gone_and_that_it_was_stays",
    ),
    "forgetting leaves no tombstone": (
        """
    def apply(self, write, **named):
        applied = super().apply(write, **named)
        if write.erase:
            del self._content.documents[write.document.tenant]
        return applied
        """,
        "test_a_tombstone_stays",
    ),
    "an instant is not included": (
        """
    def audit(self, *, since=None, **named):
        return super().audit(since=None if since is None else since + 1, **named)
        """,
        "test_filters_join_by_and",
    ),
    "any transaction will do": (
        """
    def read(self, tenants, *, tx=None):
        return super().read(tenants)
        """,
        "test_what_is_no_transaction_of_this_database_is_refused",
    ),
    "closing loses what was written": (
        """
    def close(self):
        self.__init__()
        """,
        "test_a_closed_store_can_be_used_again",
    ),
    "preparing begins anew": (
        """
    def prepare(self):
        self.__init__()
        """,
        "test_preparing_again_changes_nothing",
    ),
    "places in the log are left out": (
        """
    def apply(self, write, **named):
        with self._lock:
            self._content.position += 1
        return super().apply(write, **named)
        """,
        "test_it_is_read_in_pages",
    ),
    "the audit trail finds a tenant by any case": (
        """
    def audit(self, *, tenant=None, **named):
        found = super().audit(**named)
        return [each for each in found if tenant is None or (each.tenant or "").lower() == tenant.lower()]
        """,
        "test_ids_are_compared_by_their_bytes",
    ),
    "what is expected is ignored once there is something": (
        """
    def apply(self, write, *, expect, **named):
        found = self._revision(*target(write)[:2])
        return super().apply(write, expect=found or expect, **named)
        """,
        "test_what_was_worked_out_from_an_older_revision_conflicts[controls]",
    ),
    "an operation is known of another tenant": (
        """
    def apply(self, write, *, operation=None, **named):
        for (_, known), (first, _) in self._content.operations.items():
            if known == operation:
                return replace(first, applied=False)
        return super().apply(write, operation=operation, **named)
        """,
        "test_it_is_the_tenants_own",
    ),
    "nobody is told": (
        """
    def outbox(self, **named):
        return []
        """,
        "test_each_change_is_told_once",
    ),
}

#: What the author of the store is told, besides the name of the test.
TOLD = {
    "places in the log are left out": "are there holes between positions?",
    "case does not matter": "compare ids by their bytes",
    "the audit trail finds a tenant by any case": "compare ids by their bytes",
    "what is expected is ignored once there is something": "compare expect as you write",
    "the log promises more for ever": "a reader hangs",
    "an operation is known of another tenant": "an operation is known by tenant and id",
}

#: Promises of an asynchronous store, and one whose fixture was forgotten.
OTHERS = """
class TestHealthy(contract(MemoryStore)):
    pass


class TestAsyncHealthy(AsyncStoreContract):
    @pytest.fixture
    def new_store(self):
        shared = MemoryStore()
        return lambda: AsyncMemoryStore(shared)


class TestForgotten(StoreContract):
    pass
"""


@pytest.fixture
def theirs(pytester):
    """The tests of somebody else's stores: one that keeps all promises, and many that break one each."""
    broken = []
    for number, (methods, _) in enumerate(BROKEN.values()):
        broken.append(f"class Broken{number}(MemoryStore):\n{methods}\n")
        broken.append(f"class TestBroken{number}(contract(Broken{number})):\n    pass\n")
    pytester.makepyfile(test_theirs="\n\n".join([PREAMBLE, OTHERS, *broken]))
    return pytester


def _run(theirs, *names):
    # Other plugins of this environment are imported anew in each session, which takes seconds.
    return theirs.inline_run(
        "-p", "no:cacheprovider", "-p", "no:hypothesispytest", *(f"test_theirs.py::{name}" for name in names)
    )


def test_each_broken_promise_fails_its_test(theirs):
    names = {f"TestBroken{number}::{test}": promise for number, (promise, (_, test)) in enumerate(BROKEN.items())}
    result = _run(theirs, *names)
    passed, skipped, failed = result.listoutcomes()
    assert [names[report.nodeid.partition("::")[2]] for report in passed] == []
    assert skipped == []
    assert sorted(report.nodeid.partition("::")[2] for report in failed) == sorted(names)
    said = {names[report.nodeid.partition("::")[2]]: report.longreprtext for report in failed}
    # The line of an error begins with E: the source of the test, which is shown too, proves nothing.
    errors = {
        promise: "\n".join(line for line in text.splitlines() if line.startswith("E")) for promise, text in said.items()
    }
    assert [promise for promise, told in TOLD.items() if told not in errors[promise]] == []


def test_a_store_that_keeps_all_promises_passes(theirs):
    tests = (
        "test_what_one_client_wrote_another_reads",
        "test_of_many_that_race_exactly_one_succeeds",
        "test_many_that_do_it_at_once_do_it_once",
        "test_none_is_skipped_while_others_write",
    )
    result = _run(theirs, *(f"{kind}::{test}" for kind in ("TestHealthy", "TestAsyncHealthy") for test in tests))
    passed, skipped, failed = result.listoutcomes()
    assert (len(passed), skipped, failed) == (2 * (1 + 8 + 8 + 1), [], [])


def test_a_forgotten_fixture_is_named(theirs):
    result = _run(theirs, "TestForgotten::test_a_tombstone_stays")
    (failed,) = result.getfailures()
    assert "override the fixture new_store" in str(failed.longrepr)
