"""Values of features as an operator writes them: as in the catalog, or `unlimited`, or `deny`."""

from __future__ import annotations

from decimal import Decimal

from payaid_entitlements.cli.endings import Ending
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.model import Kind
from payaid_entitlements.core.catalog.problems import Findings, did_you_mean
from payaid_entitlements.core.catalog.quantities import feature_value
from payaid_entitlements.core.catalog.yaml12 import read_yaml
from payaid_entitlements.core.values import DENY, UNLIMITED, Deny, Value
from payaid_entitlements.errors import UnknownFeature


def known(catalog: Catalog, key: str) -> str:
    """
    Return *key*, a module or feature of *catalog*.

    Raises:
        UnknownFeature: It is none; says which one was perhaps meant.
    """
    keys = (*catalog.modules, *catalog.features)
    if key not in keys:
        raise UnknownFeature(f"the catalog has no module or feature {key!r}{did_you_mean(key, keys)}")
    return key


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
    known(catalog, key)
    word = text.strip().lower()
    if word == "deny":
        return DENY
    feature = catalog.features.get(key)
    if feature is None:
        if word == "true":
            return True
        if word == "false":
            return DENY
        raise Ending(f"{key!r} is a module; write true, false or deny, not {text!r}")
    if word == "unlimited":
        return UNLIMITED
    findings = Findings("<value>")
    data = read_yaml(text, findings)
    if findings.fatal:
        raise Ending(f"{text!r} cannot be read: {findings.fatal[0].message}")
    if feature.kind.is_metered and isinstance(data, int | Decimal) and not isinstance(data, bool):
        return data  # without a window it keeps that of what is sold
    try:
        return feature_value(feature, data)
    except ValueError as error:
        raise Ending(f"{key!r}: {error}") from None
