"""
Whom a change of flags will move, counted before it is made: who enters, who leaves, who changes arm.

Each tenant is asked about both ways of it, by what is known of it in a listing: its id, its plan and its modules. Rules
that look at something else are not believed to be known: `unknown` names what they look at.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from payaid_entitlements.core.flags import cbor
from payaid_entitlements.core.flags.context import FlagContext
from payaid_entitlements.core.flags.details import FlagDetails
from payaid_entitlements.core.flags.model import All, AnyOf, Condition, Flag, FlagSet, Not, Segment, Test
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.instant import Instant

#: What a listing says of a tenant.
KNOWN: Final = frozenset({"tenant", "targetingKey", "plan", "modules"})


@dataclass(frozen=True, slots=True)
class Forecast:
    """
    Who would be moved by a change of one flag, of those who were counted.

    Attributes:
        enter: Get its default or off variant now, and another one afterwards.
        leave: The other way round.
        change: Get another variant than the default and the off one now, and a third one afterwards.
        before, after: How many get something else than the default and off variants.
        tenants: How many were counted.
        unknown: Attributes that decide and that nobody knows here: of users, or the host's own. What is counted holds
            for who has none of them.
        more: There are more tenants than were counted.
    """

    key: str
    enter: int = 0
    leave: int = 0
    change: int = 0
    before: int = 0
    after: int = 0
    tenants: int = 0
    unknown: tuple[str, ...] = ()
    more: bool = False

    def __str__(self) -> str:
        of = f", of the first {_tenants(self.tenants)}" if self.more else ""
        return f"+{_tenants(self.enter)}, {_none(self.leave, 'leave')}, {_none(self.change, 'change')} arm{of}"


@dataclass(frozen=True, slots=True)
class Counting:
    """
    Counts tenants page by page.

    Attributes:
        now, then: The flags before and after the change.
    """

    key: str
    now: FlagSnapshot
    then: FlagSnapshot
    at: Instant
    unknown: tuple[str, ...] = ()
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def forecast(self) -> Forecast:
        """What was counted so far."""
        enter, leave, change, before, after, tenants = (
            self.counts[name] for name in ("enter", "leave", "change", "before", "after", "tenants")
        )
        return Forecast(self.key, enter, leave, change, before, after, tenants, self.unknown)

    @classmethod
    def of(
        cls,
        key: str,
        catalog_flags: Mapping[str, Flag],
        before: FlagSet,
        after: FlagSet,
        at: Instant,
        *,
        segments: Mapping[str, Condition] | None = None,
    ) -> Counting:
        """
        Begin to count whom the flag *key* would move.
        """
        return cls.of_each([key], catalog_flags, before, after, at, segments=segments)[0]

    @classmethod
    def of_each(
        cls,
        keys: Iterable[str],
        catalog_flags: Mapping[str, Flag],
        before: FlagSet,
        after: FlagSet,
        at: Instant,
        *,
        segments: Mapping[str, Condition] | None = None,
    ) -> tuple[Counting, ...]:
        """
        Begin to count whom each of the flags *keys* would move.

        Kill switches are not asked: what is counted is who is in once the flag is on.

        Args:
            catalog_flags, segments: What the catalog says: first values.
            before, after: The flag set as it is, and as it would be.
        """
        now, then = (FlagSnapshot.of(catalog_flags, each, segments=segments) for each in (before, after))
        found = []
        for key in keys:
            unknown: set[str] = set()
            for snapshot in (now, then):
                for flag in _asked(key, snapshot):
                    unknown |= _looked_at(flag, snapshot.segments)
            found.append(cls(key, now, then, at, tuple(sorted(unknown - KNOWN))))
        return tuple(found)

    def count(self, tenant: str, plan: str | None, modules: Iterable[str]) -> None:
        """Count one tenant."""
        self.look(context_of(tenant, plan, modules, self.at))

    def look(self, context: FlagContext) -> None:
        """Count the tenant of *context*."""
        before, after = (_variant(snapshot, self.key, context) for snapshot in (self.now, self.then))
        counts = self.counts
        counts["tenants"] += 1
        counts["before"] += before is not None
        counts["after"] += after is not None
        if before != after:
            counts["enter" if before is None else "leave" if after is None else "change"] += 1


def context_of(tenant: str, plan: str | None, modules: Iterable[str], at: Instant) -> FlagContext:
    """What a listing knows of *tenant*, as a flag may look at it."""
    attributes: dict[str, object] = {"targetingKey": tenant, "tenant": tenant, "modules": list(modules)}
    if plan is not None:
        attributes["plan"] = plan
    return FlagContext(
        tenant=tenant, user=None, at=at, attributes=attributes, tenant_text=cbor.text(tenant), user_text=None
    )


def _variant(snapshot: FlagSnapshot, key: str, context: FlagContext) -> str | None:
    """The variant that comes out; None where it is one that those get who are not in."""
    compiled = snapshot.flags.get(key)
    if compiled is None:
        return None
    details: FlagDetails = compiled.evaluate(context)
    flag = compiled.flag
    return None if details.variant in (flag.default, flag.off) else details.variant


def _asked(key: str, snapshot: FlagSnapshot) -> Iterator[Flag]:
    """The flag *key* and those that it needs, each once."""
    seen: set[str] = set()
    waiting = [key]
    while waiting:
        name = waiting.pop()
        if name in snapshot.flags and name not in seen:
            seen.add(name)
            flag = snapshot.flags[name].flag
            waiting.extend(each.flag for each in flag.needs)
            yield flag


def _looked_at(flag: Flag, segments: Mapping[str, Condition]) -> set[str]:
    """Attributes that decide, by what stands before the first dot."""
    found = {flag.bucket_by} if flag.fallback is None else {flag.bucket_by, flag.fallback}
    for rule in flag.rules:
        found |= set() if rule.when is None else set(_attributes(rule.when, segments))
    found |= set(_vars(flag.targeting))
    return {path.partition(".")[0] for path in found} - {"$flagd"}


def _attributes(condition: Condition, segments: Mapping[str, Condition]) -> Iterator[str]:
    # Each segment once: many may name the same one, and one that names itself is refused, and looked at all the same.
    seen: set[str] = set()
    waiting = [condition]
    while waiting:
        match waiting.pop():
            case Test(attribute):
                yield attribute
            case All(conditions) | AnyOf(conditions):
                waiting.extend(conditions)
            case Not(inner):
                waiting.append(inner)
            case Segment(name):  # pragma: no branch - the types leave nothing else
                if name in segments and name not in seen:
                    seen.add(name)
                    waiting.append(segments[name])


def _vars(node: object) -> Iterator[str]:
    """Paths that a targeting of flagd reads."""
    if isinstance(node, Mapping):
        for name, operand in node.items():
            if name == "var":
                path = operand[0] if isinstance(operand, list) and operand else operand
                if isinstance(path, str):
                    yield path
            elif name in ("missing", "missing_some"):
                yield from _texts(operand)
            yield from _vars(operand)
    elif isinstance(node, list):
        for each in node:
            yield from _vars(each)


def _texts(operand: object) -> Iterator[str]:
    """All texts of an operand, in its lists too."""
    if isinstance(operand, str):
        yield operand
    elif isinstance(operand, list):
        for each in operand:
            yield from _texts(each)


def _tenants(count: int) -> str:
    return f"{count:,} tenant{'' if count == 1 else 's'}"


def _none(count: int, verb: str) -> str:
    return f"none {verb}s" if not count else f"1 {verb}s" if count == 1 else f"{count:,} {verb}"
