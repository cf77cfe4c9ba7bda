"""``manage.py payaid_migrate``: our tables are ours, and no migrations of Django's know them."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web.django.migrating import is_up_to_date, publish, tables


class Command(BaseCommand):
    """Bring the tables up, say whether they have to be, or print what would be done."""

    help = (
        "Bring the tables of payaid_entitlements to what this version needs, and publish the catalog where nothing was "
        "published. Repeating it is harmless."
    )
    # The check that says that it has to be run must not keep it from running.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        """Add what may be said."""
        way = parser.add_mutually_exclusive_group()
        way.add_argument("--check", action="store_true", help="Change nothing; exit with 1 where something is to do.")
        way.add_argument("--sql", action="store_true", help="Change nothing; print the statements.")

    def handle(self, *args: Any, check: bool = False, sql: bool = False, **options: Any) -> None:
        """Do so for each database of the settings."""
        try:
            behind = [self._one(store, check, sql) for store in tables()]
            if not check and not sql:
                publish()
        except EntitlementError as error:
            raise CommandError(str(error)) from error
        if not behind and not sql:
            self.stdout.write("there are no tables: the store keeps none")
        if check and any(behind):
            raise CommandError("run `manage.py payaid_migrate`", returncode=1)

    def _one(self, store: Any, check: bool, sql: bool) -> bool:
        if sql:
            self.stdout.write(store.upgrade_script(), ending="")
            return False
        before = store.current()
        is_behind = not is_up_to_date(store)
        after = before if check or not is_behind else store.upgrade()
        said = "needs a newer version" if check and is_behind else f"version {after}"
        self.stdout.write(f"{store.name}: {said}")
        return is_behind
