"""How our own connections to MariaDB and MySQL begin."""

from __future__ import annotations

import ssl
from typing import Any, Final

from pymysql.connections import Connection

from payaid_entitlements.stores.hurry import silence
from payaid_entitlements.stores.sql.engines import LONGEST, PATIENCE

#: Seconds after which a server ends a transaction in which nothing happens, and a session in which nothing happens.
IDLE_WRITER: Final = 60
IDLE: Final = 1200

# What is in ``/*M!`` only MariaDB reads, what is in ``/*!80000`` only MySQL. There it ends reads only; a writer that
# waits for another one is ended by innodb_lock_wait_timeout.
SESSION: Final = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO', "
    f"wait_timeout = {IDLE}, innodb_lock_wait_timeout = {PATIENCE} "
    f"/*M! , max_statement_time = {PATIENCE}, idle_transaction_timeout = {IDLE_WRITER} */ "
    f"/*!80000 , max_execution_time = {PATIENCE * 1000} */"
)


def limits(*, is_async: bool) -> dict[str, Any]:
    """What a connection is made with unless a URL says otherwise."""
    arguments: dict[str, Any] = {
        "charset": "utf8mb4",
        "autocommit": True,
        "connect_timeout": PATIENCE,
        "read_timeout": LONGEST,
        "init_command": SESSION,
    }
    # asyncmy hands over what it writes to the event loop, and waits for none of it.
    return arguments if is_async else {**arguments, "write_timeout": LONGEST}


class _Connection(Connection):
    """
    Where nothing was said of TLS, PyMySQL uses it if the server has it, and verifies nothing.

    It looks up its limits at each use: a question has limits of its own.
    """

    @property
    def connect_timeout(self) -> float:
        return silence(self._to_connect)

    @connect_timeout.setter
    def connect_timeout(self, seconds: float | None) -> None:
        self._to_connect = PATIENCE if seconds is None else seconds

    @property
    def _read_timeout(self) -> float:
        return silence(self._to_read)

    @_read_timeout.setter
    def _read_timeout(self, seconds: float | None) -> None:
        self._to_read = LONGEST if seconds is None else seconds

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        # It would read all certificates of the system first, 25 ms for each connection, to compare none.
        return super()._create_ssl_ctx(sslp) if sslp else _unverified()  # type: ignore[misc] # it is not in their stubs


def _unverified() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


connect = _Connection
