"""`payaid flag history`: what was done to a flag, by whom and why."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from heapq import merge
from typing import Annotated

import typer

from payaid_entitlements.admin.flagging import Standing
from payaid_entitlements.admin.trail import keys_of
from payaid_entitlements.cli.audit import tell
from payaid_entitlements.cli.opening import PAGE, Opened, opened
from payaid_entitlements.cli.options import MOST, AsJson, FlagKey, Url
from payaid_entitlements.stores.ports import AuditEntry, Scope


def history(
    flag: FlagKey,
    limit: Annotated[int, typer.Option(min=1, max=MOST, help="The newest so many.")] = 50,
    url: Url = None,
    as_json: AsJson = False,
) -> None:
    """Show who changed FLAG or turned its kill switch, when and why, the newest last."""
    with opened(url) as store:
        found = deque(entries_of(store, flag), maxlen=limit)
        if not found:
            # Nothing is recorded of what only the catalog speaks of; of a name that is misspelled neither.
            Standing.of(store.published().catalog, store.store.flags()).known(flag)
        tell(store, found, as_json=as_json)


def entries_of(store: Opened, flag: str) -> Iterator[AuditEntry]:
    """Read what was done to *flag*, oldest first."""
    return (entry for entry in changes(store) if flag in keys_of(entry))


def changes(store: Opened) -> Iterator[AuditEntry]:
    """Read what was done to flags and to kill switches, oldest first; the changes of tenants are passed over."""
    trails = (_trail(store, scope) for scope in (Scope.FLAGS, Scope.CONTROLS))
    return merge(*trails, key=lambda entry: entry.position)


def _trail(store: Opened, scope: Scope) -> Iterator[AuditEntry]:
    after = 0
    while True:
        page = store.store.audit(scope=scope, after=after, limit=PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1].position
