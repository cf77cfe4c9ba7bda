"""
The store in a SQL database: SQLite in one file, PostgreSQL for many hosts. Needs the extra ``sql``.

Statements, tables and mappers are shared; the two stores only execute.
"""

from payaid_entitlements.stores.sql.engines import begin_immediate
from payaid_entitlements.stores.sql.store import AsyncSQLStore, SQLStore

__all__ = ["AsyncSQLStore", "SQLStore", "begin_immediate"]
