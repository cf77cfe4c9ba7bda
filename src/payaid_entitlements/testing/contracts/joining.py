"""Contract, for stores that accept ``tx=``: what is written in the host's transaction lives and dies with it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from payaid_entitlements.errors import ChangeConflict, ConfigurationError, OperationConflict
from payaid_entitlements.stores.ports import Applied, Store, Transaction
from payaid_entitlements.testing.contracts.writes import everything, same_again, tenant_write, whole_log

Begin = Callable[[], AbstractContextManager[Transaction]]


class HostFailed(Exception):
    """What goes wrong in a host's own code."""


class JoiningContract:
    """
    What a store with ``tx=`` must keep; inherit from it besides `StoreContract` or `AsyncStoreContract`.

    Override the fixture `begin` too.
    """

    @pytest.fixture
    def begin(self) -> Begin:
        """
        Give a function that begins a transaction of a host on the same database.

        What it returns is a context manager: it gives the transaction, commits at the end of the block, and rolls
        back where the block raises. For an asynchronous store the transaction must be of its fixture ``loop``.
        """
        # A contract has no database of its own: whoever runs it on theirs brings one.
        raise NotImplementedError("override the fixture begin: return a function that begins a host's transaction")

    def test_it_is_true_when_the_host_commits(self, store: Store, begin: Begin) -> None:
        write = tenant_write("acme")
        with begin() as tx:
            applied = store.apply(write, expect=0, actor="asha", because=None, tx=tx)
            assert applied.applied
            assert store.read(["acme"]) == {}
            assert store.changes_since(None).position < applied.position
        assert store.read(["acme"]) == {"acme": write.document}
        assert [entry.position for entry in whole_log(store)] == [applied.position]
        assert [event.position for event in store.outbox()] == [applied.position]

    def test_nothing_happened_when_the_host_rolls_back(self, store: Store, begin: Begin) -> None:
        before = everything(store)
        with pytest.raises(HostFailed), begin() as tx:
            store.apply(tenant_write("acme"), expect=0, actor="asha", because=None, operation="order-1", tx=tx)
            raise HostFailed
        assert everything(store) == before
        again = store.apply(tenant_write("acme"), expect=0, actor="asha", because=None, operation="order-1")
        assert again.applied

    def test_the_transaction_reads_what_it_has_written(self, store: Store, begin: Begin) -> None:
        store.apply(tenant_write("beta"), expect=0, actor="asha", because=None)
        write = tenant_write("acme")
        with begin() as tx:
            assert list(store.read(["acme", "beta"], tx=tx)) == ["beta"]
            store.apply(write, expect=0, actor="asha", because=None, tx=tx)
            assert store.read(["acme"], tx=tx) == {"acme": write.document}
            assert sorted(store.read(["acme", "beta"], tx=tx)) == ["acme", "beta"]

    def test_several_changes_commit_together(self, store: Store, begin: Begin) -> None:
        first, other = tenant_write("acme"), tenant_write("beta")
        second = tenant_write("acme", first.document)
        with begin() as tx:
            for write, expect in ((first, 0), (other, 0), (second, 1)):
                store.apply(write, expect=expect, actor="asha", because=None, tx=tx)
            assert whole_log(store) == []
        assert [(entry.tenant, entry.revision) for entry in whole_log(store)] == [("acme", 1), ("beta", 1), ("acme", 2)]

    def test_a_refused_change_leaves_the_transaction_usable(self, store: Store, begin: Begin) -> None:
        taken = tenant_write("acme")
        store.apply(taken, expect=0, actor="asha", because=None, operation="order-1")
        write = tenant_write("beta")
        with begin() as tx:
            with pytest.raises(ChangeConflict):
                store.apply(tenant_write("acme"), expect=0, actor="asha", because=None, tx=tx)
            with pytest.raises(OperationConflict):
                store.apply(
                    tenant_write("acme", verb="other"), expect=1, actor="a", because=None, operation="order-1", tx=tx
                )
            store.apply(write, expect=0, actor="asha", because=None, tx=tx)
        assert store.read(["acme", "beta"]) == {"acme": taken.document, "beta": write.document}

    def test_a_repeated_operation_is_known_inside_and_outside(self, store: Store, begin: Begin) -> None:
        write = tenant_write("acme")

        def put(tx: Transaction | None) -> Applied:
            return store.apply(same_again(write), expect=0, actor="asha", because=None, operation="order-1", tx=tx)

        with begin() as tx:
            first = put(tx)
            assert put(tx) == Applied(first.id, False, 1, first.position)
        assert put(None) == Applied(first.id, False, 1, first.position)
        with begin() as tx:
            assert put(tx) == Applied(first.id, False, 1, first.position)
        assert len(whole_log(store)) == 1

    def test_a_transaction_that_is_over_is_refused(self, store: Store, begin: Begin) -> None:
        with begin() as tx:
            pass
        before = everything(store)
        with pytest.raises(ConfigurationError):
            store.apply(tenant_write("acme"), expect=0, actor="asha", because=None, tx=tx)
        with pytest.raises(ConfigurationError):
            store.read(["acme"], tx=tx)
        assert everything(store) == before
