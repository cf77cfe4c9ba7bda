"""What the tests of the rules share: the example catalog, a smaller one, and tenants made of facts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.catalog.publishing import Published, publish
from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.decision import Decision, Intent
from payaid_entitlements.core.encoding import encode_value
from payaid_entitlements.core.evaluation import Situation
from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.resolution import resolve, situation
from payaid_entitlements.core.subscription import subject
from payaid_entitlements.core.values import Deny, Value
from payaid_entitlements.core.world import Modes, World

#: 2026-09-21T14:13:20Z, a Monday.
NOW: Instant = 1_790_000_000_000_000

EXAMPLE = Catalog.load(Path(__file__).parents[2] / "examples" / "payaid" / "catalog.yaml")

#: One module of each sort of trouble; `requires` goes three deep.
SMALL: Mapping[str, object] = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {
        "crm": {
            "features": {
                "export": {"kind": "switch"},
                "contacts": {"kind": "allocation", "unit": "contact"},
                "calls": {"kind": "quota", "unit": "call"},
            }
        },
        "books": {
            "requires": ["crm"],
            "features": {
                "close": {"kind": "switch", "requires": ["crm.export"]},
                "audit": {"kind": "switch", "requires": ["books.close"]},
                "ledgers": {"kind": "config", "type": "int", "merge": "max"},
                "delay": {"kind": "config", "type": "duration", "merge": "min"},
                "strict": {"kind": "config", "type": "bool", "merge": "priority"},
            },
        },
        "old": {"deprecated": "2027-01-01", "features": {"fax": {"kind": "switch"}}},
    },
    "features": {"seats": {"kind": "allocation", "unit": "seat"}},
    "plans": {
        "free": {"modules": ["crm"], "features": {"seats": 1, "crm.contacts": 0}},
        "pro": {
            "extends": "free",
            "price": {"monthly": 10, "currency": "INR"},
            "trial": "14 days",
            "modules": ["books", "old"],
            "features": {
                "seats": 5,
                "crm.export": True,
                "crm.calls": "100/month",
                "books.close": True,
                "books.audit": True,
                "books.ledgers": 3,
                "books.delay": "24 hours",
                "books.strict": True,
                "old.fax": True,
            },
        },
        "big": {
            "extends": "pro",
            "price": {"monthly": 50, "currency": "INR"},
            "features": {
                "seats": "unlimited",
                "crm.contacts": 10,
                "books.ledgers": 9,
                "books.delay": "1 hour",
            },
        },
    },
    "add_ons": {
        "more_seats": {
            "price": {"monthly": 2, "currency": "INR"},
            "increment": {"seats": 5},
            "max_quantity": 2,
        },
        "contacts": {"increment": {"crm.contacts": 10}, "for_plans": ["pro"]},
    },
    "lifecycle": {
        "past_due": ["full for 7 days", "read_only for 14 days", "none"],
        "paused": "read_only",
    },
    "retired": {"crm.telex": "2020-02-29"},
}


def published_of(catalog: Mapping[str, object] | Catalog = SMALL) -> Published:
    """The first publication of a catalog."""
    return publish(None, catalog if isinstance(catalog, Catalog) else Catalog.load(catalog))[0]


def world_of(
    catalog: Mapping[str, object] | Catalog = SMALL,
    controls: Controls | None = None,
    modes: Modes | None = None,
) -> World:
    """A world in which only *catalog* was ever published."""
    return World.of(published_of(catalog), controls or Controls(), modes or Modes())


def of(quantity: int, version: int = 1) -> object:
    """What a fact about an add-on says."""
    return {"quantity": quantity, "version": version} if quantity else None


def sub(
    plan: str,
    name: str = "main",
    *,
    version: int = 1,
    add_ons: Mapping[str, int] | None = None,
    **times: object,
) -> list[NewFact]:
    """The facts of one subscription, known since the beginning of time."""
    return [
        NewFact(subject(name, "plan"), 0, {"plan": plan, "version": version}),
        *(NewFact(subject(name, key), 0, value) for key, value in times.items()),
        *(NewFact(subject(name, "add_on", key), 0, of(quantity)) for key, quantity in (add_ons or {}).items()),
    ]


def override(
    feature: str,
    to: Value | Deny,
    *,
    user: str | None = None,
    since: Instant = 0,
    until: Instant | None = None,
    because: str = "a promise",
    actor: str = "asha",
) -> NewFact:
    """The fact of one override."""
    about = ("override", feature) if user is None else ("override", feature, user)
    return NewFact(about, since, {"to": encode_value(to), "until": until, "because": because, "actor": actor})


def granted(
    feature: str,
    amount: int,
    *,
    since: Instant = 0,
    expires: Instant | None = None,
    priority: int = 50,
    promotional: bool = False,
    id: str | None = None,
) -> list[NewFact]:
    """The facts of one grant; without an id it is one that follows from the rest."""
    about = ("grant", id or f"{feature} {amount} {since} {expires}")
    value = {
        "feature": feature,
        "amount": amount,
        "since": since,
        "expires": expires,
        "priority": priority,
        "promotional": promotional,
        "created": since,
        "source": "by hand",
        "actor": "asha",
        "because": "a promise",
    }
    return [NewFact(about, since, value), *([] if expires is None else [NewFact(about, expires, None)])]


def status(word: str) -> NewFact:
    """The fact that a tenant is suspended or revoked."""
    return NewFact(("status",), 0, word)


def tenant(*facts: NewFact | list[NewFact], name: str = "acme") -> TenantDocument:
    """A tenant of whom these facts are known."""
    flat = [fact for each in facts for fact in (each if isinstance(each, list) else [each])]
    return record(TenantDocument(name), flat, recorded=0).document if flat else TenantDocument(name)


def decide(
    document: TenantDocument,
    key: str,
    world: World,
    *,
    at: Instant = NOW,
    access: Intent = "write",
    user: str | None = None,
) -> Decision:
    """What is answered about *key* at an instant."""
    stand = resolve(document, world, at, at + 1, user=user)[0].standpoint
    return (stand.write if access == "write" else stand.read)[key]


def situation_of(*facts: NewFact | list[NewFact], world: World, at: Instant = NOW) -> Situation:
    """What the rules see of a tenant of whom these facts are known."""
    return situation(tenant(*facts), world, at)
