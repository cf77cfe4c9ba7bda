"""Any acts in any order, on Redis and on a cluster, against a ledger that counts everything anew."""

from __future__ import annotations

import pytest

from payaid_entitlements.stores.redis.ledger import RedisLedger
from tests.core.metering.machine import run
from tests.stores.redis.conftest import PATIENT


@pytest.mark.parametrize("fixture", ["redis_url", pytest.param("redis_cluster_url", marks=pytest.mark.soak)])
@pytest.mark.parametrize(("examples", "steps"), [(15, 30), pytest.param(1000, 50, marks=pytest.mark.soak)])
def test_it_counts_as_the_naive_one_does(request, fixture, examples, steps):
    ledger = RedisLedger(request.getfixturevalue(fixture) + PATIENT)
    run(ledger, examples=examples, steps=steps)
    ledger.close()
