"""
The operators of conditions: an attribute against a value that is written in the rule.

Each is made once for its value, and then only asks. All are false where the attribute is missing or of another kind,
the ones that deny (``neq``, ``not_in``) too: a condition is about those of whom something is known. To mean the
others, write ``not`` around it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from math import isfinite
from operator import eq, ge, gt, le, lt
from typing import Final, TypeAlias

from payaid_entitlements.core.flags.coercion import same
from payaid_entitlements.core.flags.details import FlagValue
from payaid_entitlements.core.flags.failing import RuleInvalid
from payaid_entitlements.core.flags.patterns import pattern
from payaid_entitlements.core.flags.versions import Version, version

Predicate: TypeAlias = Callable[[object], bool]


def predicate(operator: str, value: FlagValue) -> Predicate:
    """
    Make an operator ready for the *value* on its right.

    Raises:
        RuleInvalid: There is no such operator, or it cannot be about *value*.
    """
    make = _MAKERS.get(operator)
    if make is None:
        raise RuleInvalid(f"there is no operator {operator!r}; there are {', '.join(OPERATORS)}")
    return make(operator, value)


def _wrong(operator: str, needed: str, value: FlagValue) -> RuleInvalid:
    written = repr(value)
    return RuleInvalid(f"{operator!r} needs {needed}, not {written if len(written) < 60 else type(value).__name__}")


def _kind(value: object) -> type | None:
    """What may be compared: bools with bools, numbers with numbers, texts with texts."""
    if isinstance(value, bool):
        return bool
    if isinstance(value, int | float):
        return int
    return str if isinstance(value, str) else None


def _equality(operator: str, value: FlagValue) -> Predicate:
    kind = _kind(value)
    if kind is None:
        raise _wrong(operator, "a text, a number, true or false", value)
    if operator == "eq":
        # No number and no bool is equal to a text, so that nothing else needs to be asked of one.
        return (lambda attribute: attribute == value) if kind is str else lambda attribute: same(attribute, value)
    return lambda attribute: _kind(attribute) is kind and attribute != value


def _membership(operator: str, value: FlagValue) -> Predicate:
    if not isinstance(value, list | tuple) or any(_kind(item) is None for item in value):
        raise _wrong(operator, "a list of texts, numbers, true or false", value)
    wanted = operator == "in"
    if all(isinstance(item, str) for item in value):
        texts = frozenset(value)
        return lambda attribute: isinstance(attribute, str) and (attribute in texts) is wanted
    # A bool is no number here, though Python says 1 == True; so the kind is part of what is looked up.
    members = frozenset((_kind(item), item) for item in value)
    kinds = frozenset(kind for kind, _ in members)

    def ask(attribute: object) -> bool:
        kind = _kind(attribute)
        return kind in kinds and ((kind, attribute) in members) is wanted

    return ask


_ORDERS: Final[Mapping[str, Callable[[float, float], bool]]] = {"lt": lt, "lte": le, "gt": gt, "gte": ge}
_ORDERS_OF_VERSIONS: Final[Mapping[str, Callable[[Version, Version], bool]]] = {
    "semver_eq": eq,
    "semver_lt": lt,
    "semver_lte": le,
    "semver_gt": gt,
    "semver_gte": ge,
    "semver_tilde": lambda one, other: one[0][:2] == other[0][:2] and one >= other,
    "semver_caret": lambda one, other: one[0][0] == other[0][0] and one >= other,
}


def _order(operator: str, value: FlagValue) -> Predicate:
    if isinstance(value, bool) or not isinstance(value, int | float) or not _finite(value):
        raise _wrong(operator, "a number", value)
    compare = _ORDERS[operator]
    return lambda attribute: _kind(attribute) is int and compare(attribute, value)  # type: ignore[arg-type] # its kind says so


def _finite(value: float) -> bool:
    # An integer that is beyond a float is a number all the same, and cannot be asked as one.
    return isinstance(value, int) or isfinite(value)


def _instant(value: object) -> float | None:
    """Seconds since 1970 of an ISO 8601 text with its zone, of a date (its beginning in UTC), or of a number."""
    if isinstance(value, str):
        try:
            read = datetime.fromisoformat(value)
        except ValueError:
            return None
        if read.tzinfo is None and len(value) > len("2026-12-01"):
            return None
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
    return value if _kind(value) is int else None  # type: ignore[return-value] # its kind says so


def _moment(operator: str, value: FlagValue) -> Predicate:
    bound = _instant(value)
    if bound is None or not _finite(bound):
        raise _wrong(operator, "a time with its zone such as 2026-12-01T09:00:00+05:30, or a date", value)
    compare = _ORDERS["lt" if operator == "before" else "gte"]

    def ask(attribute: object) -> bool:
        at = _instant(attribute)
        return at is not None and compare(at, bound)

    return ask


def _affix(operator: str, value: FlagValue) -> Predicate:
    written = (value,) if isinstance(value, str) else value
    if not isinstance(written, list | tuple) or not all(isinstance(item, str) for item in written):
        raise _wrong(operator, "a text, or a list of texts of which one is enough", value)
    wanted = tuple(str(item) for item in written)
    if operator == "starts_with":
        return lambda attribute: isinstance(attribute, str) and attribute.startswith(wanted)
    return lambda attribute: isinstance(attribute, str) and attribute.endswith(wanted)


def _contents(operator: str, value: FlagValue) -> Predicate:
    if _kind(value) is None:
        raise _wrong(operator, "a text, a number, true or false", value)

    def ask(attribute: object) -> bool:
        if isinstance(attribute, str):
            return isinstance(value, str) and value in attribute
        return isinstance(attribute, list | tuple) and any(same(item, value) for item in attribute)

    return ask


def _expression(operator: str, value: FlagValue) -> Predicate:
    if not isinstance(value, str):
        raise _wrong(operator, "a pattern", value)
    search = pattern(value).search
    return lambda attribute: isinstance(attribute, str) and search(attribute)


def _versions(operator: str, value: FlagValue) -> Predicate:
    bound = version(value)
    if bound is None:
        raise _wrong(operator, "a version such as 1.2.3", value)
    compare = _ORDERS_OF_VERSIONS[operator]

    def ask(attribute: object) -> bool:
        read = version(attribute)
        return read is not None and compare(read, bound)

    return ask


def _networks(operator: str, value: FlagValue) -> Predicate:
    written = [value] if isinstance(value, str) else value
    needed = "networks such as 10.0.0.0/8 or 2001:db8::/32"
    if not isinstance(written, list | tuple):
        raise _wrong(operator, needed, value)
    networks: list[IPv4Network | IPv6Network] = []
    for item in written:
        try:
            # A number would be read as an address too.
            networks.append(ip_network(item if isinstance(item, str) else ""))
        except ValueError as error:
            raise _wrong(operator, needed, item) from error

    def ask(attribute: object) -> bool:
        if not isinstance(attribute, str):
            return False
        try:
            address = ip_address(attribute)
        except ValueError:
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in networks)

    return ask


def _presence(operator: str, value: FlagValue) -> Predicate:
    if not isinstance(value, bool):
        raise _wrong(operator, "true or false", value)
    return lambda attribute: (attribute is not None) is value


_MAKERS: Final[Mapping[str, Callable[[str, FlagValue], Predicate]]] = {
    "eq": _equality,
    "neq": _equality,
    "in": _membership,
    "not_in": _membership,
    **dict.fromkeys(_ORDERS, _order),
    "before": _moment,
    "after": _moment,
    "starts_with": _affix,
    "ends_with": _affix,
    "contains": _contents,
    "matches": _expression,
    **dict.fromkeys(_ORDERS_OF_VERSIONS, _versions),
    "cidr": _networks,
    "exists": _presence,
}

#: The names of all operators, as conditions are written with them.
OPERATORS: Final = tuple(_MAKERS)
