"""What tests of OpenFeature and OFREP share: a catalog, flags of all types, a store that fails on demand, a clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements
from payaid_entitlements.core.flags.model import PARTS, Flag, FlagType, Progress, Rollout, Rule, Test
from payaid_entitlements.core.instant import EARLIEST
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import Write
from payaid_entitlements.testing import FakeClock, FaultyStore
from payaid_entitlements.testing.faults import Faults

START = datetime(2030, 5, 1, 12, tzinfo=UTC)
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {
            "crm": {
                "features": {
                    "export": {"kind": "switch"},
                    "beta": {"kind": "config", "type": "bool", "merge": "max"},
                    "page_size": {"kind": "config", "type": "int", "merge": "max"},
                    "rate": {"kind": "config", "type": "decimal", "merge": "max"},
                    "theme": {"kind": "config", "type": "string", "merge": "priority"},
                    "colours": {"kind": "config", "type": "list", "merge": "priority"},
                    "patience": {"kind": "config", "type": "duration", "merge": "max"},
                    "calls": {"kind": "quota", "unit": "call"},
                }
            },
            "hr": {"features": {"payroll": {"kind": "switch"}}},
        },
        "plans": {
            "free": {"modules": ["crm"], "features": {"crm.page_size": 10, "crm.beta": False}},
            "pro": {
                "extends": "free",
                "price": {"monthly": 5, "currency": "EUR"},
                "features": {
                    "crm.export": True,
                    "crm.beta": True,
                    "crm.page_size": 50,
                    "crm.rate": Decimal("1.5"),
                    "crm.theme": "dark",
                    "crm.colours": ["red", "green"],
                    "crm.patience": "90 seconds",
                    "crm.calls": "100/month",
                },
            },
            "all": {
                "extends": "pro",
                "price": {"monthly": 9, "currency": "EUR"},
                "features": {"crm.calls": "unlimited"},
            },
        },
    }
)

HALF = Rollout(((EARLIEST, PARTS // 2),))
ON_OFF = {"on": True, "off": False}
_TYPES = {bool: FlagType.BOOLEAN, str: FlagType.STRING, int: FlagType.INTEGER, float: FlagType.FLOAT}


def a_flag(key: str, variants: Mapping[str, Any], default: str | None, *rules: Rule, **more: Any) -> Flag:
    """A flag of the type that its first variant has."""
    kind = _TYPES.get(type(next(iter(variants.values()))), FlagType.OBJECT)
    return Flag(key, kind, variants, default, default, **{"salt": key, "rules": rules, **more})


FLAGS = {
    each.key: each
    for each in [
        a_flag("plain", ON_OFF, "on", metadata={"team": "growth", "parts": [1]}),
        a_flag("new-checkout", ON_OFF, "off", Rule("half", "on", rollout=HALF)),
        a_flag("by-user", ON_OFF, "off", Rule("half", "on", rollout=HALF), bucket_by="user"),
        a_flag("for-pro", ON_OFF, "off", Rule("pro", "on", Test("plan", "eq", "pro"))),
        a_flag("for-ann", ON_OFF, "off", Rule("ann", "on", Test("user", "eq", "ann"))),
        a_flag("by-country", ON_OFF, "off", Rule("india", "on", Test("country", "eq", "IN"))),
        a_flag("theme", {"dark": "black", "light": "white"}, "light"),
        a_flag("size", {"small": 10, "big": 1000}, "small"),
        a_flag("ratio", {"one": 1.0, "half": 0.5}, "one"),
        replace(a_flag("whole", {"one": 1}, "one"), type=FlagType.FLOAT),
        a_flag("layout", {"wide": {"columns": [1, 2]}}, "wide"),
        a_flag("off", ON_OFF, None, enabled=False),
        a_flag("callers", ON_OFF, None),
        # An operator that there is not: it cannot be compiled, and fails alone.
        a_flag("broken", ON_OFF, "off", Rule("bad", "on", Test("plan", "is_secretly", "pro"))),
    ]
}


class Stage:
    """A store that fails on demand, with flags in it, and clients whose clock stands until it is moved."""

    def __init__(self, flags: Mapping[str, Flag] = FLAGS) -> None:
        self.clock = FakeClock(START)
        self.faults = Faults()
        self.store = MemoryStore()
        self.opened: list[Entitlements] = []
        self.ent = self.client()
        self.ent.admin("tests").subscribe("pro", plan="pro")
        self.ent.admin("tests").subscribe("all", plan="all")
        self.put(flags)

    def client(self, **how: Any) -> Entitlements:
        given = {"catalog": CATALOG, "clock": self.clock, "strict": False, **how}
        store = given.pop("store", self.store)
        self.opened.append(Entitlements(FaultyStore(store, self.faults), **given))
        return self.opened[-1]

    def async_client(self, **how: Any) -> AsyncEntitlements:
        """An async client of the same store. Who takes it closes it."""
        given = {"catalog": CATALOG, "clock": self.clock, "strict": False, **how}
        return AsyncEntitlements(FaultyStore(AsyncMemoryStore(self.store), self.faults), **given)

    def put(self, flags: Mapping[str, Flag | None], **more: Any) -> None:
        """Change flags as another process would, and let time pass until everybody looks at the change log again."""
        before = self.store.flags()
        after = replace(before, revision=before.revision + 1, flags={**before.flags, **flags}, **more)
        write = Write(f"flags-{after.revision}", "set_flag", 0, flags=after)
        self.store.apply(write, expect=before.revision, actor="tests", because=None)
        self.clock.advance(seconds=3)

    def step(self, **progress: Progress) -> None:
        """Let guarded rollouts stand so."""
        self.put({}, progress=progress)

    def close(self) -> None:
        self.faults.before, self.faults.is_down = None, False
        for each in self.opened:
            each.close()


def awaited(client: AsyncEntitlements, coroutine: Callable[[], Any]) -> Any:
    """Run one coroutine with an async client, and close it."""

    async def run() -> Any:
        async with client:
            return await coroutine()

    return asyncio.run(run())
