"""
The store in a SQL database: SQLite in one file, PostgreSQL or MariaDB for many hosts.

Needs the extra ``sql``, for MariaDB and MySQL also ``mysql``.

Statements, tables and mappers are shared; the two stores only execute.
"""

from payaid_entitlements.stores.sql.engines import begin_immediate
from payaid_entitlements.stores.sql.hosting import include_object, include_object_for
from payaid_entitlements.stores.sql.store import AsyncSQLStore, SQLStore

__all__ = ["AsyncSQLStore", "SQLStore", "begin_immediate", "include_object", "include_object_for"]
