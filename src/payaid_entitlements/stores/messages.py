"""A line of the change log as a message of a channel: ``[position, scope, tenant or null, revision]``, as JSON."""

from __future__ import annotations

import json

from payaid_entitlements.stores.ports import LogEntry, Scope


def written(entry: LogEntry) -> str:
    """Write *entry* as JSON, in ASCII; at most 3,200 bytes for the longest id that a tenant can have."""
    return json.dumps([entry.position, entry.scope.value, entry.tenant, entry.revision], separators=(",", ":"))


def heard(message: str | bytes) -> LogEntry | None:
    """Read a message; None when it is none of ours, or of a release that says it otherwise."""
    try:
        found = json.loads(message)
        match found:
            case [int(position), str(scope), None | str() as tenant, int(revision)]:
                entry = LogEntry(position, Scope(scope), tenant, revision)
            case _:
                return None
    except (ValueError, RecursionError):
        return None
    return entry if (entry.tenant is None) is (entry.scope is not Scope.TENANT) else None
