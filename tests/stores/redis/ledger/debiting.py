"""What processes do that race for units. Each function here runs in a process of its own, with a ledger of its own."""

from __future__ import annotations

import random

from payaid_entitlements.core.metering.posting import Debit, Line
from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.redis.ledger import RedisLedger


def debit_all(number: int, url: str, accounts: int, times: int) -> list[str]:
    """
    Try to take a unit of each account as often as *times*, in an order of one's own; what had no answer is repeated.

    Returns:
        The operations that took one.
    """
    ledger = RedisLedger(url)
    acts = [(account, time) for account in range(accounts) for time in range(times)]
    random.Random(number).shuffle(acts)
    taken = []
    for account, time in acts:
        operation = f"{number}/{account}/{time}"
        debit = Debit("api", 1, (Line("api", f"w{account}", 5),))
        while True:
            try:
                posted = ledger.post(f"tenant-{account % 10}", [debit], operation=operation, digest="one")
                break
            except OutcomeUnknown as error:
                assert error.operation == operation
            except StoreUnavailable:
                continue
        if posted.filled:
            taken.append(operation)
        else:
            assert posted.short is not None
            assert posted.short.room == 0
    ledger.close()
    return taken
