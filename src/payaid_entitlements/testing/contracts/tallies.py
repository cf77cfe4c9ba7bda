"""Contract: tallies add up, whoever adds to them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.ports import MOST_TALLIES, Store
from payaid_entitlements.testing.contracts.reading import ALIKE
from payaid_entitlements.testing.contracts.writes import at_once, everything, tenant_write


class Tallies:
    """`Store.add_tallies`, `Store.tallies`, `Store.drop_tallies`."""

    def test_nothing_was_tallied(self, store: Store) -> None:
        assert store.tallies("flag:1") == {}
        store.drop_tallies("flag:1")
        store.add_tallies("flag:1", {})
        assert store.tallies("flag:1") == {}

    def test_they_add_up(self, store: Store) -> None:
        store.add_tallies("flag:1", {"in/n": 10, "in/failed": 1})
        store.add_tallies("flag:1", {"in/n": 5, "out/n": 2**53, "in/failed": -2, "none": 0})
        assert store.tallies("flag:1") == {"in/n": 15, "in/failed": -1, "out/n": 2**53, "none": 0}
        assert store.tallies("flag:2") == {}

    def test_they_are_dropped_alone(self, store: Store) -> None:
        store.add_tallies("flag:1", {"n": 1})
        store.add_tallies("flag:2", {"n": 2})
        store.drop_tallies("flag:1")
        assert store.tallies("flag:1") == {}
        assert store.tallies("flag:2") == {"n": 2}
        store.add_tallies("flag:1", {"n": 3})
        assert store.tallies("flag:1") == {"n": 3}

    def test_names_and_fields_are_compared_by_their_bytes(self, store: Store) -> None:
        for number, name in enumerate(ALIKE, 1):
            store.add_tallies(name, {"n": number})
        assert [store.tallies(name) for name in ALIKE] == [{"n": number} for number in range(1, len(ALIKE) + 1)]
        store.add_tallies("all", {name: number for number, name in enumerate(ALIKE, 1)})
        assert store.tallies("all") == {name: number for number, name in enumerate(ALIKE, 1)}

    def test_at_once_every_addition_counts(self, store: Store, open_store: Callable[[], Store]) -> None:
        clients = [open_store() for _ in range(4)]

        def add(client: Store, fields: list[str]) -> None:
            for number in range(10):
                client.add_tallies("flag:1", dict.fromkeys(fields, number))

        # In another order each: who locks one field after the other must not wait in a ring.
        orders = [["a", "b", "c"], ["c", "b", "a"], ["b", "c", "a"], ["c", "a", "b"]]
        outcomes = at_once([partial(add, client, order) for client, order in zip(clients, orders, strict=True)])
        assert outcomes == [None] * 4
        assert store.tallies("flag:1") == dict.fromkeys("abc", 4 * sum(range(10)))

    def test_as_many_as_may_be_are_added_together(self, store: Store) -> None:
        most = {f"field-{number}": number for number in range(MOST_TALLIES)}
        store.add_tallies("flag:1", most)
        assert store.tallies("flag:1") == most
        with pytest.raises(ValueError):
            store.add_tallies("flag:1", {**most, "one more": 1})
        assert store.tallies("flag:1") == most

    @pytest.mark.parametrize(
        ("name", "amounts"),
        [
            ("", {"n": 1}),
            ("n" * 256, {"n": 1}),
            ("flag", {"": 1}),
            ("flag\0", {"n": 1}),
            ("flag", {"ok": 1, "\ud800": 1}),
            ("flag", {"ok": 1, "n" * 256: 1}),
            ("flag", {"ok": 1, "n": 2**53 + 1}),
            ("flag", {"n": True}),
            ("flag", {"n": 1.5}),
        ],
    )
    def test_what_is_out_of_bounds_is_refused(self, store: Store, name: str, amounts: dict[str, int]) -> None:
        with pytest.raises(ValueError):
            store.add_tallies(name, amounts)
        assert store.tallies("flag") == {}

    def test_they_are_not_what_was_decided(self, store: Store) -> None:
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        before = everything(store)
        store.add_tallies("flag:1", {"n": 1})
        assert everything(store) == before

    def test_they_do_not_fill_a_store(self, store: Store) -> None:
        """A process that measures before anything was written does not stand in the way of a backup."""
        other = MemoryStore()
        other.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        store.add_tallies("flag:1", {"n": 1})
        store.restore([[]])
        assert store.tallies("flag:1") == {"n": 1}
