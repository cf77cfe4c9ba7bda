"""Real processes on one ledger, also while its scripts are forgotten and connections are killed."""

from __future__ import annotations

import time

import pytest

from payaid_entitlements.stores.redis.ledger import RedisLedger
from tests.stores.conftest import Racers
from tests.stores.redis.conftest import PATIENT
from tests.stores.redis.ledger.debiting import debit_all


@pytest.fixture(params=["redis_url", pytest.param("redis_cluster_url", marks=pytest.mark.soak)])
def url(request: pytest.FixtureRequest) -> str:
    return str(request.getfixturevalue(request.param)) + PATIENT


def _exact(url: str, taken: list[list[str]], accounts: int, cap: int) -> None:
    """Of each account exactly *cap* units were had, each by one of the processes, and all is in the entries."""
    operations = sorted(operation for each in taken for operation in each)
    assert len(operations) == len(set(operations)) == accounts * cap
    ledger = RedisLedger(url)
    kept = []
    for tenant in ledger.tenants():
        book = ledger.book(tenant)
        assert [(each.balance.used, each.balance.held) for each in book.accounts] == [(cap, 0)] * len(book.accounts)
        kept += [entry.operation for entry in ledger.entries(tenant, limit=100_000)]
    assert sorted(kept) == operations
    ledger.close()


@pytest.mark.parametrize("accounts", [30, pytest.param(200, marks=pytest.mark.soak)])
def test_no_account_is_oversold_while_scripts_are_forgotten_and_connections_killed(
    racers: Racers, redis_cluster, emptied_redis, url: str, accounts: int
) -> None:
    futures = racers.start(debit_all, url, accounts, 5)
    clients = [server.client() for server in (emptied_redis[0], *redis_cluster.masters)]
    disturbed = 0
    while not all(future.done() for future in futures):
        for client in clients:
            client.script_flush()
            if disturbed % 10 == 9:
                client.client_kill_filter(_type="normal", skipme=True)
        disturbed += 1
        time.sleep(0.005)
    for client in clients:
        client.close()
    _exact(url, [future.result(0) for future in futures], accounts, 5)
    assert disturbed > 10
