"""What a change tells of more being in use than it leaves: asked of the ledger, and only where a limit is lowered."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from payaid_entitlements.admin.exceeding import UNKNOWN, _balances
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.metering.posting import SLOTS, AccountId, Balance
from payaid_entitlements.core.values import DENY
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from tests.admin.conftest import TODAY, Shop, at, facts, utc

ROLLING = {"kind": "quota", "rollover": {"max": 50}}
ROWS = {"kind": "allocation", "count": "host"}
CATALOG = Catalog.load(
    {
        "catalog": 1,
        "features": {
            "calls": {"kind": "quota", "decimals": 1},
            "seats": {"kind": "allocation"},
            "rows": ROWS,
            "rolling": ROLLING,
        },
        "plans": {
            "small": {"features": {"seats": 5, "calls": "100/month", "rows": 5, "rolling": "10/month"}},
            "big": {"features": {"seats": 25, "calls": "1000/month", "rows": 50, "rolling": "20/month"}},
            "huge": {"features": {"seats": "unlimited", "calls": "unlimited", "rows": "unlimited"}},
        },
        "add_ons": {"more_seats": {"increment": {"seats": 5}}},
    }
)


class Known:
    """What a ledger would read of accounts; it notes what it is asked, and can be down."""

    def __init__(self, colour: str) -> None:
        self.colour = colour
        self.balances_of: dict[AccountId, Balance] = {}
        self.asked: list[tuple[AccountId, ...]] = []
        self.fails: Exception | None = None
        self.name, self.is_durable, self.concerns, self.keeps_for = "known", True, (), 0

    def prepare(self) -> Any:
        return self._answer(None)

    def balances(self, tenant: str, accounts: Sequence[AccountId], *, now: object, tx: object) -> Any:
        self.asked.append(tuple(accounts))
        if tx is not None:
            raise ConfigurationError("this ledger joins no transaction")
        if self.fails is not None:
            raise self.fails
        found: Mapping[AccountId, Balance] = {
            account: self.balances_of[account] for account in accounts if account in self.balances_of
        }
        return self._answer(found)

    def close(self) -> None:
        pass

    def _answer(self, value: object) -> Any:
        return value if self.colour == "sync" else asyncio.sleep(0, value)

    async def aclose(self) -> None:
        pass


@pytest.fixture
def ledger(colour: str) -> Known:
    return Known(colour)


@pytest.fixture
def shop(colour: str, ledger: Known) -> Any:
    opened = Shop(colour, catalog=CATALOG)
    opened.ent._driver.ledger = ledger
    yield opened
    opened.close()


WINDOW = f"w{instant(TODAY)}"


def test_a_downgrade_tells_what_is_in_use_above_the_new_limits(shop, admin, ledger):
    """Before it is made, and when it is; nothing is taken from anybody."""
    admin.subscribe("acme", "big")
    assert ledger.asked == []
    ledger.balances_of = {("seats", SLOTS): Balance(used=7), ("calls", WINDOW): Balance(used=1500, held=5)}
    told = ("calls: 150.5 used, 100.0 allowed", "seats: 7 used, 5 allowed")
    assert shop.admin(dry_run=True).change_plan("acme", "small").exceeds == told
    assert ledger.asked == [(("calls", WINDOW), ("seats", SLOTS), ("rolling", WINDOW))]
    assert admin.change_plan("acme", "small").exceeds == told
    assert admin.change_plan("acme", "big").exceeds == ()
    assert len(ledger.asked) == 2


def test_what_fits_is_not_told(shop, admin, ledger):
    """Exactly full is not too much."""
    admin.subscribe("acme", "huge")
    ledger.balances_of = {("seats", SLOTS): Balance(used=5), ("calls", WINDOW): Balance(used=1000)}
    assert admin.change_plan("acme", "small").exceeds == ()


def test_a_downgrade_at_the_end_of_the_period_counts_what_is_there_then(shop, admin, ledger):
    """Slots stay; a window that has not begun has nothing in it."""
    admin.subscribe("acme", "big")
    ledger.balances_of = {("seats", SLOTS): Balance(used=7), ("calls", WINDOW): Balance(used=5000)}
    assert admin.change_plan("acme", "small", when="period_end").exceeds == ("seats: 7 used, 5 allowed",)


def test_a_cancellation_tells_who_still_sits_there(shop, admin, ledger):
    """Units of a quota were used, and that is all."""
    admin.subscribe("acme", "big")
    ledger.balances_of = {("seats", SLOTS): Balance(used=7), ("calls", WINDOW): Balance(used=5000)}
    assert admin.cancel("acme").exceeds == ("seats: 7 used, 0 allowed",)


def test_other_changes_that_lower_a_limit_tell_too(shop, admin, ledger):
    """An add-on that is given back, an override, a suspension, and what is undone."""
    admin.subscribe("acme", "small", add_ons={"more_seats": 1})
    ledger.balances_of = {("seats", SLOTS): Balance(used=7)}
    given_back = admin.set_add_on("acme", "more_seats", 0)
    assert given_back.exceeds == ("seats: 7 used, 5 allowed",)
    bought = admin.undo(given_back.id)
    assert bought.exceeds == ()
    assert admin.override("acme", "seats", 3, until=at(5)).exceeds == ("seats: 7 used, 3 allowed",)
    assert admin.override("acme", "seats", DENY).exceeds == ("seats: 7 used, 0 allowed",)
    assert facts(admin.suspend("beta"))[0]


def test_what_rolled_over_is_allowed_too(shop, admin, ledger):
    """The ledger alone knows how much that is."""
    admin.subscribe("acme", "big")
    shop.clock.travel_to(utc(2026, 11, 1))
    window = instant(utc(2026, 10, 21, 14, 13, 20))
    ledger.balances_of = {
        ("rolling", f"w{window}"): Balance(used=12),
        ("rolling", f"r{window}"): Balance(used=4, cap=4, is_opened=True),
    }
    assert admin.change_plan("acme", "small").exceeds == ("rolling: 16 used, 14 allowed",)
    admin.change_plan("acme", "big")
    ledger.balances_of["rolling", f"w{window}"] = Balance(used=10)
    assert admin.change_plan("acme", "small").exceeds == ()


def test_moving_everybody_asks_no_ledger(shop, admin, ledger):
    """What exceeds is told of one tenant; of many nobody could read it."""
    admin.subscribe("acme", "big")
    plans = {"big": {"features": {"seats": 3}}, "small": {"features": {"seats": 1}}, "huge": {"features": {}}}
    features = {"calls": {"kind": "quota", "decimals": 1}, "seats": {"kind": "allocation"}, "rows": ROWS}
    features["rolling"] = ROLLING
    admin.publish(Catalog.load({"catalog": 1, "features": features, "plans": plans}))
    assert admin.migrate("big").tenants == 1
    assert ledger.asked == []


def test_without_an_answer_the_change_is_made_and_says_so(shop, admin, ledger):
    """Nobody must wait with a downgrade until the ledger is back."""
    admin.subscribe("acme", "big")
    ledger.fails = StoreUnavailable("down")
    change = admin.change_plan("acme", "small")
    assert (facts(change), change.exceeds) == ((True, "change.applied"), (UNKNOWN,))


def test_without_a_ledger_nothing_is_known_to_exceed(colour):
    """Nothing is counted, so nothing is above."""
    shop = Shop(colour, catalog=CATALOG)
    shop.ent._driver.ledger = None
    admin = shop.admin()
    admin.subscribe("acme", "big")
    assert admin.change_plan("acme", "small").exceeds == ()
    shop.close()


def test_a_ledger_elsewhere_is_read_outside_of_the_hosts_transaction(colour, ledger):
    """It cannot join it; what it has committed is told."""
    shop = Shop(colour, catalog=CATALOG)
    shop.ent._driver.ledger = ledger
    ledger.balances_of = {("seats", SLOTS): Balance(used=7)}
    flow = _balances(shop.ent._setting, "acme", (("seats", SLOTS),), object())  # type: ignore[arg-type] # any transaction but its own
    answered = shop.run(shop.ent._driver.run(flow))
    assert answered == ledger.balances_of
    assert len(ledger.asked) == 2
    shop.close()
