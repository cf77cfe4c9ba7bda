"""
Our tables, which are no models of Django's: ``payaid_migrate`` brings them up to date, and so does ``migrate`` where
they are in one of Django's own databases, test databases among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Final, TypeGuard

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage
from django.core.checks import Warning as Caution

from payaid_entitlements.errors import EntitlementError, StoreUnavailable
from payaid_entitlements.stores.opening import open_store
from payaid_entitlements.web.django.configuration import open_client, said
from payaid_entitlements.web.django.process import entitlements

if TYPE_CHECKING:
    from payaid_entitlements.stores.sql import SQLStore

_WAY_OUT: Final = "`manage.py payaid_migrate`; `migrate` does it too where the tables are in one of Django's databases"
#: What of ``PAYAID`` may name a database.
_PLACES: Final = ("URL", "LEDGER", "LIMITER")


def tables() -> Iterator[SQLStore]:
    """
    Open each database of the settings in which we keep tables; each is closed before the next one.

    Raises:
        ImproperlyConfigured: The settings have no ``PAYAID``.
        ConfigurationError: A URL is of no known kind, or a package is missing.
    """
    given: Mapping[str, Any] = said()
    if "CLIENT" in given:
        client = entitlements()
        yield from filter(_has_tables, dict.fromkeys((client._store, client._besides, client._counting)))
        return
    for place in dict.fromkeys(given[key] for key in _PLACES if given.get(key) is not None):
        with closing(open_store(place)) as store:
            yield from filter(_has_tables, (store,))


def out_of_date(
    app_configs: Sequence[AppConfig] | None = None, databases: Sequence[str] | None = None, **_: Any
) -> list[CheckMessage]:
    """
    Tell of tables that ``payaid_migrate`` is to bring up; a check of Django's with the tag ``database``.

    Django runs those with ``migrate``, and with ``check --database default``.
    """
    if not databases:
        return []
    try:
        behind = [store.name for store in tables() if not is_up_to_date(store)]
    except EntitlementError as error:
        return [_caution(str(error))]
    return [_caution(f"the tables in {name} are not as this version needs them") for name in behind]


def after_migrate(using: str, verbosity: int = 1, stdout: Any = None, **_: Any) -> None:
    """Bring our tables in the database *using* up to date, behind Django's own; for the signal ``post_migrate``."""
    from payaid_entitlements.stores.django.store import DjangoStore

    if getattr(settings, "PAYAID", None) is None:
        return  # `check` says so, and whoever migrates has no need of it yet
    for store in tables():
        if isinstance(store, DjangoStore) and store.alias == using and not is_up_to_date(store):
            version = store.upgrade()
            publish()
            if verbosity >= 1 and stdout is not None:
                stdout.write(f"Tables of payaid_entitlements in {store.name}: version {version}\n")


def publish() -> None:
    """
    Publish the catalog of the settings, where nothing was ever published.

    The first question would do it; but on SQLite not within a transaction of Django's, which keeps all others waiting.
    No connection stays open: a test runner clones the database next, which PostgreSQL refuses while there are any, and
    of SQLite only the file itself is copied.

    Raises:
        ConfigurationError, CatalogInvalid: As `Entitlements.open`.
        StoreUnavailable: The store gave no answer.
    """
    if "CATALOG" not in said():
        return
    with open_client() as client:
        health = client.health()
    if not health.ok:
        raise StoreUnavailable(health.detail)


def is_up_to_date(store: SQLStore) -> bool:
    """Can this version use the tables of *store*?"""
    from payaid_entitlements.stores.sql.tables import SCHEMA_VERSION

    version = store.current()
    return version is not None and version.serves(SCHEMA_VERSION)


def _has_tables(store: object) -> TypeGuard[SQLStore]:
    return hasattr(store, "upgrade")


def _caution(message: str) -> CheckMessage:
    # No error: `migrate`, which runs this first, would not begin.
    return Caution(message, hint=f"run {_WAY_OUT}", id="payaid.W002")
