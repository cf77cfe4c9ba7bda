"""
What people write: the shape of a catalog document, as models that also give editors their schema.

Only shape is here: which keys there are, and which values are text, numbers or lists. What a text
such as ``100/month`` means, and whether what it names exists, is for
`payaid_entitlements.core.catalog.building`. Importing this file builds pydantic models, so it is
imported where a document is read and nowhere else.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from payaid_entitlements.core.catalog.fields import (
    FeatureValue,
    Number,
    OnOutage,
    Rates,
    Requires,
    Stages,
    Unit,
    Url,
)
from payaid_entitlements.core.flags.written import ConditionData, WrittenFlag
from payaid_entitlements.core.written.fields import KEY, REFERENCE, STRICT, Day, Reference, Title


class Written(BaseModel):
    """What every part has in common: nothing is converted, nothing unknown is passed over."""

    model_config = STRICT


class _Feature(Written):
    title: Title = ""
    requires: Requires = []
    on_outage: OnOutage = "closed"
    deprecated: Day | None = None


class Switch(_Feature):
    """On or off."""

    kind: Literal["switch"]


class Config(_Feature):
    """A typed value, such as the number of ledgers."""

    kind: Literal["config"]
    type: Literal["bool", "int", "decimal", "string", "choice", "duration", "size", "list"]
    merge: Literal["max", "min", "priority"] | None = Field(
        default=None,
        description="How values of a plan and its add-ons become one; needless for `string` and `list`.",
    )
    choices: list[str] = Field(default=[], description="For `choice`, from least to most.")


class WrittenRollover(Written):
    """What of an unused allowance moves to the next window."""

    min: Number = 0
    max: Number | None = None


class Consumed(_Feature):
    """What is used up, and comes anew with each window."""

    unit: Unit | None = None
    window: Literal["anchored", "calendar"] = Field(
        default="anchored",
        description="Windows begin on the billing date, or with the calendar's month, week, day.",
    )
    rollover: WrittenRollover | None = None
    decimals: Annotated[int, Field(ge=0, le=6)] = Field(
        default=0, description="Digits behind the point that amounts may have; never changed once it is published."
    )


class Quota(Consumed):
    """Units that are used up; the allowance comes anew with each window."""

    kind: Literal["quota"]
    on_exceed: str = Field(
        default="hard",
        description="Above the limit: `hard`, `soft`, `soft_until 110%`, `grace_then_block 3 days`, `warn`.",
        json_schema_extra={"pattern": "^(hard|soft|warn|soft_until .+|grace_then_block .+)$"},
    )


class Allocation(_Feature):
    """Slots that are held, such as seats."""

    kind: Literal["allocation"]
    unit: Unit | None = None
    count: Literal["ledger", "host"] = Field(default="ledger", description="Named holders, or the host's own rows.")


class Credit(Consumed):
    """A balance that pays for other features."""

    kind: Literal["credit"]
    pays_for: dict[Reference, Number] = Field(default={}, description="Units of this that one unit of a quota costs.")


WrittenFeature = Annotated[Switch | Config | Quota | Allocation | Credit, Field(discriminator="kind")]


class WrittenModule(Written):
    """An independently sold part of the product: a group of features."""

    title: Title = ""
    requires: Requires = []
    features: dict[str, WrittenFeature] = {}
    on_outage: OnOutage = "closed"
    deprecated: Day | None = None


class WrittenPrice(Written):
    """What an interval costs, in the currency's major unit."""

    monthly: Number | None = None
    yearly: Number | None = None
    once: Number | None = None
    currency: str | None = Field(
        default=None,
        description="ISO 4217; needless where the catalog has one.",
        json_schema_extra={"pattern": "^[A-Z]{3}$"},
    )
    ids: dict[str, dict[Literal["monthly", "yearly", "once"], str]] = Field(
        default={}, description="The payment providers' ids: {stripe: {monthly: price_1, yearly: price_2}}."
    )


class WrittenPlan(Written):
    """What a customer holds; it sells only what it lists."""

    title: Title = ""
    extends: str | None = Field(
        default=None, description="An earlier plan; its modules, features and rate limits are held too."
    )
    price: WrittenPrice | None = None
    trial: str | None = Field(default=None, description="`14 days`, `month`.")
    buy: Literal["checkout", "contact_us", "hidden"] = "checkout"
    url: Url | None = None
    modules: list[str] = []
    features: dict[Reference, FeatureValue] = {}
    rate_limits: dict[Reference, Rates] = {}


