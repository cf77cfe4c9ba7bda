"""What hosts do that race. Each function here runs in a process of its own, with a client and an engine of its own."""

from __future__ import annotations

from collections import Counter

from sqlalchemy.orm import Session

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import ChangeConflict, QuotaExceeded, StoreUnavailable
from payaid_entitlements.testing import FakeClock
from tests.entitlements.conftest import START
from tests.holding.conftest import CATALOG
from tests.holding.hosts import ADD, host_engine, rows


def add_rows(number: int, url: str, times: int) -> Counter[str]:
    """Ask for room and add a row, so often; how often it was let pass."""
    engine, found = host_engine(url), Counter[str]()
    with Entitlements.open(url, catalog=CATALOG, clock=FakeClock(START)) as ent:
        ent.counts("crm.contacts")(rows)
        for _ in range(times):
            try:
                with Session(engine) as db:
                    ent.require_room("acme", "crm.contacts", tx=db)
                    db.execute(ADD, {"org": "acme"})
                    db.commit()
                found["added"] += 1
            except QuotaExceeded:
                found["refused"] += 1
            except ChangeConflict:
                # It saw the database as it was before somebody else passed: MariaDB.
                found["again"] += 1
    engine.dispose()
    return found


def take_seats(number: int, url: str, holders: int) -> list[str]:
    """Try to get a seat for each of *holders*, every second one in a transaction; who has got one."""
    engine, given = host_engine(url), []
    with Entitlements.open(url, catalog=CATALOG, clock=FakeClock(START)) as ent:
        for each in range(holders):
            holder = f"member:{(each + number) % holders}"
            for _ in range(20):
                try:
                    if each % 2:
                        ent.assign("acme", "seats", holder)
                    else:
                        with Session(engine) as db:
                            ent.assign("acme", "seats", holder, tx=db)
                            db.commit()
                    given.append(holder)
                except QuotaExceeded:
                    pass
                except StoreUnavailable:
                    # A slow disk: SQLite has no queue, and nothing was given, or it is found to be given already.
                    continue
                break
    engine.dispose()
    return given
