"""Contract: a write is whole, and of two that race exactly one succeeds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from payaid_entitlements.errors import ChangeConflict, ConfigurationError
from payaid_entitlements.stores.ports import Applied, Scope, Store, Write
from payaid_entitlements.testing.contracts.writes import (
    at_once,
    carried,
    catalog_write,
    controls_write,
    everything,
    first_write,
    flags_write,
    next_write,
    same_again,
    stored,
    tenant_write,
    whole_log,
)


def _put(store: Store, write: Write, expect: int = 0, actor: str = "asha") -> Applied:
    return store.apply(write, expect=expect, actor=actor, because="a test")


class Writing:
    """`Store.apply`, without an operation."""

    @pytest.mark.parametrize("scope", Scope)
    def test_a_write_is_stored(self, store: Store, scope: Scope) -> None:
        write = first_write(scope)
        applied = _put(store, write)
        assert applied == Applied(write.id, True, 1, store.changes_since(None).position)
        assert stored(store, scope) == carried(write)

    @pytest.mark.parametrize("scope", Scope)
    def test_a_later_write_takes_its_place(self, store: Store, scope: Scope) -> None:
        first = first_write(scope)
        second = next_write(first)
        before = _put(store, first)
        after = _put(store, second, expect=1)
        assert (after.id, after.applied, after.revision) == (second.id, True, 2)
        assert after.position > before.position
        assert stored(store, scope) == carried(second)

    @pytest.mark.parametrize("scope", Scope)
    def test_what_was_worked_out_from_an_older_revision_conflicts(self, store: Store, scope: Scope) -> None:
        first = first_write(scope)
        _put(store, first)
        _put(store, next_write(first), expect=1, actor="vikram")
        before = everything(store)
        for write, expect in ((first_write(scope), 0), (next_write(first), 1)):
            with pytest.raises(ChangeConflict) as caught:
                _put(store, write, expect=expect)
                pytest.fail(f"stored on revision 2, though worked out from {expect}: compare expect as you write")
            assert (caught.value.expected, caught.value.found) == (expect, 2)
        assert everything(store) == before

    @pytest.mark.parametrize("scope", Scope)
    def test_what_was_worked_out_from_a_revision_that_is_not_there_conflicts(self, store: Store, scope: Scope) -> None:
        before = everything(store)
        with pytest.raises(ChangeConflict) as caught:
            _put(store, next_write(first_write(scope)), expect=1)
        assert (caught.value.expected, caught.value.found) == (1, 0)
        assert everything(store) == before

    @pytest.mark.parametrize("scope", Scope)
    @pytest.mark.parametrize("expect", [0, 1])
    def test_of_many_that_race_exactly_one_succeeds(
        self, store: Store, open_store: Callable[[], Store], scope: Scope, expect: int
    ) -> None:
        first = first_write(scope)
        if expect:
            _put(store, first)
        begun = store.changes_since(None).position
        clients = [open_store() for _ in range(4)]
        writes = [next_write(first) if expect else first_write(scope) for _ in clients]
        outcomes = at_once(
            [partial(_put, client, write, expect) for client, write in zip(clients, writes, strict=True)]
        )
        (winner,) = [outcome for outcome in outcomes if isinstance(outcome, Applied)]
        conflicts = [outcome for outcome in outcomes if isinstance(outcome, ChangeConflict)]
        assert len(conflicts) == len(clients) - 1
        assert {(each.expected, each.found) for each in conflicts} == {(expect, expect + 1)}
        assert stored(store, scope) == carried(writes[outcomes.index(winner)])
        assert [entry.revision for entry in whole_log(store, begun)] == [expect + 1]
        assert [entry.id for entry in store.audit(after=begun)] == [winner.id]
        assert [event.position for event in store.outbox(after=begun)] == [winner.position]

    def test_writes_of_different_tenants_all_succeed(self, open_store: Callable[[], Store]) -> None:
        clients = [open_store() for _ in range(4)]
        names = [f"tenant-{number}" for number in range(16)]
        outcomes = at_once(
            [partial(_put, clients[number % 4], tenant_write(name)) for number, name in enumerate(names)]
        )
        assert [outcome for outcome in outcomes if not isinstance(outcome, Applied)] == []
        log = whole_log(clients[0])
        assert sorted(entry.tenant for entry in log if entry.tenant is not None) == sorted(names)
        positions = {outcome.position: outcome for outcome in outcomes if isinstance(outcome, Applied)}
        assert [entry.position for entry in log] == sorted(positions)

    def test_catalog_controls_flags_and_tenants_have_revisions_of_their_own(self, store: Store) -> None:
        for scope in Scope:
            assert _put(store, first_write(scope)).revision == 1
        assert [entry.revision for entry in whole_log(store)] == [1] * len(Scope)

    @pytest.mark.parametrize(("scope", "other"), [(Scope.CATALOG, Scope.FLAGS), (Scope.FLAGS, Scope.CATALOG)])
    def test_what_was_worked_out_beside_another_revision_conflicts(
        self, store: Store, scope: Scope, other: Scope
    ) -> None:
        """A catalog and the flags are judged together, and each is written by itself."""
        _put(store, replace(first_write(scope), beside=(other, 0)))
        _put(store, first_write(other), actor="vikram")
        before = everything(store)
        for expect in (0, 2):
            with pytest.raises(ChangeConflict) as caught:
                _put(store, replace(next_write(first_write(scope)), beside=(other, expect)), expect=1)
                pytest.fail(f"stored beside revision 1, though worked out beside {expect}: compare `Write.beside`")
            assert (caught.value.expected, caught.value.found) == (expect, 1)
        assert everything(store) == before
        assert _put(store, replace(next_write(first_write(scope)), beside=(other, 1)), expect=1).applied

    def test_of_two_that_are_written_beside_each_other_one_succeeds(
        self, store: Store, open_store: Callable[[], Store]
    ) -> None:
        _put(store, first_write(Scope.CATALOG))
        _put(store, first_write(Scope.FLAGS))
        publishing = replace(next_write(first_write(Scope.CATALOG)), beside=(Scope.FLAGS, 1))
        turning = replace(next_write(first_write(Scope.FLAGS)), beside=(Scope.CATALOG, 1))
        writes = [publishing, turning]
        outcomes = at_once([partial(_put, open_store(), write, 1) for write in writes])
        assert sorted(type(each).__name__ for each in outcomes) == ["Applied", "ChangeConflict"]

    def test_a_write_that_carries_nothing_or_two_things_is_refused(self, store: Store) -> None:
        before = everything(store)
        tenant, catalog, controls = tenant_write("acme"), catalog_write(), controls_write()
        for write in (
            replace(tenant, document=None),
            replace(tenant, published=catalog.published),
            replace(catalog, controls=controls.controls),
            replace(tenant, controls=controls.controls),
            replace(tenant, flags=flags_write().flags),
            replace(controls, flags=flags_write().flags),
        ):
            with pytest.raises(ValueError):
                _put(store, write)
        assert everything(store) == before

    def test_what_is_no_transaction_of_this_database_is_refused(self, store: Store) -> None:
        before = everything(store)
        write = tenant_write("acme")
        with pytest.raises(ConfigurationError):
            store.apply(write, expect=0, actor="asha", because=None, tx=object())
        with pytest.raises(ConfigurationError):
            store.read(["acme"], tx=object())
        assert everything(store) == before
        assert _put(store, same_again(write)).applied
