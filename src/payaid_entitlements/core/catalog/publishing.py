"""
Publishing: a catalog becomes what is sold, and each plan that changed gets a new version.

Customers keep the version that they hold. What is sold with a plan makes a version: its modules,
features, rate limits, trial, and the amounts of its price. Title, url, `buy`, rank and the ids that
a payment provider has for a price are shown or looked up, not sold: they change for every holder of
the newest version.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from payaid_entitlements.core.catalog.difference import Difference, difference
from payaid_entitlements.core.catalog.problems import Findings, Problem, did_you_mean
from payaid_entitlements.errors import CatalogInvalid, UnknownPlan

if TYPE_CHECKING:
    from payaid_entitlements.core.catalog.model import Catalog, Plan


@dataclass(frozen=True, slots=True)
class PlanVersion:
    """One version of one plan."""

    plan: str
    version: int


@dataclass(frozen=True, slots=True)
class Publication:
    """
    What publishing changed.

    Attributes:
        revision: Of the catalog that is sold now.
        hash: Of the catalog that is sold now.
        added: Plans that were not sold before; one that comes back goes on counting its versions.
        changed: Plans of which there is a new version.
        removed: Plans that are not sold any more, each with the newest version that some may hold.
        differences: All that differs from what was sold before, as it is written; nothing for the
            first publication.
        is_empty: The same catalog is sold already.
    """

    revision: int
    hash: str
    added: tuple[PlanVersion, ...] = ()
    changed: tuple[PlanVersion, ...] = ()
    removed: tuple[PlanVersion, ...] = ()
    differences: tuple[Difference, ...] = ()
    is_empty: bool = False

    def lines(self) -> tuple[str, ...]:
        """Tell people what changed, one fact a line."""
        if self.is_empty:
            return (f"nothing changed; revision {self.revision}, {self.hash[:12]}, is sold already",)
        return (
            f"revision {self.revision}, {self.hash[:12]}",
            *(f"plan {item.plan!r} is sold, version {item.version}" for item in self.added),
            *(
                f"plan {item.plan!r} has version {item.version}; who holds an older one keeps it"
                for item in self.changed
            ),
            *(f"plan {item.plan!r} is not sold any more; who holds it keeps it" for item in self.removed),
            *map(str, self.differences),
        )


@dataclass(frozen=True, slots=True)
class Published:
    """
    What is sold, and every version of every plan that ever was.

    Attributes:
        revision: From 1; grows with each publication that changes something.
        catalog: What is sold now.
        versions: All versions of each plan, from 1, also of plans that are not sold any more.
        written: The same as JSON data, flattened, as they are kept.
    """

    revision: int
    catalog: Catalog
    versions: Mapping[str, tuple[Plan, ...]]
    written: Mapping[str, tuple[Mapping[str, object], ...]]

    def plan(self, key: str, version: int | None = None) -> Plan:
        """
        Find a plan, by default in its newest version.

        Raises:
            UnknownPlan: It was never sold, or not in this version.
        """
        versions = self.versions.get(key, ())
        if not versions:
            raise UnknownPlan(f"no plan {key!r} was ever published{did_you_mean(key, self.versions)}")
        if version is None:
            return versions[-1]
        if not self.has(key, version):
            raise UnknownPlan(f"plan {key!r} has no version {version}; there are 1 to {len(versions)}")
        return versions[version - 1]

    def has(self, key: str, version: int | None = None) -> bool:
        """Was the plan *key* ever sold, in this version?"""
        versions = self.versions.get(key, ())
        return bool(versions) if version is None else 1 <= version <= len(versions)

    def to_json(self) -> str:
        """Write all of it as one text, which `from_json` reads back to an equal value."""
        plans = {
            key: [{"rank": plan.rank, "plan": data} for plan, data in zip(plans, self.written[key], strict=True)]
            for key, plans in self.versions.items()
        }
        data = {"format": 1, "revision": self.revision, "catalog": self.catalog.document, "plans": plans}
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Published:
        """
        Read what `to_json` wrote.

        Raises:
            CatalogInvalid: *text* is something else, or from a release with another format.
        """
        from payaid_entitlements.core.catalog.model import Catalog

        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _unreadable(str(error)) from error
        match data:
            case {"format": 1, "revision": int(revision), "catalog": dict(document), "plans": dict(plans)}:
                catalog = Catalog.load(document)
            case _:
                raise _unreadable("it has another format than this release reads")
        try:
            kept = {key: tuple((int(item["rank"]), dict(item["plan"])) for item in plans[key]) for key in plans}
        except (KeyError, TypeError, ValueError) as error:
            raise _unreadable(f"its plans are malformed: {error!r}") from error
        if not all(kept.values()) or not kept.keys() >= catalog.plans.keys():
            raise _unreadable("a plan has no version")
        findings = Findings("<published>")
        versions = _read_versions(kept, catalog, findings)
        if findings.fatal:
            raise CatalogInvalid(findings.fatal)
        return cls(revision, catalog, versions, {key: tuple(raw for _, raw in kept[key]) for key in kept})


def publish(held: Published | None, catalog: Catalog) -> tuple[Published, Publication]:
    """
    Make *catalog* what is sold, in place of what is *held*; nothing is written anywhere.

    Returns:
        What is sold now, and what that changed. The same catalog again returns *held* itself.

    Raises:
        CatalogInvalid: A version that somebody may hold would lose its meaning: a module or feature
            that it lists is gone and not `retired`, has become another kind or type, or has a value
            that does not fit any more; or a retired key would come back.
    """
    from payaid_entitlements.core.catalog.versions import written_plans

    if held is not None and held.catalog.hash == catalog.hash:
        return held, Publication(held.revision, catalog.hash, is_empty=True)
    findings = Findings()
    before: dict[str, tuple[Plan, ...]] = {}
    if held is not None:
        _check_keys(held, catalog, findings)
        _refuse(findings)
        kept = {
            key: tuple((plan.rank, data) for plan, data in zip(plans, held.written[key], strict=True))
            for key, plans in held.versions.items()
        }
        before = _read_versions(kept, catalog, findings)
        _refuse(findings)
    versions: dict[str, tuple[Plan, ...]] = {}
    written: dict[str, tuple[Mapping[str, object], ...]] = {}
    for key, data in written_plans(catalog).items():
        plan, past = catalog.plans[key], before.get(key, ())
        raw = held.written[key] if held is not None and past else ()
        if past and _sold(past[-1]) == _sold(plan):  # the newest version, in its newest words
            past, raw = past[:-1], raw[:-1]
        versions[key] = (*past, replace(plan, version=len(past) + 1))
        written[key] = (*raw, data)
    removed = {key: plans for key, plans in before.items() if key not in versions}
    now = Published(
        revision=1 if held is None else held.revision + 1,
        catalog=catalog,
        versions={**versions, **removed},
        written={**written, **{key: held.written[key] for key in removed if held is not None}},
    )
    return now, _publication(held, now)


def _publication(held: Published | None, now: Published) -> Publication:
    sold = {} if held is None else held.catalog.plans
    newest = {key: PlanVersion(key, len(versions)) for key, versions in now.versions.items()}
    grown = {key for key in sold if held is not None and len(now.versions[key]) > len(held.versions[key])}
    return Publication(
        revision=now.revision,
        hash=now.catalog.hash,
        added=tuple(newest[key] for key in now.catalog.plans if key not in sold),
        changed=tuple(newest[key] for key in now.catalog.plans if key in grown),
        removed=tuple(newest[key] for key in sold if key not in now.catalog.plans),
        differences=() if held is None else difference(held.catalog, now.catalog),
    )


def _sold(plan: Plan) -> tuple[object, ...]:
    return (
        frozenset(plan.modules),
        plan.features,
        {key: frozenset(rates) for key, rates in plan.rate_limits.items()},
        frozenset((price.amount, price.currency, price.interval) for price in plan.prices),
        plan.trial,
    )


def _read_versions(
    kept: Mapping[str, tuple[tuple[int, Mapping[str, object]], ...]], catalog: Catalog, findings: Findings
) -> dict[str, tuple[Plan, ...]]:
    from payaid_entitlements.core.catalog.versions import read_version

    # A plan that is still sold has one rank, that of today; one that is not keeps its last.
    ranks = {key: plan.rank for key, plan in catalog.plans.items()}
    return {
        key: tuple(
            read_version(key, ranks.get(key, rank), number, data, catalog, findings)
            for number, (rank, data) in enumerate(versions, start=1)
        )
        for key, versions in kept.items()
    }


def _check_keys(held: Published, catalog: Catalog, findings: Findings) -> None:
    for key, since in held.catalog.retired.items():
        if key not in catalog.retired:
            message = f"{key!r} was retired on {since} and cannot come back; put it into `retired` again"
            findings.add("publish.unretired", message, ("retired", key))
    for key, holder in _listed(held).items():
        if key in catalog.modules or key in catalog.features:
            _check_kind(key, holder, held, catalog, findings)
        elif key not in catalog.retired and key.partition(".")[0] not in catalog.retired:
            message = (
                f"{key!r} is gone, but plan {holder.plan!r} version {holder.version} still lists it; "
                f"keep it, or write `retired: {{{key}: <the day>}}` to take it from everybody"
            )
            findings.add("publish.removed", message, ("retired",))


def _listed(held: Published) -> dict[str, PlanVersion]:
    """Find all keys that some version lists and the catalog that is held still knows."""
    found: dict[str, PlanVersion] = {}
    for plan, versions in held.versions.items():
        for version in versions:
            for key in (*version.modules, *version.features):
                found.setdefault(key, PlanVersion(plan, version.version))
    return found


def _check_kind(key: str, holder: PlanVersion, held: Published, catalog: Catalog, findings: Findings) -> None:
    was, now = (_described(key, catalog) for catalog in (held.catalog, catalog))
    if was != now:
        message = (
            f"{key!r} was {was} and would become {now}, but plan {holder.plan!r} version {holder.version} "
            "lists it; give the new feature a new key"
        )
        path = ("modules", *key.split(".")) if "." in key else ("features", key)
        findings.add("publish.kind_changed", message, path)


def _described(key: str, catalog: Catalog) -> str:
    feature = catalog.features.get(key)
    if feature is None:
        return "a module"
    article = "an" if feature.kind[0] in "aeiou" else "a"
    return f"{article} {feature.kind}{f' of type {feature.type}' if feature.type else ''}"


def _refuse(findings: Findings) -> None:
    if findings.fatal:
        raise CatalogInvalid(findings.fatal)


def _unreadable(why: str) -> CatalogInvalid:
    message = f"the published catalog cannot be read: {why}"
    return CatalogInvalid([Problem("published.unreadable", message, "", "<published>")])
