"""Values of features as an operator writes them: as in the catalog, or `unlimited`, or `deny`."""

from __future__ import annotations

from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.typed import known, typed
from payaid_entitlements.core.values import Deny, Value


def counted(catalog: Catalog, key: str, *kinds: Kind) -> str:
    """
    Return *key*, a feature of one of *kinds* of which the ledger knows what is used.

    Raises:
        UnknownFeature: The catalog has no such key.
        Ending: It is of another kind, or counted on the host's own rows.
    """
    feature = catalog.features.get(known(catalog, key))
    if feature is not None and feature.count == "host":
        raise Ending(f"{key!r} is counted on the app's own rows; the ledger knows nothing of it")
    if feature is None or feature.kind not in kinds:
        raise Ending(f"{key!r} is of kind {'module' if feature is None else feature.kind}, not {' or '.join(kinds)}")
    return key


def parse_value(catalog: Catalog, key: str, text: str) -> Value | Deny:
    """
    Read what somebody typed as a value of *key*.

    Raises:
        UnknownFeature: The catalog has no such key.
        Ending: The text is no value of this feature.
    """
    try:
        return typed(catalog, key, text)
    except ValueError as error:
        raise Ending(str(error)) from None
