"""The ledger in a SQL database: SQLite, PostgreSQL, MariaDB and MySQL, on the engine of the store."""
