"""The store on a database of Django's: the contracts of those who join, in Django's own transactions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg
import pytest

from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.stores.ports import Store
from payaid_entitlements.testing import JoiningContract, LedgerJoiningContract
from payaid_entitlements.testing.contracts.writes import tenant_write
from tests.project.databases import databases, settings_for


class _InDjango:
    """A database of each kind, a store on it as Django names it, and Django's own transactions."""

    @pytest.fixture(params=["sqlite_url", "migrated_url", "made_url"])
    def shop(self, request: pytest.FixtureRequest) -> Iterator[None]:
        with databases(shop=settings_for(request.getfixturevalue(request.param))):
            yield

    @pytest.fixture
    def begin(self, shop: None) -> Callable[[], Any]:
        from django.db import connections, transaction

        @contextmanager
        def begin() -> Iterator[object]:
            with transaction.atomic(using="shop"):
                yield connections["shop"]
            if threading.current_thread() is not threading.main_thread():
                connections["shop"].close()

        return begin

    @pytest.fixture
    def open_shop(self, shop: None) -> Iterator[Callable[[], Any]]:
        with ExitStack() as stack:

            def another() -> Any:
                store: Any = open_store("django://shop")
                stack.callback(store.close)
                store.prepare()
                return store

            yield another


class TestStore(_InDjango, JoiningContract):
    """On MariaDB changes are written by the same statements as usage, of which `TestLedger` is."""

    @pytest.fixture(params=["sqlite_url", "migrated_url"])
    def shop(self, request: pytest.FixtureRequest) -> Iterator[None]:
        with databases(shop=settings_for(request.getfixturevalue(request.param))):
            yield

    @pytest.fixture
    def store(self, open_shop: Callable[[], Any]) -> Store:
        store: Store = open_shop()
        return store


class TestLedger(_InDjango, LedgerJoiningContract):
    @pytest.fixture
    def open_ledger(self, open_shop: Callable[[], Any]) -> Callable[[], Ledger]:
        return lambda: open_shop().ledger

    @pytest.fixture
    def ledger(self, open_ledger: Callable[[], Ledger]) -> Ledger:
        return open_ledger()


def test_a_reading_says_nothing_to_a_connection_that_commits_by_itself(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor takes it back afterwards: both would cost each cold check."""
    said: list[bool] = []
    plain = psycopg.Connection.autocommit
    setting = property(plain.fget, lambda connection, value: said.append(value) or plain.fset(connection, value))
    with databases(shop=settings_for(migrated_url)), closing(open_store("django://shop")) as store:
        store.read(["acme"])
        monkeypatch.setattr(psycopg.Connection, "autocommit", setting)
        store.read(["acme"])
        assert said == []
        store.apply(tenant_write("acme"), expect=0, actor="asha", because=None)
        assert False in said, "what is written is written in a transaction"
