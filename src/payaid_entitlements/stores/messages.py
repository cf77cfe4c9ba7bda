"""A line of the change log as a message of a channel: ``[position, scope, tenant or null, revision]``, as JSON."""

from __future__ import annotations

import json
from typing import Final

from payaid_entitlements.core.identity import identify
from payaid_entitlements.stores.ports import LogEntry, Scope

#: Positions and revisions are below: a column of a database takes no more.
MOST: Final = 1 << 63


def written(entry: LogEntry) -> str:
    """Write *entry* as JSON, in ASCII; at most 3,200 bytes for the longest id that a tenant can have."""
    return json.dumps([entry.position, entry.scope.value, entry.tenant, entry.revision], separators=(",", ":"))


def heard(message: str | bytes) -> LogEntry | None:
    """Read a message; None when it is none of ours, or of a release that says it otherwise."""
    try:
        found = json.loads(message)
        match found:
            case [int(position), str(scope), None | str() as tenant, int(revision)]:
                if tenant is not None:
                    identify("tenant", tenant)
                entry = LogEntry(_counted(position), Scope(scope), tenant, _counted(revision))
            case _:
                return None
    except (TypeError, ValueError, RecursionError):
        return None
    return entry if (entry.tenant is None) is (entry.scope is not Scope.TENANT) else None


def _counted(number: int) -> int:
    # What no store can come to would be believed for ever: nothing that is read is newer.
    if type(number) is bool or not 0 <= number < MOST:
        raise ValueError(number)
    return number
