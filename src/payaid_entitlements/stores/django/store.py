"""The SQL store where ``DATABASES`` of a Django project says that it is."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from sqlalchemy import URL, Dialect, event, make_url
from sqlalchemy.exc import ArgumentError, DisconnectionError

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.django.aliases import ALIAS, arguments_of, url_of, wrapper_of
from payaid_entitlements.stores.sql.engines import Connecting, sync_engine
from payaid_entitlements.stores.sql.places import place_of, shown
from payaid_entitlements.stores.sql.store import SQLStore

#: Under what a connection of ours remembers to which database it was made.
_MADE_FOR: Final = "payaid_made_for"


class DjangoStore(SQLStore):
    """
    Same as `SQLStore`, in a database of Django's; connects at the first use.

    Test runners give ``DATABASES`` other names after programs have begun: each connection is made as the settings are
    then, and one that was made as they were before is given up.

    Args:
        url: ``django://default``, or another key of ``DATABASES``; ``payaid_schema``, ``payaid_prefix`` and
            ``payaid_keep_operations`` as for `SQLStore`.

    Raises:
        ConfigurationError: There is no such database, or we have no way to it.
    """

    def __init__(self, url: str) -> None:
        self.alias, query = _named(url)
        wrapper = wrapper_of(self.alias)
        place = place_of(url_of(wrapper).update_query_dict(query))
        engine = sync_engine(place.url, connecting=_following(place.url, self.alias))
        event.listen(engine, "checkout", _require_current(self.alias))
        super().__init__(engine.execution_options(**{ALIAS: self.alias}), prefix=place.prefix, schema=place.schema)
        # As of one that a URL names, its connections commit by themselves: no reading has to tell them.
        self._owns_engine = True
        self._reading = self._engine.execution_options(**self._reads)
        self.keeps_for = place.keeps_for

    @property
    def name(self) -> str:
        """Same as `Store.name`."""
        return shown(url_of(wrapper_of(self.alias)), self._statements.prefix, self._statements.schema)


def _named(url: str) -> tuple[str, dict[str, Any]]:
    """What *url* names, and what it says besides."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        parsed = URL.create("django")
    if parsed.host is None or parsed != URL.create("django", host=parsed.host, query=parsed.query):
        raise ConfigurationError(
            "write django:// and a key of DATABASES, as in django://default; the rest stands in the settings"
        )
    others = [name for name in parsed.query if not name.startswith("payaid_")]
    if others:
        raise ConfigurationError(f"{min(others)!r} is not said here but in the OPTIONS of DATABASES[{parsed.host!r}]")
    return parsed.host, dict(parsed.query)


def _following(begun: URL, alias: str) -> Connecting:
    """What lets an engine, which was made for *begun*, connect as the settings are when it does."""

    def connecting(dialect: Dialect, record: Any, positional: list[Any], named: dict[str, Any]) -> None:
        wrapper = wrapper_of(alias)
        (_, was), (at, now) = (dialect.create_connect_args(each) for each in (begun, url_of(wrapper)))
        positional[:] = at
        # Only what has changed: limits of ours were put beside what the first settings say.
        named.update({key: value for key, value in now.items() if was.get(key) != value})
        named.update(arguments_of(wrapper))
        record.info[_MADE_FOR] = wrapper.settings_dict["NAME"]

    return connecting


def _require_current(alias: str) -> Callable[[Any, Any, object], None]:
    """What lets a pool give up a connection that was made before the settings named another database."""

    def check(connection: Any, record: Any, proxy: object) -> None:
        if record.info[_MADE_FOR] != wrapper_of(alias).settings_dict["NAME"]:
            raise DisconnectionError(f"DATABASES[{alias!r}] names another database than before")

    return check
