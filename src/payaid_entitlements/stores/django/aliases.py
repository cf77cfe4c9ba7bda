"""
What ``DATABASES`` says of a database, as a URL of the same database.

What is about how to get there is carried over: addresses, passwords, TLS, roles. What is about how Django uses its own
connection (isolation, cursors, pools) is left out. What is neither known to be one nor the other is refused: a
connection without the TLS that somebody asked for would be worse than none.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.utils.connection import ConnectionDoesNotExist
from sqlalchemy import URL

from payaid_entitlements.errors import ConfigurationError

#: The execution option of an engine of ours that says of which database of Django's it is.
ALIAS: Final = "payaid_alias"

#: Drivers that Django and we both speak to, by what Django calls the database.
_DRIVERS: Final = {"sqlite": "sqlite3", "postgresql": "psycopg", "mysql": "pymysql"}

#: Options about Django's own use of its connection.
_OWN: Final = {
    "sqlite": {
        "cached_statements",
        "check_same_thread",
        "detect_types",
        "factory",
        "init_command",
        "isolation_level",
        "timeout",
        "transaction_mode",
    },
    "postgresql": {"client_encoding", "cursor_factory", "isolation_level", "pool", "server_side_binding"},
    "mysql": {
        "autocommit",
        "charset",
        "conv",
        "cursorclass",
        "init_command",
        "isolation_level",
        "sql_mode",
        "unix_socket",
    },
}
_TLS_OF_MYSQL: Final = {"ca": "ssl_ca", "cert": "ssl_cert", "key": "ssl_key", "capath": "ssl_capath"}


def wrapper_of(alias: str) -> BaseDatabaseWrapper:
    """
    Give what Django connects with, in this thread.

    Raises:
        ConfigurationError: There is no such database, or Django's settings are not there yet.
    """
    try:
        return connections[alias]
    except ConnectionDoesNotExist:
        known = ", ".join(sorted(connections.settings))
        raise ConfigurationError(f"DATABASES has no {alias!r}; it has {known}") from None
    except ImproperlyConfigured as error:
        raise ConfigurationError(f"Django cannot say what its database {alias!r} is: {error}") from error


def require_driver(wrapper: BaseDatabaseWrapper) -> None:
    """
    Check that Django speaks to its database by a driver that we speak to it by too.

    Raises:
        ConfigurationError: It does not.
    """
    wanted = _DRIVERS.get(wrapper.vendor)
    if wanted is None:
        raise ConfigurationError(
            f"{wrapper.display_name} of DATABASES[{wrapper.alias!r}] is not supported; "
            "use SQLite, PostgreSQL, MariaDB or MySQL"
        )
    # PyMySQL that stands in for another driver has its own name still.
    found = cast("Any", wrapper).Database.__name__.partition(".")[0]
    if found != wanted:
        way_out = {
            "psycopg": "pip install 'psycopg[binary]', which Django takes where it is there",
            "pymysql": "call pymysql.install_as_MySQLdb() in the settings",
            "sqlite3": "use django.db.backends.sqlite3",
        }
        raise ConfigurationError(
            f"DATABASES[{wrapper.alias!r}] is reached by {found}, and the entitlements by {wanted}: {way_out[wanted]}; "
            "or open them by a URL, without tx="
        )


def address_of(wrapper: BaseDatabaseWrapper) -> URL:
    """Write where *wrapper*'s database is, and nothing of how to get in. Read anew each time, as by `url_of`."""
    settings: Mapping[str, Any] = wrapper.settings_dict
    name, host, port = settings["NAME"] or None, settings["HOST"] or None, settings["PORT"] or None
    if wrapper.vendor == "sqlite":
        return URL.create("sqlite", database=str(name))
    query = {}
    if host is not None and ("/" in host or "," in host):
        # A socket, or several servers: drivers take them as options.
        query = {"unix_socket": host} if wrapper.vendor == "mysql" else {"host": host, "port": str(port or 5432)}
        host = port = None
    elif socket := settings["OPTIONS"].get("unix_socket"):
        query = {"unix_socket": str(socket)}
    return URL.create(wrapper.vendor, host=host, port=int(port) if port else None, database=name, query=query)


def url_of(wrapper: BaseDatabaseWrapper) -> URL:
    """
    Write *wrapper*'s settings as a URL, with the password. They are read anew each time: test runners change them.

    Raises:
        ConfigurationError: It is in memory, or has an option of which we do not know what it is about.
    """
    require_driver(wrapper)
    settings: Mapping[str, Any] = wrapper.settings_dict
    address = address_of(wrapper)
    options = {name: value for name, value in settings["OPTIONS"].items() if name not in _OWN[wrapper.vendor]}
    if wrapper.vendor == "sqlite":
        return _sqlite(wrapper, address, options)
    query = _postgresql(options) if wrapper.vendor == "postgresql" else _mysql(wrapper, options)
    entered = address.set(username=settings["USER"] or None, password=settings["PASSWORD"] or None)
    return entered.update_query_dict(query)


def arguments_of(wrapper: BaseDatabaseWrapper) -> dict[str, Any]:
    """
    Say what cannot be in a URL: how often psycopg sends a statement before the server is to remember it.

    Django never lets it, for the sake of poolers; we do, unless the project says that there is one.
    """
    settings = wrapper.settings_dict
    if wrapper.vendor != "postgresql":
        return {}
    if "prepare_threshold" in settings["OPTIONS"]:
        return {"prepare_threshold": settings["OPTIONS"]["prepare_threshold"]}
    return {"prepare_threshold": None} if settings.get("DISABLE_SERVER_SIDE_CURSORS") else {}


def _sqlite(wrapper: BaseDatabaseWrapper, address: URL, options: Mapping[str, Any]) -> URL:
    _refuse_the_rest(wrapper, options)
    name = str(address.database)
    if ":memory:" in name or "mode=memory" in name:
        raise ConfigurationError(
            f"DATABASES[{wrapper.alias!r}] is in memory, where only Django's own connection finds it; in tests give it "
            'a file, "TEST": {"NAME": "test.sqlite3"}, or open memory:// there'
        )
    return address.set(query={"uri": "true"}) if name.startswith("file:") else address


def _postgresql(options: Mapping[str, Any]) -> dict[str, str]:
    # All others are libpq's own.
    query = {name: str(value) for name, value in options.items() if name not in {"assume_role", "prepare_threshold"}}
    if role := options.get("assume_role"):
        escaped = str(role).replace("\\", "\\\\").replace(" ", "\\ ")
        query["options"] = f"{query.get('options', '')} -c role={escaped}".strip()
    return query


def _mysql(wrapper: BaseDatabaseWrapper, options: Mapping[str, Any]) -> dict[str, str]:
    plain = {"connect_timeout", "read_timeout", "write_timeout"}
    query = {name: str(value) for name, value in options.items() if name in plain}
    tls = options.get("ssl") or {}
    known = isinstance(tls, Mapping) and tls.keys() <= _TLS_OF_MYSQL.keys()
    _refuse_the_rest(wrapper, {name: 1 for name in options if name not in plain | ({"ssl"} if known else set())})
    return query | {_TLS_OF_MYSQL[name]: str(value) for name, value in tls.items()}


def _refuse_the_rest(wrapper: BaseDatabaseWrapper, options: Mapping[str, Any]) -> None:
    if options:
        raise ConfigurationError(
            f"DATABASES[{wrapper.alias!r}] has the option {min(options)!r}, of which the entitlements do not know what "
            "it means for connections of their own; open them by a URL of the same database: tx= works all the same"
        )
