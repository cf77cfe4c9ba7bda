"""The contract of ledgers on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import shutil

import pytest

from payaid_entitlements.stores.sql import AsyncSQLStore, SQLStore
from payaid_entitlements.testing import AsyncLedgerContract, LedgerContract


@pytest.fixture(scope="session")
def template(tmp_path_factory):
    """A file of SQLite with our tables: to copy it takes less than to make it."""
    path = tmp_path_factory.mktemp("template") / "payaid.db"
    store = SQLStore(f"sqlite:///{path}")
    store.prepare()
    store.close()
    return path


@pytest.fixture
def made_file(template, tmp_path):
    """The URL of a file of SQLite with our tables, and nothing in them."""
    return f"sqlite:///{shutil.copy(template, tmp_path / 'payaid.db')}"


class TestSQL(LedgerContract):
    @pytest.fixture(params=["made_file", "migrated_url", "made_url"])
    def url(self, request):
        """Of a database of each kind."""
        return request.getfixturevalue(request.param)

    @pytest.fixture
    def new_ledger(self, url):
        stores = []

        def new_ledger():
            stores.append(SQLStore(url))
            return stores[-1].ledger

        yield new_ledger
        for store in stores:
            store.close()


class TestAsyncSQL(AsyncLedgerContract):
    """Both colours run the same flows, so on servers this is for the long run."""

    @pytest.fixture(
        params=["sqlite", *(pytest.param(each, marks=pytest.mark.soak) for each in ("postgresql", "mysql"))]
    )
    def url(self, request):
        """As `database_url`."""
        names = {"postgresql": "migrated_url", "mysql": "made_url", "sqlite": "made_file"}
        return request.getfixturevalue(names[request.param])

    @pytest.fixture
    def new_ledger(self, url, loop):
        stores = []

        def new_ledger():
            stores.append(AsyncSQLStore(url))
            return stores[-1].ledger

        yield new_ledger
        for store in stores:
            loop.run(store.aclose())
