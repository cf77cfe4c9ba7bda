"""Contract: making ready, names, closing."""

from __future__ import annotations

from collections.abc import Callable

from payaid_entitlements.stores.ports import Concern, Store
from payaid_entitlements.testing.contracts.writes import at_once, everything, tenant_write


class Opening:
    """`Store.name`, `Store.is_durable`, `Store.concerns`, `Store.prepare`, `Store.close`."""

    def test_it_says_where_it_is_and_whether_that_lasts(self, store: Store) -> None:
        assert isinstance(store.name, str)
        assert store.name != ""
        assert isinstance(store.is_durable, bool)

    def test_what_breaks_a_promise_is_said_with_a_way_out(self, store: Store) -> None:
        for concern in store.concerns:
            assert isinstance(concern, Concern)
            assert concern.promise
            assert concern.found
            assert concern.way_out
        assert store.is_durable or store.concerns

    def test_preparing_again_changes_nothing(self, store: Store, open_store: Callable[[], Store]) -> None:
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        before = everything(store)
        store.prepare()
        assert everything(store) == before
        assert everything(open_store()) == before

    def test_many_prepare_at_once(self, open_store: Callable[[], Store]) -> None:
        clients = at_once([open_store] * 4)
        failed = [client for client in clients if isinstance(client, Exception)]
        assert failed == [], failed
        for number, client in enumerate(clients):
            assert not isinstance(client, Exception)
            client.apply(tenant_write(f"tenant-{number}"), expect=0, actor="asha", because=None)
        assert [row.tenant for row in open_store().find()] == ["tenant-0", "tenant-1", "tenant-2", "tenant-3"]

    def test_what_one_client_wrote_another_reads(self, store: Store, open_store: Callable[[], Store]) -> None:
        another = open_store()
        write = tenant_write("acme")
        store.apply(write, expect=0, actor="asha", because=None)
        assert another.read(["acme"]) == {"acme": write.document}
        assert everything(another) == everything(store)

    def test_a_closed_store_can_be_used_again(self, store: Store) -> None:
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        before = everything(store)
        store.close()
        assert everything(store) == before
        store.close()
        store.close()
        store.apply(tenant_write("beta"), expect=0, actor="asha", because=None)
        assert store.read(["beta"])["beta"].revision == 1
