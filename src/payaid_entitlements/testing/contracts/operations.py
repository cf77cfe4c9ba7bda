"""Contract: an operation takes effect once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import pytest

from payaid_entitlements.errors import OperationConflict
from payaid_entitlements.stores.ports import Applied, Scope, Store, Write
from payaid_entitlements.testing.contracts.writes import (
    at_once,
    catalog_write,
    controls_write,
    everything,
    first_write,
    flags_write,
    next_write,
    same_again,
    tenant_write,
)


def _put(store: Store, write: Write, operation: str | None, expect: int = 0) -> Applied:
    return store.apply(write, expect=expect, actor="asha", because=None, operation=operation)


class Operations:
    """`Store.apply` with an operation."""

    @pytest.mark.parametrize("scope", Scope)
    @pytest.mark.parametrize("expect", [0, 1, 7])
    def test_repeated_it_gives_the_first_outcome(self, store: Store, scope: Scope, expect: int) -> None:
        write = first_write(scope)
        first = _put(store, write, "webhook-1")
        before = everything(store)
        assert _put(store, same_again(write), "webhook-1", expect) == replace(first, applied=False)
        assert everything(store) == before

    @pytest.mark.parametrize("scope", Scope)
    def test_repeated_after_others_it_still_gives_the_first_outcome(self, store: Store, scope: Scope) -> None:
        write = first_write(scope)
        first = _put(store, write, "webhook-1")
        _put(store, next_write(write), "webhook-2", expect=1)
        before = everything(store)
        assert _put(store, same_again(write), "webhook-1") == replace(first, applied=False)
        assert everything(store) == before

    @pytest.mark.parametrize("scope", Scope)
    def test_used_for_another_verb_it_conflicts(self, store: Store, scope: Scope) -> None:
        write = first_write(scope)
        _put(store, write, "webhook-1")
        before = everything(store)
        with pytest.raises(OperationConflict, match="webhook-1"):
            _put(store, replace(same_again(write), verb="another"), "webhook-1", expect=1)
        assert everything(store) == before

    @pytest.mark.parametrize("scope", Scope)
    def test_used_for_other_content_it_conflicts(self, store: Store, scope: Scope) -> None:
        write = first_write(scope)
        _put(store, write, "webhook-1")
        before = everything(store)
        with pytest.raises(OperationConflict, match="webhook-1"):
            _put(store, next_write(write), "webhook-1", expect=1)
        assert everything(store) == before

    def test_what_was_asked_says_whether_it_is_the_same_act(self, store: Store) -> None:
        asked = {"asked": {"plan": "pro", "when": None}}
        first = _put(store, tenant_write("acme", plan="pro", detail=asked), "webhook-1")
        before = everything(store)
        later = tenant_write("acme", plan="team", detail={"asked": {"when": None, "plan": "pro"}, "note": "again"})
        assert _put(store, later, "webhook-1") == replace(first, applied=False)
        with pytest.raises(OperationConflict):
            _put(store, replace(later, detail={"asked": {"plan": "team", "when": None}}), "webhook-1")
        assert everything(store) == before

    def test_it_is_the_tenants_own(self, store: Store) -> None:
        for name in ("acme", "Acme", "beta"):
            applied = _put(store, tenant_write(name), "webhook-1").applied
            assert applied, f"{name!r} got the outcome of another tenant: an operation is known by tenant and id"
        assert _put(store, catalog_write(), "webhook-1").applied
        assert [entry.operation for entry in store.audit()] == ["webhook-1"] * 4

    def test_catalog_controls_and_flags_share_theirs(self, store: Store) -> None:
        _put(store, catalog_write(), "release-7")
        before = everything(store)
        for write in (controls_write(), flags_write()):
            with pytest.raises(OperationConflict):
                _put(store, write, "release-7")
        assert everything(store) == before

    def test_it_is_compared_by_its_bytes(self, store: Store) -> None:
        known = None
        for revision, operation in enumerate(("Op", "op", "op ", " op", "öp", "o\u0308p", "\U0001d560p", "op%", "op_")):
            write = tenant_write("acme", known)
            applied = _put(store, write, operation, expect=revision)
            assert (applied.applied, applied.revision) == (True, revision + 1)
            known = write.document

    def test_without_one_the_same_act_twice_is_two_changes(self, store: Store) -> None:
        write = tenant_write("acme")
        _put(store, write, None)
        assert _put(store, tenant_write("acme", write.document), None, expect=1).applied
        assert [entry.operation for entry in store.audit()] == [None, None]

    @pytest.mark.parametrize("scope", Scope)
    @pytest.mark.parametrize("expect", [0, 1])
    def test_many_that_do_it_at_once_do_it_once(
        self, store: Store, open_store: Callable[[], Store], scope: Scope, expect: int
    ) -> None:
        write = first_write(scope)
        if expect:
            _put(store, write, None)
            write = next_write(write)
        clients = [open_store() for _ in range(4)]
        outcomes = at_once([partial(_put, client, same_again(write), "webhook-1", expect) for client in clients])
        assert [outcome for outcome in outcomes if not isinstance(outcome, Applied)] == []
        (first,) = [outcome for outcome in outcomes if isinstance(outcome, Applied) and outcome.applied]
        assert [outcome for outcome in outcomes if outcome is not first] == [replace(first, applied=False)] * 3
        assert [entry.id for entry in store.audit()][expect:] == [first.id]

    def test_catalog_controls_and_flags_that_use_one_at_once_do_one_of_them(
        self, store: Store, open_store: Callable[[], Store]
    ) -> None:
        clients = [open_store() for _ in range(3)]
        for number in range(5):
            operation, before = f"release-{number}", everything(store)
            writes = (catalog_write(before[2]), controls_write(before[3]), flags_write(before[4]))
            expected = (0 if before[2] is None else before[2].revision, before[3].revision, before[4].revision)
            outcomes = at_once(
                [
                    partial(_put, client, write, operation, expect)
                    for client, write, expect in zip(clients, writes, expected, strict=True)
                ]
            )
            assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Applied", *["OperationConflict"] * 2]
            assert len(store.audit()) == len(before[6]) + 1
