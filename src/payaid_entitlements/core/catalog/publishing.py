"""
Publishing: a catalog becomes what is sold, and each plan and add-on that changed gets a new version.

Customers keep the version that they hold. What is sold with a plan makes a version: its modules,
features, rate limits, trial, and the amounts of its price; with an add-on its modules, what it changes
and grants, the plans that it is for, and the amounts of its price. Title, url, `buy`, rank, `max_quantity`
and the ids that a payment provider has for a price are shown or looked up, not sold: they change for
every holder of the newest version.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from payaid_entitlements.core.catalog.difference import difference
from payaid_entitlements.core.catalog.model import AddOn, Plan, Price
from payaid_entitlements.core.catalog.publication import AddOnVersion, PlanVersion, Publication
from payaid_entitlements.core.catalog.vanishing import check_keys
from payaid_entitlements.core.written.problems import Findings, Problem, did_you_mean
from payaid_entitlements.errors import CatalogInvalid, UnknownPlan

if TYPE_CHECKING:
    from datetime import date

    from payaid_entitlements.core.catalog.model import Catalog

_Offer = TypeVar("_Offer", bound="Plan | AddOn")
_Raw: TypeAlias = Mapping[str, object]  # one version, as it is kept


@dataclass(frozen=True, slots=True)
class Published:
    """
    What is sold, and every version of every plan and add-on that ever was.

    Attributes:
        revision: From 1; grows with each publication that changes something.
        catalog: What is sold now.
        versions: All versions of each plan, from 1, also of plans that are not sold any more.
        add_on_versions: The same of add-ons.
        written, written_add_ons: The same as JSON data, flattened, as they are kept.
        dropped: Flags that the catalog let go while they were live, as they are stored (`encode_flag`), by key: who
            has one of these keys again may not deal anew. See `payaid_entitlements.core.catalog.flags.publishing`.
    """

    revision: int
    catalog: Catalog
    versions: Mapping[str, tuple[Plan, ...]]
    add_on_versions: Mapping[str, tuple[AddOn, ...]]
    written: Mapping[str, tuple[_Raw, ...]]
    written_add_ons: Mapping[str, tuple[_Raw, ...]]
    dropped: Mapping[str, _Raw] = field(default_factory=dict)

    def plan(self, key: str, version: int | None = None) -> Plan:
        """
        Find a plan, by default in its newest version.

        Raises:
            UnknownPlan: It was never sold, or not in this version.
        """
        return _found(self.versions, "plan", key, version)

    def add_on(self, key: str, version: int | None = None) -> AddOn:
        """
        Find an add-on, by default in its newest version.

        Raises:
            UnknownPlan: It was never sold, or not in this version.
        """
        return _found(self.add_on_versions, "add-on", key, version)

    def has(self, key: str, version: int | None = None) -> bool:
        """Was the plan *key* ever sold, in this version?"""
        return _has(self.versions, key, version)

    def has_add_on(self, key: str, version: int | None = None) -> bool:
        """Was the add-on *key* ever sold, in this version?"""
        return _has(self.add_on_versions, key, version)

    def to_json(self) -> str:
        """Write all of it as one text, which `from_json` reads back to an equal value."""
        data: dict[str, object] = {
            "format": 1,
            "revision": self.revision,
            "catalog": self.catalog.document,
            "plans": _kept_data(self.versions, self.written, "plan"),
            "add_ons": _kept_data(self.add_on_versions, self.written_add_ons, "add_on"),
        }
        if self.dropped:
            data["dropped"] = dict(self.dropped)
        return json.dumps(data, ensure_ascii=False, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Published:
        """
        Read what `to_json` wrote, also in another release: a flag that this one cannot read fails alone.

        Raises:
            CatalogInvalid: *text* is something else, or from a release with another format.
        """
        from payaid_entitlements.core.catalog.building import rebuild
        from payaid_entitlements.core.catalog.versions import read_add_on_version, read_version

        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise _unreadable(str(error)) from error
        match data:
            case {
                "format": 1,
                "revision": int(revision),
                "catalog": dict(document),
                "plans": dict(plans),
                "add_ons": dict(add_ons),
            }:
                catalog = rebuild(document)
            case _:
                raise _unreadable("it has another format than this release reads")
        kept = _kept(plans, catalog.plans, "plan")
        kept_add_ons = _kept(add_ons, catalog.add_ons, "add-on")
        findings = Findings("<published>")
        versions = _read(kept, catalog.plans, read_version, catalog, findings)
        add_on_versions = _read(kept_add_ons, catalog.add_ons, read_add_on_version, catalog, findings)
        if findings.fatal:
            raise CatalogInvalid(findings.fatal)
        # Releases before there was this read over it.
        dropped = {key: each for key, each in _mapping(data.get("dropped")).items() if isinstance(each, dict)}
        return cls(revision, catalog, versions, add_on_versions, _raw(kept), _raw(kept_add_ons), dropped)


def _mapping(data: object) -> dict[str, Any]:
    return data if isinstance(data, dict) else {}


#: Each version with the rank that it had last.
_Kept: TypeAlias = Mapping[str, tuple[tuple[int, _Raw], ...]]


def _found(versions: Mapping[str, tuple[_Offer, ...]], what: str, key: str, version: int | None) -> _Offer:
    all_of = versions.get(key, ())
    if not all_of:
        raise UnknownPlan(f"no {what} {key!r} was ever published{did_you_mean(key, versions)}")
    if version is None:
        return all_of[-1]
    if not _has(versions, key, version):
        raise UnknownPlan(f"{what} {key!r} has no version {version}; there are 1 to {len(all_of)}")
    return all_of[version - 1]


def _has(versions: Mapping[str, Sequence[object]], key: str, version: int | None) -> bool:
    all_of = versions.get(key, ())
    return bool(all_of) if version is None else 1 <= version <= len(all_of)


def _kept_data(
    versions: Mapping[str, tuple[_Offer, ...]], written: Mapping[str, tuple[_Raw, ...]], what: str
) -> dict[str, list[_Raw]]:
    return {
        key: [{"rank": rank, what: data} for rank, data in pairs]
        for key, pairs in _with_ranks(versions, written).items()
    }


def _kept(data: Mapping[str, Any], sold: Mapping[str, object], what: str) -> _Kept:
    field = what.replace("-", "_")
    try:
        kept = {key: tuple((int(item["rank"]), dict(item[field])) for item in items) for key, items in data.items()}
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(f"its {what}s are malformed: {error!r}") from error
    if not all(kept.values()) or not kept.keys() >= sold.keys():
        raise _unreadable(f"{'an' if what[0] == 'a' else 'a'} {what} has no version")
    return kept


def _with_ranks(versions: Mapping[str, tuple[_Offer, ...]], written: Mapping[str, tuple[_Raw, ...]]) -> _Kept:
    return {
        key: tuple((offer.rank, data) for offer, data in zip(offers, written[key], strict=True))
        for key, offers in versions.items()
    }


def _raw(kept: _Kept) -> dict[str, tuple[_Raw, ...]]:
    return {key: tuple(raw for _, raw in kept[key]) for key in kept}


def _read(
    kept: _Kept,
    sold: Mapping[str, _Offer],
    read: Callable[[str, int, int, _Raw, Catalog, Findings], _Offer],
    catalog: Catalog,
    findings: Findings,
) -> dict[str, tuple[_Offer, ...]]:
    # What is still sold has one rank, that of today; what is not keeps its last.
    ranks = {key: offer.rank for key, offer in sold.items()}
    return {
        key: tuple(
            read(key, ranks.get(key, rank), number, data, catalog, findings)
            for number, (rank, data) in enumerate(versions, start=1)
        )
        for key, versions in kept.items()
    }


def publish(held: Published | None, catalog: Catalog, *, today: date | None = None) -> tuple[Published, Publication]:
    """
    Make *catalog* what is sold, in place of what is *held*; nothing is written anywhere.

    Args:
        today: For keys that are retired by it: their day may not be later, since they are taken at once. None: any.

    Returns:
        What is sold now, and what that changed. The same catalog again returns *held* itself.

    Raises:
        CatalogInvalid: Something that somebody may hold would lose its meaning: a module or feature is gone
            and not `retired`, has become another kind or type, or has in some version a value
            that does not fit any more; or a retired key would come back.
    """
    from payaid_entitlements.core.catalog.versions import (
        read_add_on_version,
        read_version,
        written_add_ons,
        written_plans,
    )

    if held is not None and held.catalog.hash == catalog.hash:
        return held, Publication(held.revision, catalog.hash, is_empty=True)
    findings = Findings()
    plans: dict[str, tuple[Plan, ...]] = {}
    add_ons: dict[str, tuple[AddOn, ...]] = {}
    if held is not None:
        check_keys(held, catalog, today, findings)
        _refuse(findings)
        kept = _with_ranks(held.versions, held.written)
        plans = _read(kept, catalog.plans, read_version, catalog, findings)
        kept = _with_ranks(held.add_on_versions, held.written_add_ons)
        add_ons = _read(kept, catalog.add_ons, read_add_on_version, catalog, findings)
        _refuse(findings)
    versions, written = _grown(
        catalog.plans, written_plans(catalog), plans, {} if held is None else held.written, _sold_plan
    )
    add_on_versions, written_add_on_versions = _grown(
        catalog.add_ons,
        written_add_ons(catalog),
        add_ons,
        {} if held is None else held.written_add_ons,
        _sold_add_on,
    )
    revision = 1 if held is None else held.revision + 1
    dropped = {} if held is None else held.dropped
    now = Published(revision, catalog, versions, add_on_versions, written, written_add_on_versions, dropped)
    return now, _publication(held, now)


def _grown(
    sold: Mapping[str, _Offer],
    data: Mapping[str, _Raw],
    before: Mapping[str, tuple[_Offer, ...]],
    raw: Mapping[str, tuple[_Raw, ...]],
    content: Callable[[_Offer], object],
) -> tuple[dict[str, tuple[_Offer, ...]], dict[str, tuple[_Raw, ...]]]:
    """Put what is *sold* now behind the versions of *before*; of what is not sold any more all stay."""
    versions: dict[str, tuple[_Offer, ...]] = {}
    written: dict[str, tuple[_Raw, ...]] = {}
    for key, offer in sold.items():
        past: tuple[_Offer, ...] = before.get(key, ())
        was: tuple[_Raw, ...] = raw[key] if past else ()
        if past and content(past[-1]) == content(offer):
            # The newest version, in its newest words.
            past = past[:-1]
            was = was[:-1]
        versions[key] = (*past, replace(offer, version=len(past) + 1))
        written[key] = (*was, data[key])
    gone = [key for key in before if key not in sold]
    return versions | {key: before[key] for key in gone}, written | {key: raw[key] for key in gone}


def _publication(held: Published | None, now: Published) -> Publication:
    sold, sold_add_ons = ({}, {}) if held is None else (held.catalog.plans, held.catalog.add_ons)
    was, was_add_ons = ({}, {}) if held is None else (held.versions, held.add_on_versions)
    plans = _turnover(sold, now.catalog.plans, was, now.versions)
    add_ons = _turnover(sold_add_ons, now.catalog.add_ons, was_add_ons, now.add_on_versions)
    added, changed, removed = (tuple(PlanVersion(*each) for each in part) for part in plans)
    added_add_ons, changed_add_ons, removed_add_ons = (tuple(AddOnVersion(*each) for each in part) for part in add_ons)
    return Publication(
        revision=now.revision,
        hash=now.catalog.hash,
        added=added,
        changed=changed,
        removed=removed,
        added_add_ons=added_add_ons,
        changed_add_ons=changed_add_ons,
        removed_add_ons=removed_add_ons,
        differences=() if held is None else difference(held.catalog, now.catalog),
    )


_Newest: TypeAlias = tuple[tuple[str, int], ...]


def _turnover(
    sold: Mapping[str, _Offer],
    sold_now: Mapping[str, _Offer],
    before: Mapping[str, tuple[_Offer, ...]],
    now: Mapping[str, tuple[_Offer, ...]],
) -> tuple[_Newest, _Newest, _Newest]:
    """What is sold now and was not, what has a new version, and what is not sold any more."""
    newest = {key: (key, len(versions)) for key, versions in now.items()}
    return (
        tuple(newest[key] for key in sold_now if key not in sold),
        tuple(newest[key] for key in sold_now if key in sold and len(now[key]) > len(before[key])),
        tuple(newest[key] for key in sold if key not in sold_now),
    )


def _sold_plan(plan: Plan) -> object:
    return (
        frozenset(plan.modules),
        plan.features,
        {key: frozenset(rates) for key, rates in plan.rate_limits.items()},
        _amounts(plan.prices),
        plan.trial,
    )


def _sold_add_on(add_on: AddOn) -> object:
    return (
        frozenset(add_on.modules),
        add_on.increment,
        add_on.override,
        add_on.max,
        add_on.grant,
        _amounts(add_on.prices),
        # Whoever holds it beside a plan that it was for is not to lose it.
        frozenset(add_on.for_plans),
    )


def _amounts(prices: tuple[Price, ...]) -> object:
    return frozenset((price.amount, price.currency, price.interval) for price in prices)


def _refuse(findings: Findings) -> None:
    if findings.fatal:
        raise CatalogInvalid(findings.fatal)


def _unreadable(why: str) -> CatalogInvalid:
    message = f"the published catalog cannot be read: {why}"
    return CatalogInvalid([Problem("published.unreadable", message, "", "<published>")])
