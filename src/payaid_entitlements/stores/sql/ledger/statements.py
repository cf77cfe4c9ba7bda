"""All statements of the ledger. Each is built and compiled once; no I/O."""

from __future__ import annotations

from payaid_entitlements.stores.sql.ledger.counting import Counting
from payaid_entitlements.stores.sql.ledger.holding import Holding


class Statements(Counting, Holding):
    """The statements for the tables of a ledger on a database; as `Making` says."""
