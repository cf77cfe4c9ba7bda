"""Values of features as people type them: as in the catalog, or ``unlimited``, or ``deny``."""

from __future__ import annotations

from decimal import Decimal

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.quantities import feature_value
from payaid_entitlements.core.ratelimit.overriding import require_limit
from payaid_entitlements.core.values import DENY, UNLIMITED, Deny, Value
from payaid_entitlements.core.written.keyspace import RATE_LIMITS
from payaid_entitlements.core.written.problems import Findings, did_you_mean
from payaid_entitlements.core.written.yaml12 import read_yaml
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


def overridable(catalog: Catalog, key: str) -> str:
    """
    Return *key*, a module or feature of *catalog*, or ``rate_limits.`` and the key of a rate limit.

    Raises:
        UnknownFeature: It is none; says which one was perhaps meant.
    """
    if key.startswith(RATE_LIMITS):
        require_limit(catalog, key)
        return key
    return known(catalog, key)


def typed(catalog: Catalog, key: str, text: str) -> Value | Deny:
    """
    Read what somebody typed as a value of *key*.

    Raises:
        UnknownFeature: The catalog has no such key.
        ValueError: The text is no value of this feature. Rates of a rate limit, joined by commas, are not looked at
            here.
    """
    overridable(catalog, key)
    word = text.strip().lower()
    if word == "deny":
        return DENY
    if key.startswith(RATE_LIMITS):
        return UNLIMITED if word == "unlimited" else tuple(rate.strip() for rate in text.split(","))
    feature = catalog.features.get(key)
    if feature is None:
        if word == "true":
            return True
        if word == "false":
            return DENY
        raise ValueError(f"{key!r} is a module; write true, false or deny, not {text!r}")
    if word == "unlimited":
        return UNLIMITED
    findings = Findings("<value>")
    data = read_yaml(text, findings)
    if findings.fatal:
        raise ValueError(f"{text!r} cannot be read: {findings.fatal[0].message}")
    if feature.kind.is_metered and isinstance(data, int | Decimal) and not isinstance(data, bool):
        return data  # without a window it keeps that of what is sold
    try:
        return feature_value(feature, data)
    except ValueError as error:
        raise ValueError(f"{key!r}: {error}") from None
