"""A tenant that a proxy of one's own writes into a header."""

from __future__ import annotations

from payaid_entitlements.web.request import Incoming
from payaid_entitlements.web.tenancy.proofs import field_name
from payaid_entitlements.web.tenancy.source import Proof, Source, ambiguous, one_value


def header(name: str, *, behind: Proof | None = None) -> Source:
    """
    Read a header: verified where *behind* says that a proxy wrote it, else only what some client claims.

    A field that was sent twice, or with an underscore in its name, or that has a comma, is a `TenantConflict`: servers
    and proxies join fields by commas, so nobody can say who wrote which part. Hence an id with a comma cannot be sent.

    Args:
        name: Of the field: ``"X-Tenant-Id"``.
        behind: ``trusted_networks(...)`` or ``shared_secret(...)``. None: never verified, so
            that it can only stand in ``beside=``.

    Raises:
        ConfigurationError: *name* is no name of a field.
    """
    field = field_name(name)
    called = f"header {field}"

    def read(incoming: Incoming) -> str | None:
        value = one_value(incoming, field, called)
        if value is not None and "," in value:
            raise ambiguous(called, value)
        return value

    return Source(called, read, behind)
