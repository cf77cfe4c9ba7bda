"""
Where a SQL database is: URLs as people write them, and what of them may be shown.

Everything of ours in a URL begins with ``payaid_`` and is taken out before a driver sees it.
"""

from __future__ import annotations

import os.path
from dataclasses import dataclass
from typing import Final

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.keeping import KEEP, KEPT, kept_for
from payaid_entitlements.stores.sql.columns import MYSQL
from payaid_entitlements.stores.sql.tables import PREFIX, require_names

#: How URLs may begin, as people write them and as SQLAlchemy names the databases.
_KNOWN: Final = ("sqlite", "postgresql", *MYSQL)
_EXAMPLES: Final = (
    "sqlite:///file.db, postgresql://user:password@host:5432/name, mysql://..., mariadb://... or memory://"
)


@dataclass(frozen=True, slots=True)
class Place:
    """
    A database and our tables in it.

    Attributes:
        url: Without options of ours; its driver is still to be chosen.
        prefix: What our tables' names begin with.
        schema: The schema that they are in; None for the one in which the connection looks.
        keeps_for: Microseconds for which the ledger remembers operations, at least.
    """

    url: URL
    prefix: str
    schema: str | None
    keeps_for: int = KEPT


def place_of(url: str | URL) -> Place:
    """
    Read *url*, which a person wrote or SQLAlchemy has read.

    Raises:
        ConfigurationError: It names no database that is supported, or an SQLite database without a file, or has an
            option of ours that there is not.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Neither the text nor what SQLAlchemy says of it is shown: a part of it may be a password.
        raise ConfigurationError(f"this is no URL of a database; write {_EXAMPLES}") from None
    backend = parsed.get_backend_name()
    if backend not in _KNOWN:
        raise ConfigurationError(f"{backend!r} is not supported; use {_EXAMPLES}")
    ours = {name: value for name, value in parsed.query.items() if name.startswith("payaid_")}
    plain = parsed.difference_update_query(ours)
    prefix, schema, keep = (_one(ours, name) for name in ("payaid_prefix", "payaid_schema", KEEP))
    place = Place(plain, prefix or PREFIX, schema, KEPT if keep is None else kept_for(keep))
    if ours:
        raise ConfigurationError(
            f"no option of a database is called {min(ours)!r}; there are payaid_schema, payaid_prefix and {KEEP}"
        )
    if backend == "sqlite" and not is_file(place.url):
        raise ConfigurationError(
            f"{shown(place.url)!r} names no file, and each connection would have a database of its own; "
            "use memory:// or sqlite:///file.db"
        )
    return place


def _one(ours: dict[str, str | tuple[str, ...]], name: str) -> str | None:
    """Take what the URL says of *name*, once; None where it says nothing."""
    value = ours.pop(name, None)
    if isinstance(value, tuple):
        raise ConfigurationError(f"{name} is given once: ?{name}=...")
    return value


def require_place(backend: str, prefix: str, schema: str | None) -> None:
    """
    Check where tables are to be.

    Raises:
        ConfigurationError: These names cannot be, or the database has no schemas.
    """
    require_names(prefix, schema)
    if backend == "sqlite" and schema is not None:
        raise ConfigurationError(
            f"schema={schema!r}: SQLite has no schemas; use prefix= (?payaid_prefix=...) or another file"
        )


def shown(url: URL, prefix: str = PREFIX, schema: str | None = None) -> str:
    """Write *url* for people, with where our tables are if it is not where they usually are: without a password."""
    query = {key: value for key, value in url.query.items() if "password" not in key.lower() and key != "passwd"}
    ours = {"payaid_prefix": prefix if prefix != PREFIX else None, "payaid_schema": schema}
    query |= {name: value for name, value in ours.items() if value is not None}
    return url.set(query=query).render_as_string(hide_password=True)


def is_file(url: URL) -> bool:
    """Does an SQLite database at *url* outlive its process?"""
    database = url.database or ""
    return bool(database) and ":memory:" not in database and url.query.get("mode") != "memory"


def is_same_place(one: URL, other: URL) -> bool:
    """Are both of one database, so that one transaction may be about both?"""
    if {one.get_backend_name(), other.get_backend_name()} == {"sqlite"}:
        return is_file(one) and is_file(other) and _path(one) == _path(other)
    return _place(one) == _place(other)


def _path(url: URL) -> str:
    return os.path.realpath(str(url.database))


def _place(url: URL) -> tuple[object, ...]:
    backend = url.get_backend_name()
    if backend in MYSQL:
        return "mysql", url.query.get("unix_socket") or (url.host, str(url.port or 3306)), url.database
    # A socket's directory can only be given in the query.
    host, port = url.host or url.query.get("host"), url.port or url.query.get("port") or 5432
    return backend, host, str(port), url.database