class WrittenAddOn(Written):
    """What is sold on top of a plan, in a quantity."""

    title: Title = ""
    price: WrittenPrice | None = None
    url: Url | None = None
    max_quantity: Annotated[int, Field(ge=1)] | None = None
    for_plans: list[str] = Field(default=[], description="Plans that may hold it; all where it is left out.")
    modules: list[str] = []
    increment: dict[Reference, FeatureValue] = Field(
        default={}, description="Added to the plan's value, times the quantity."
    )
    override: dict[Reference, FeatureValue] = Field(default={}, description="Replaces the plan's value.")
    max: dict[Reference, FeatureValue] = Field(default={}, description="Lifts the plan's value to at least this.")
    grant: dict[Reference, FeatureValue] = Field(
        default={}, description="Credit, given once: {ai_credits: 500, expires: 90 days}."
    )


class WrittenLifecycle(Written):
    """What a subscription in trouble still opens."""

    past_due: Stages = ["full for 7 days", "none"]
    paused: Literal["full", "read_only", "none"] = "read_only"


class WrittenRateLimit(Written):
    """Calls per window, or what runs at once; it protects us, where a quota is sold."""

    per: Literal["tenant", "user", "address"] = Field(
        default="tenant",
        description="Whose calls are counted together; of `user`, each user in each tenant.",
    )
    default: Rates
    burst: Annotated[int, Field(ge=1)] | None = Field(
        default=None, description="Most units at once, by the rate of the shortest window; else that rate's own."
    )
    algorithm: Literal["gcra", "sliding_log", "sliding_counter", "fixed_window"] = Field(
        default="gcra", description="How calls are counted."
    )
    held: str | None = Field(
        default=None,
        description="Of `5 at once`: after which one that was not given back is free again; `5 minutes`.",
    )
    observe: bool = Field(default=False, description="It is only counted, and refuses nobody.")
    on_outage: Literal["open", "closed", "local_share"] = Field(
        default="local_share",
        description="While the limiter gives no answer: all pass, none does, or a share of it by each process.",
    )
    counts_toward: list[Reference] = Field(
        default=[], description="Rate limits on which its calls are counted too, all of them or none."
    )
    lease: Annotated[int, Field(ge=1)] = Field(
        default=1, description="Units that a process takes at once, and spends on its own for at most a second."
    )


class WrittenCatalog(Written):
    """All that is sold, top down: what exists, what it is bundled into, what protects us."""

    model_config = ConfigDict(title="payaid catalog")

    catalog: Literal[1] = Field(default=1, description="Version of this format.")
    timezone: str = Field(default="UTC", description="IANA name; where calendar windows begin.")
    currency: str | None = Field(
        default=None,
        description="ISO 4217; of prices that name none.",
        json_schema_extra={"pattern": "^[A-Z]{3}$"},
    )
    default_plan: str = Field(
        default="none", description="Held by tenants without a subscription; `none` refuses them."
    )
    modules: dict[str, WrittenModule] = {}
    features: dict[str, WrittenFeature] = Field(default={}, description="For the whole account, in no module.")
    plans: dict[str, WrittenPlan] = Field(default={}, description="Cheapest first: the order is the rank.")
    add_ons: dict[str, WrittenAddOn] = {}
    lifecycle: WrittenLifecycle = WrittenLifecycle()
    rate_limits: dict[str, WrittenRateLimit] = {}
    flags: dict[str, WrittenFlag] = {}
    segments: dict[str, ConditionData] = Field(
        default={}, description="Conditions with a name, for the rules of several flags."
    )
    retired: dict[str, Day] = Field(default={}, description="Keys that are never used again, with their day.")


def schema() -> dict[str, object]:
    """Write the JSON Schema (draft 2020-12) that editors check a catalog against."""
    written: dict[str, object] = WrittenCatalog.model_json_schema()
    properties = written["properties"]
    assert isinstance(properties, dict)  # of every model's schema; narrows the type
    properties["$schema"] = {"type": "string"}
    for section in ("plans", "add_ons", "modules", "features", "flags", "segments"):
        properties[section]["propertyNames"] = {"pattern": KEY, "maxLength": 64}
    properties["rate_limits"]["propertyNames"] = {"pattern": REFERENCE, "maxLength": 129}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written}
