"""The contract of ledgers that join a host's transaction, on each database."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy import create_engine

from payaid_entitlements.stores.ledger import Ledger
from payaid_entitlements.stores.sql import SQLStore, begin_immediate
from payaid_entitlements.testing import LedgerJoiningContract
from tests.stores.conftest import driven


class TestSQL(LedgerJoiningContract):
    """Transactions of a host that has an engine of its own."""

    @pytest.fixture(params=["sqlite_url", "migrated_url", "made_url"])
    def url(self, request: pytest.FixtureRequest) -> str:
        return str(request.getfixturevalue(request.param))

    @pytest.fixture
    def begin(self, url: str) -> Iterator[object]:
        engine = create_engine(driven(url))
        if engine.dialect.name == "sqlite":
            begin_immediate(engine)
        yield engine.begin
        engine.dispose()

    @pytest.fixture
    def open_ledger(self, url: str) -> Iterator[Callable[[], Ledger]]:
        with ExitStack() as stack:

            def another() -> Ledger:
                store = SQLStore(url)
                stack.callback(store.close)
                store.prepare()
                return store.ledger

            yield another

    @pytest.fixture
    def ledger(self, open_ledger: Callable[[], Ledger]) -> Ledger:
        return open_ledger()
