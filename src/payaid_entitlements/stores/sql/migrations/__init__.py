"""
The history of the tables, oldest first: one file for each version, never changed once it was released.

``revision`` is the version, a dot, and the oldest version whose releases can use these tables too; ``LOSES`` says to an
operator what goes when it is taken back. A new version comes
with `SCHEMA_VERSION` and `WORKS_FROM` in `tables`; tests compare the two ways to it on every database.
"""

from __future__ import annotations

from types import ModuleType

from payaid_entitlements.stores.sql.migrations import v1, v2, v3, v4, v5

#: The migration to version 1, to 2 and so on.
MIGRATIONS: tuple[ModuleType, ...] = (v1, v2, v3, v4, v5)
