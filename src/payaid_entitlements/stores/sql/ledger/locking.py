"""One after the other, for those who count rows of the host's: each sees what the ones before it have committed."""

from __future__ import annotations

from payaid_entitlements.errors import ChangeConflict
from payaid_entitlements.stores.sql.ledger.prepared import Asked
from payaid_entitlements.stores.sql.ledger.reading import Flow
from payaid_entitlements.stores.sql.ledger.statements import Statements
from payaid_entitlements.stores.sql.ledger.tables import LOCK


def locking(statements: Statements, tenant: str, feature: str) -> Flow[None]:
    """
    Let nobody else past this for *tenant* and *feature* until the transaction ends.

    Whoever passes counts one up. A transaction that goes on seeing the database as it was when it read first
    (REPEATABLE READ) may have waited here, and would count rows as they were before: on PostgreSQL the server refuses
    it the row that changed meanwhile; on MySQL it sees another number than it has locked. On SQLite a transaction of
    the host's has the whole database from its beginning.

    Raises:
        ChangeConflict: The transaction does not see what the one before it has committed.
    """
    if statements.is_sqlite:
        return
    row = {"key_tenant": tenant, "key_meter": feature, "key_lot": LOCK}
    # The row is locked before the transaction reads anything through us: it may be its first read.
    yield Asked(statements.add_account, row)
    locked = (yield Asked(statements.take_lock, row)).rows
    seen = (yield Asked(statements.see_lock, row)).rows
    if not locked or not seen or seen[0][0] != locked[0][0]:
        raise ChangeConflict(
            "your transaction sees the database as it was before somebody else passed here, so what it counts is old; "
            "nothing was written: begin a new one, and ask for room before you read anything, "
            "or use READ COMMITTED",
            expected=0,
            found=0,
        )
    yield Asked(statements.pass_lock, row)
