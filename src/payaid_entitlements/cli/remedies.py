"""Remedies in words: what would open something, as an operator tells a customer."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from payaid_entitlements.cli.printing import escape
from payaid_entitlements.cli.times import shown
from payaid_entitlements.core.catalog import Price
from payaid_entitlements.core.remedies import AddAddOn, ChangePlan, Contact, ReleaseSlots, Remedy, WaitUntil
from payaid_entitlements.core.subscription import MAIN


def remedy_in_words(remedy: Remedy, zone: ZoneInfo) -> str:
    """One remedy in one line, marked up."""
    match remedy:
        case ChangePlan(plan=plan, prices=prices, verb=verb, subscription=name):
            how = "change to" if verb == "change_plan" else "subscribe to"
            return f"{how} plan [bold cyan]{escape(plan)}[/]{_prices(prices)}{_of(name)}"
        case AddAddOn(add_on=add_on, quantity=quantity, prices=prices, subscription=name):
            count = "" if quantity == 1 else f"{quantity} x "
            return f"add {count}[bold cyan]{escape(add_on)}[/]{_prices(prices)}{_of(name)}"
        case WaitUntil(at=at):
            return f"wait until {shown(at, zone)}"
        case ReleaseSlots(feature=feature, amount=amount):
            return f"free {amount} of [bold cyan]{escape(feature)}[/]"
        case Contact(title=title, subscription=name):
            return f"{escape(title)}{_of(name)}"


def _of(subscription: str | None) -> str:
    return "" if subscription in (None, MAIN) else f", subscription {escape(str(subscription))}"


def _prices(prices: tuple[Price, ...]) -> str:
    said = " or ".join(f"{price.amount} {price.currency} {_EVERY[price.interval]}" for price in prices)
    return f" [dim]({escape(said)})[/]" if said else ""


_EVERY = {"month": "a month", "year": "a year", "once": "once"}
