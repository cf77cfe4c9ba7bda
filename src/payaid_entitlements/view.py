"""
One truth for one request: what a tenant holds, bound to an instant, immutable and pure, the same in both colours.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Final, TypeVar, cast

from payaid_entitlements.cache.local import Entry
from payaid_entitlements.core.catalog.model import Feature, Kind, Microseconds
from payaid_entitlements.core.controls import Enforcement
from payaid_entitlements.core.decision import HARD, SOFTENED, Decision, Intent, Reason
from payaid_entitlements.core.explanation import Explanation, explain_situation
from payaid_entitlements.core.flags.asking import (
    narrowed,
    narrowing,
    quietly,
    read_attributes,
    refusal,
)
from payaid_entitlements.core.flags.snapshot import FlagSnapshot
from payaid_entitlements.core.identity import identify
from payaid_entitlements.core.instant import MICROSECONDS, Instant, moment
from payaid_entitlements.core.metering.lots import Metered, metered
from payaid_entitlements.core.metering.meters import unpacked
from payaid_entitlements.core.metering.rollover import Rolling, rolling
from payaid_entitlements.core.observing import Observer
from payaid_entitlements.core.offering import offered
from payaid_entitlements.core.outage import in_outage, policy_of
from payaid_entitlements.core.ratelimit.holding import limits_held
from payaid_entitlements.core.ratelimit.limits import Limit
from payaid_entitlements.core.reference import make_reference
from payaid_entitlements.core.remedies import Remedy
from payaid_entitlements.core.resolution import Standpoint
from payaid_entitlements.core.subscription import State
from payaid_entitlements.core.values import Value
from payaid_entitlements.core.world import World
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable, UnknownFeature, ViewExpired
from payaid_entitlements.flag_view import FlagView
from payaid_entitlements.stores.activity import Seen

if TYPE_CHECKING:
    from payaid_entitlements.cache.seen.sightings import Sightings

T = TypeVar("T")

#: Seconds after which a view refuses to answer: it is for one request.
MAX_AGE: Final = 60.0

#: What is allowed only since nothing is enforced, and nobody has an old answer.
_WOULD_REFUSE: Final = frozenset({Reason.ENFORCEMENT_OBSERVED, Reason.ENFORCEMENT_OFF})

#: What `value` can be asked for: the Python types of config features.
VALUE_TYPES = (bool, int, Decimal, str, timedelta, list, tuple)


class OutageTable(dict[str, Decision]):
    """
    Decisions without the store: each key by its last known decision and its fail policy.

    Args:
        last: The last known decisions; None when there are none.
        age: How long ago they were known to be true.
        world: For the fail policies; None when not even the catalog is known.
    """

    __slots__ = ("_age", "_last", "_world")

    def __init__(self, last: Mapping[str, Decision] | None, age: Microseconds, world: World | None) -> None:
        super().__init__()
        self._last = last
        self._age = age
        self._world = world

    def __missing__(self, key: str) -> Decision:
        require_key(key)
        last = None if self._last is None else self._last[key]
        world = self._world
        found = in_outage(key, last, self._age, policy_of(None if world is None else world.catalog, key))
        return found if world is None or key not in world.narrowed else found.narrowed()


class TenantView(FlagView):
    """
    What one tenant holds at one instant.

    Made by `Entitlements.tenant`, by ``ent.bind(...)`` and by the web gates. A metered feature is "sold or not" here:
    only the ledger knows how much is left. It never changes.
    """

    __slots__ = (
        "_age",
        "_at",
        "_attributes",
        "_clock",
        "_entry",
        "_expires",
        "_flags",
        "_for_user",
        "_is_strict",
        "_observer",
        "_passed",
        "_reads",
        "_revision",
        "_seen_at",
        "_sightings",
        "_standpoint",
        "_table",
        "_tenant",
        "_until",
        "_user",
        "_world",
    )

    def __init__(
        self,
        tenant: str,
        *,
        user: str | None,
        at: Instant,
        until: Instant | None,
        standpoint: Standpoint | None,
        entry: Entry | None,
        revision: int,
        world: World | None,
        flags: FlagSnapshot,
        attributes: Mapping[str, object] | None,
        age: float | None,
        now: float,
        seen_at: float,
        clock: Callable[[], float],
        observer: Observer,
        is_strict: bool,
        for_user: Callable[[str | None], tuple[Instant | None, Standpoint]] | None,
        sightings: Sightings | None = None,
    ) -> None:
        self._tenant = tenant
        self._user = user
        self._age = age
        self._at = at
        self._until = until
        self._standpoint = standpoint
        self._entry = entry
        self._revision = revision
        self._world = world
        self._flags = flags
        self._attributes = attributes
        self._context = None
        self._last = None
        self._clock = clock
        self._expires = now + MAX_AGE
        self._seen_at = seen_at
        self._observer = observer
        self._is_strict = is_strict
        self._for_user = for_user
        self._sightings = sightings
        #: What was let pass last by this view, and noted: guards look whether it is the same again.
        self._passed: object = None
        if standpoint is not None and age is None:
            self._table: Mapping[str, Decision] = standpoint.write
            self._reads: Mapping[str, Decision] = standpoint.read
        else:
            microseconds = int((age or 0.0) * MICROSECONDS)
            self._table = OutageTable(None if standpoint is None else standpoint.write, microseconds, world)
            self._reads = OutageTable(None if standpoint is None else standpoint.read, microseconds, world)

    # -- asking -----------------------------------------------------------------------------------------------

    def check(self, feature: str, *, access: Intent = "write") -> Decision:
        """
        Decide *feature*, a module or a feature. Pure CPU: no I/O and not even a clock, the view is pinned.

        Args:
            access: What is about to be done; a read-only stage of a subscription lets ``"read"`` pass.
        """
        decision = (self._table if access == "write" else self._reads_for(access))[feature]
        if decision.noteworthy:
            decision = self._narrowed(decision)
            if decision.noteworthy:
                self.note(decision)
        return decision

    def decide(self, feature: str, access: Intent) -> Decision:
        """Decide without counting: for those who may ask again before they answer."""
        decision = (self._table if access == "write" else self._reads_for(access))[feature]
        return decision if decision.beneath is None else self._narrowed(decision)

    def _narrowed(self, decision: Decision) -> Decision:
        """What flags make of *decision*, where they narrow its key: itself without the mark, or a refusal."""
        if decision.beneath is None:
            return decision
        refused = self._kept_back(decision.feature)
        return decision.beneath if refused is None else refused

    def _kept_back(self, key: str) -> Decision | None:
        """The refusal of *key* by a flag; None where none refuses it."""
        world = self._world
        if world is None or key not in world.narrowed:
            return None
        return refusal(narrowing(self._flags, world, key), key, self._context or self._own_context())

    def against_legacy(self, decision: Decision, *, is_legacy_allowed: bool) -> Decision:
        """
        Put the host's own old answer beside ours.

        Until a module is enforced, the old answer decides; what we would have said is an advisory. A difference is
        counted in both directions, also once ours decides. What the vendor took away stays away.
        """
        if self._world is None:
            return decision
        ours = decision.allowed and decision.reason not in SOFTENED
        if ours is not is_legacy_allowed:
            difference = "legacy_allows" if is_legacy_allowed else "legacy_refuses"
            self._observer.count("legacy.differs", decision.feature, difference)
            if decision.reason not in HARD and not decision.degraded:
                self._saw(Seen.WOULD_LOSE if is_legacy_allowed else Seen.WOULD_GAIN, decision.feature)
        mode = self._world.mode_of(decision.feature)
        if mode is Enforcement.ENFORCE or decision.reason in HARD or decision.degraded:
            return decision
        would = decision.advisories if decision.reason in SOFTENED else (decision.reason, *decision.advisories)
        return replace(decision, allowed=is_legacy_allowed, reason=Reason.ENFORCEMENT_LEGACY, advisories=would)

    def note(self, decision: Decision) -> None:
        """
        Count an answer that is not a plain one, and be loud about mistakes in the code that asks.

        Raises:
            UnknownFeature: The key is in no catalog, and the client is strict.
        """
        self._observer.count("decision", decision.feature, decision.reason.value)
        if decision.reason in _WOULD_REFUSE:
            self._saw(Seen.WOULD_LOSE, decision.feature)
        if decision.reason in (Reason.CATALOG_UNKNOWN, Reason.CATALOG_RETIRED):
            if self._is_strict and self._world is not None and decision.reason is Reason.CATALOG_UNKNOWN:
                keys = (*self._world.catalog.modules, *self._world.catalog.features)
                hint = did_you_mean(decision.feature, keys)
                raise UnknownFeature(f"the catalog has no module or feature {decision.feature!r}{hint}")
            self._observer.once(decision.reason.value, feature=decision.feature, way_out=decision.reason.way_out)

    def used(self, keys: Iterable[str]) -> None:
        """Note that the tenant uses the modules of *keys* today; for who lets something pass, never for who asks."""
        if self._sightings is not None and self._world is not None:
            for key in keys:
                module = self._world.module_of(key)
                if module is not None:
                    self._sightings.saw(self._tenant, Seen.MODULE, module)

    def _saw(self, kind: Seen, key: str) -> None:
        if self._sightings is not None:
            self._sightings.saw(self._tenant, kind, key)

    def require(self, feature: str, *, access: Intent = "write") -> Decision:
        """
        Decide *feature*, and return only if it is allowed.

        Raises:
            Refused: It is not; carries the decision, the tenant and a reference.
            StoreUnavailable: Nothing is known because the store gave no answer.
            ViewExpired: The view is older than `MAX_AGE` seconds; take a new one for each request.
        """
        self.require_young()
        decision = self.check(feature, access=access)
        return (
            decision if decision.allowed else decision.or_raise(tenant=self._tenant, reference=self.reference(decision))
        )

    def value(self, feature: str, type_: type[T]) -> T:
        """
        Give what a config feature is worth to this tenant.

        Args:
            feature: Key of a feature of kind ``config``.
            type_: Its Python type: ``bool``, ``int`` (also sizes, in bytes), ``Decimal``, ``str`` (also choices),
                ``timedelta``, ``list`` or ``tuple`` of ``str``.

        Raises:
            TypeError: The feature is of another kind or type.
            Refused: The tenant does not hold it. Also while enforcement is only observed: there is no value to give.
            StoreUnavailable: The store gave no answer; also where the feature fails open: no value is known.
        """
        self.require_young()
        decision = self.check(feature, access="read")
        kind = None if self._world is None else kind_of(self._world, feature)
        if kind not in (None, Kind.CONFIG.value):
            raise TypeError(f"{feature!r} is a {kind}, which has no value; use check({feature!r}).allowed")
        if not decision.allowed:
            decision.or_raise(tenant=self._tenant, reference=self.reference(decision))
        if decision.value is None:
            if decision.degraded:
                raise StoreUnavailable(f"the store gave no answer about {feature!r}; its value is not known")
            # Enforcement let it pass, and there is nothing to give: by the reason that it would have been refused.
            refusal = Decision(False, decision.advisories[0], feature, decision.source, decision.plan)
            refusal.or_raise(tenant=self._tenant, reference=self.reference(refusal))
        return typed(feature, decision.value, type_)

    def remedies(self, decision: Decision) -> tuple[Remedy, ...]:
        """What would turn *decision*, the cheapest first; only what this tenant may buy, never losing what it holds."""
        if decision.allowed or self._standpoint is None or self._world is None:
            return ()
        if decision.reason is not Reason.RATE_LIMITED and self._kept_back(decision.feature) is not None:
            # Whoever bought it would be refused all the same.
            return ()
        return offered(self._standpoint.situation, self._world, decision)

    def metering(self, feature: str) -> Metered:
        """
        Say how a metered *feature* is counted: in which lots, up to where, and what happens beyond.

        Pure: only the ledger knows what is used. Also for what is not sold, since it is counted where nothing is
        enforced.

        Raises:
            TypeError: The feature is of a kind that is not counted.
            UnknownFeature: The catalog has no such feature.
            StoreUnavailable: The store gave no answer: by an old copy nothing is counted.
        """
        entry = self._entry
        if entry is not None and entry.counted is not None and self._standpoint is entry.standpoint and not self.stale:
            known = entry.counted.get(feature)
            if known is not None and self._at in known.holds:
                return known
        defined, standpoint, world, entry = self._counted(feature)
        meters = unpacked(entry.meters, world)
        found = metered(defined, self._at, standpoint=standpoint, meters=meters, world=world)
        if standpoint is entry.standpoint:
            # Not what a user's own overrides make of it.
            entry.keep_counted(feature, found)
        return found

    def _counted(self, feature: str) -> tuple[Feature, Standpoint, World, Entry]:
        require_key(feature)
        if self._standpoint is None or self._entry is None or self._world is None or self.stale:
            raise StoreUnavailable(f"the store gave no answer about {self._tenant!r}; {feature!r} cannot be counted")
        defined = self._world.catalog.features.get(feature)
        if defined is None or not defined.kind.is_metered:
            kind = kind_of(self._world, feature)
            if kind is None:
                hint = did_you_mean(feature, self._world.catalog.features)
                raise UnknownFeature(f"the catalog has no feature {feature!r}{hint}")
            raise TypeError(f"{feature!r} is a {kind}, of which no units are counted; use check({feature!r})")
        return defined, self._standpoint, self._world, self._entry

    def kind(self, key: str) -> str | None:
        """What *key* is: ``module``, or the kind of a feature; None where no catalog that is known has such a key."""
        return None if self._world is None else kind_of(self._world, key)

    def definitions(self) -> Mapping[str, Feature]:
        """
        All features of the catalog, by key; in an outage of the one that was last known.

        Raises:
            StoreUnavailable: None is known.
        """
        if self._world is None:
            raise StoreUnavailable(f"the store gave no answer about {self._tenant!r}; not even the catalog is known")
        return self._world.catalog.features

    def rolling(self, feature: str) -> Rolling | None:
        """What opening the window of a metered *feature* needs that runs now; None where nothing rolls over into it."""
        defined, standpoint, world, entry = self._counted(feature)
        return rolling(defined, self._at, standpoint=standpoint, meters=unpacked(entry.meters, world))

    def mode_of(self, key: str) -> Enforcement:
        """How far refusals of *key* are carried out."""
        return Enforcement.ENFORCE if self._world is None else self._world.mode_of(key)

    def metered_features(self, hosted: Collection[str] = ()) -> tuple[str, ...]:
        """
        Keys of the metered features that are sold to this tenant and can be counted, in the catalog's order.

        Args:
            hosted: Those of the host's own rows that can be; of the ledger's all can.
        """
        features = () if self._world is None else self._world.catalog.features.values()
        return tuple(
            feature.key
            for feature in features
            if feature.kind.is_metered
            and (feature.count == "ledger" or feature.key in hosted)
            and self.decide(feature.key, "read").allowed
        )

    def explain(self, feature: str) -> Explanation:
        """Every rule that was asked about *feature*, in its order. `Entitlements.explain` also names who and when."""
        require_key(feature)
        if self._standpoint is None or self._world is None:
            raise StoreUnavailable(f"the store gave no answer about {self._tenant!r}; there is nothing to explain")
        found = explain_situation(
            self._tenant, self._standpoint.situation, self._world, feature, self._at, user=self.user
        )
        if feature not in self._world.narrowed:
            return found
        flags = narrowing(quietly(self._flags), self._world, feature)
        return narrowed(found, flags, self._context or self._own_context())

    # -- for whom -----------------------------------------------------------------------------------------------

    def for_user(self, user: str | None, attributes: Mapping[str, object] | None = None) -> TenantView:
        """
        The same view for *user*, whose own overrides then count, and of whom flags are asked.

        Args:
            attributes: What flags may look at besides; None for those of this view.
        """
        if user is not None:
            identify("user", user)
        said = self._attributes if attributes is None else read_attributes(attributes)
        until, standpoint = (self._until, self._standpoint) if self._for_user is None else self._for_user(user)
        return TenantView(
            self._tenant,
            user=user,
            at=self._at,
            until=until,
            standpoint=standpoint,
            entry=self._entry,
            revision=self._revision,
            world=self._world,
            flags=self._flags,
            attributes=said,
            age=self._age,
            now=self._expires - MAX_AGE,
            seen_at=self._seen_at,
            clock=self._clock,
            observer=self._observer,
            is_strict=self._is_strict,
            for_user=self._for_user,
            sightings=self._sightings,
        )

    # -- what it is ---------------------------------------------------------------------------------------------

    @property
    def tenant(self) -> str:
        """Whom it is about."""
        return self._tenant

    @property
    def user(self) -> str | None:
        """Whose overrides count besides the tenant's; None where nobody was named."""
        return self._user

    @property
    def stale(self) -> bool:
        """The store gave no answer: decisions are degraded, and say so."""
        return self._age is not None

    @property
    def at(self) -> datetime:
        """The instant that its answers are about."""
        return moment(self._at)

    @property
    def valid_until(self) -> datetime | None:
        """When something is known to change by itself: a trial ends, a plan begins; None when nothing is."""
        return None if self._until is None else moment(self._until)

    @property
    def revision(self) -> int:
        """The revision of the tenant's facts that it was made from; 0 where none was ever recorded."""
        return self._revision

    @property
    def plan(self) -> str | None:
        """Key of the highest plan in force, else of the default plan; None where there is neither."""
        return None if self._standpoint is None else self._standpoint.plan

    @property
    def state(self) -> State | None:
        """The state of the subscription to that plan; None without a subscription."""
        return None if self._standpoint is None else self._standpoint.state

    @property
    def modules(self) -> frozenset[str]:
        """The modules that may be used, at least for reading."""
        if self._standpoint is None:
            return frozenset()
        found = self._standpoint.modules
        kept_back = () if self._world is None else found & self._world.narrowed
        return found.difference(key for key in kept_back if self._kept_back(key) is not None) if kept_back else found

    @property
    def rate_limits(self) -> Mapping[str, Limit]:
        """
        Rate limits by key, as they hold for the tenant and the view's user: one object for all who have the same.

        In an outage those that were known last; where nothing is known of the tenant, the defaults; and none at all
        where not even the catalog is known.
        """
        if self._standpoint is not None:
            return self._standpoint.limits
        return {} if self._world is None else limits_held(self._world, None)

    def require_young(self) -> None:
        """
        Refuse to be used past the maximum age. `require`, `value`, `current_tenant` ask this; `check` reads no clock.

        Raises:
            ViewExpired: The view is older than `MAX_AGE` seconds.
        """
        if self._clock() >= self._expires:
            raise ViewExpired(
                f"this view of tenant {self._tenant!r} is older than {MAX_AGE:.0f} s; a view is for one request: "
                "take a new one with ent.tenant(...)"
            )

    def is_sure(self, within: float) -> bool:
        """Was it known to be true less than *within* seconds ago?"""
        return not self.stale and self._clock() - self._seen_at < within

    def to_public(self, *, flags: Iterable[str] = ()) -> dict[str, object]:
        """
        All of it as JSON data for the tenant's own browser: no actor, no override reason, no internal source.

        Args:
            flags: Keys of flags that the browser may know, each with its value; none unless they are asked for.
        """
        catalog = None if self._world is None else self._world.catalog
        keys = () if catalog is None else (*catalog.modules, *catalog.features)
        public: dict[str, object] = {
            "tenant": self.tenant,
            "plan": self.plan,
            "state": None if self.state is None else self.state.value,
            "modules": sorted(self.modules),
            "valid_until": None if self.valid_until is None else self.valid_until.isoformat(),
            "stale": self.stale,
            "features": {key: self.decide(key, "read").to_public() for key in keys},
        }
        asked = {key: self.flag_details(key).value for key in flags}
        return {**public, "flags": asked} if asked else public

    def reference(self, decision: Decision) -> str:
        """A short code that says what was said, to quote to support."""
        return make_reference(
            tenant=self._tenant,
            feature=decision.feature,
            reason=decision.reason,
            at=self._at,
            revision=self._revision,
            age=max(0.0, self._clock() - self._seen_at),
            catalog_hash="" if self._world is None else self._world.catalog.hash,
        )

    def __repr__(self) -> str:
        return f"<TenantView {self._tenant!r} plan={self.plan!r} at={self.at.isoformat()} revision={self._revision}>"

    # -- what a hit does not need --------------------------------------------------------------------------------

    def _reads_for(self, access: str) -> Mapping[str, Decision]:
        if access != "read":
            raise ConfigurationError(f"access is {access!r}; it is 'read' or 'write'")
        return self._reads


def require_key(feature: object) -> None:
    """
    Refuse what is no key of a feature at all.

    Raises:
        TypeError: It is no str.
    """
    if not isinstance(feature, str):
        raise TypeError(f"a feature's key is a str, not {type(feature).__name__} ({feature!r})")


def kind_of(world: World, key: str) -> str | None:
    """What *key* is: ``module``, or the kind of a feature; None where the catalog has no such key."""
    feature = world.catalog.features.get(key)
    return feature.kind.value if feature is not None else "module" if key in world.catalog.modules else None


def typed(feature: str, value: Value | None, type_: type[T]) -> T:
    """
    Give *value* as *type_*.

    Raises:
        TypeError: It is of another type; a bool is no int.
    """
    if type_ not in VALUE_TYPES:
        raise TypeError(f"value({feature!r}, {type_!r}): ask for one of {', '.join(t.__name__ for t in VALUE_TYPES)}")
    if type_ is list and isinstance(value, tuple):
        return cast("T", list(value))
    if type(value) is not type_:
        raise TypeError(f"{feature!r} is worth {value!r}, a {type(value).__name__}; {type_.__name__} was asked for")
    return value
