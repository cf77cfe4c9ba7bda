"""
Changing what is sold and switching it: what operators do. ``operation`` and ``because`` are as for all verbs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike

from payaid_entitlements.admin.asking import Asking, R, optional_operation
from payaid_entitlements.admin.percent import Percent, share
from payaid_entitlements.admin.selling import migrate_add_on_all, migrate_all, publish_catalog
from payaid_entitlements.admin.switches import set_killed, set_mode
from payaid_entitlements.admin.undoing import undo_change
from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.controls import Enforcement, enforcement
from payaid_entitlements.core.identity import Operation, identify, plain
from payaid_entitlements.errors import ConfigurationError


class ProductVerbs(Asking[R]):
    """Verbs about what is sold, about switches, and undoing."""

    def publish(
        self,
        catalog: Catalog | str | PathLike[str] | Mapping[str, object],
        *,
        migrate: Iterable[str] = (),
        because: str | None = None,
    ) -> R:
        """
        Sell what *catalog* says. Each plan and add-on that changed gets a new version; who holds an older one keeps it.

        Args:
            catalog: A `Catalog`, or what `Catalog.load` takes.
            migrate: Plans whose holders move to the new version at once.

        Raises:
            CatalogInvalid: It has mistakes, or takes the meaning from what somebody may hold: a key that was published
                is gone and not `retired`, or retired before its day, or of another kind.
            UnknownPlan: It has no plan of *migrate*; nothing was published.
        """
        if isinstance(migrate, str):
            raise TypeError(f"migrate={migrate!r}: give several plans, as a list")
        moving = tuple(plain("a plan to migrate", plan) for plan in migrate)
        new = catalog if isinstance(catalog, Catalog) else Catalog.load(catalog)
        return self._change(publish_catalog(self._setting, self._by(because), new, moving))

    def migrate(
        self,
        plan: str,
        *,
        to: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        because: str | None = None,
    ) -> R:
        """
        Move all who hold an older version of *plan* to version *to*, by default the newest.

        Each tenant is a change of its own; interrupted, call it again and it goes on with those who are left.

        Args:
            progress: Is told, after each hundred tenants, how many were looked at and how many moved.
        """
        if to is not None and type(to) is not int:
            raise TypeError(f"to={to!r}: a version is a whole number, or None for the newest")
        return self._change(migrate_all(self._setting, self._by(because), plain("plan", plan), to, progress))

    def migrate_add_on(
        self,
        add_on: str,
        *,
        to: int | None = None,
        progress: Callable[[int, int], None] | None = None,
        because: str | None = None,
    ) -> R:
        """
        Move all who hold an older version of *add_on* to version *to*, by default the newest; otherwise as `migrate`.

        Whose plan that version is not for keeps the older one.
        """
        key = plain("add_on", add_on)
        return self._change(migrate_add_on_all(self._setting, self._by(because), key, to, progress))

    def kill(self, key: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Turn a module or feature off for everybody, at once; or a flag, which gives its off variant then."""
        return self._killed(key, True, because, operation)

    def restore(self, key: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """Undo `kill`."""
        return self._killed(key, False, because, operation)

    def _killed(self, key: str, is_killed: bool, because: str | None, operation: Operation | None) -> R:
        known = optional_operation(operation)
        return self._change(set_killed(self._setting, self._by(because), plain("key", key), is_killed, known))

    def set_enforcement(
        self,
        scope: str,
        mode: Enforcement | str,
        *,
        percent: Percent = 100,
        because: str | None = None,
        operation: Operation | None = None,
    ) -> R:
        """
        Set whether refusals are carried out.

        Args:
            scope: A module, or ``"*"`` for wherever no module has a mode of its own.
            mode: ``off``, ``observe`` or ``enforce``.
            percent: Of the tenants, ``5`` or ``"0.5%"``: always the same ones, who stay in as it grows; in each scope
                others. The rest stay under the mode that is stored for them. Where none is, or it is the same one,
                they are observed, and enforced where *mode* is no enforcing.

        Raises:
            TypeError: *percent* is a float, or nothing that is a percentage.
            ConfigurationError: It is not from 0 to 100, or finer than 0.001 %.
            UnknownFeature: The catalog has no such module.
        """
        word = enforcement(mode, source="mode")
        try:
            parts = share(percent)
        except ValueError as error:
            raise ConfigurationError(f"percent: {error}") from None
        known = optional_operation(operation)
        return self._change(set_mode(self._setting, self._by(because), plain("scope", scope), word, known, parts))

    def undo(self, change_id: str, *, because: str | None = None, operation: Operation | None = None) -> R:
        """
        Let everything that a change touched be, from now on, what it would be without that change.

        An undoing can be undone. What was published or forgotten cannot.

        Raises:
            ChangeConflict: Something of it was changed since; the message names that change: undo it first.
            ConfigurationError: There is no such change, or it cannot be undone.
        """
        author = self._by(because)
        return self._change(
            undo_change(self._setting, author, identify("change_id", change_id), optional_operation(operation))
        )
