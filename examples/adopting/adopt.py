"""
An app with 3,000 customers and ``if plan == "pro"``, on its way to a catalog: nobody is locked out on the way.

    python examples/adopting/adopt.py

`before/shop.py` is the app as it was, `after/shop.py` the same on its way. The plan stays a column of the app's own
table. Each line with a $ is a command that an operator would type.
"""

from __future__ import annotations

import sys
import tempfile
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from after.shop import Org, campaign, export

from payaid_entitlements import Entitlements, Subscription
from payaid_entitlements.cli.program import app
from payaid_entitlements.errors import Refused

HERE = Path(__file__).parent

#: 3,000 customers. Twelve have a plan that was sold long ago, and that the catalog does not have.
ORGS = {
    f"org-{number:04}": Org(f"org-{number:04}", plan)
    for number, plan in enumerate(["gold"] * 12 + ["enterprise"] * 88 + ["pro"] * 900 + ["basic"] * 2_000)
}
#: What a column of the app is called in the catalog. Nobody has thought of gold.
CALLED = {"gold": "basic"}


def subscription_of(tenant: str) -> Subscription | None:
    """Say what a customer has, from the app's own table."""
    org = ORGS.get(tenant)
    return None if org is None else Subscription(CALLED.get(org.plan, org.plan))


def opened(url: str) -> Entitlements:
    """Open as each process of the app does."""
    return Entitlements.open(url, catalog=HERE / "catalog.yaml", subscriptions=subscription_of, enforcement="observe")


def a_week(url: str) -> int:
    """Serve everybody once, and say who was refused by the catalog."""
    refused = 0
    with opened(url) as ent:
        ent.warm_up(ORGS)
        for org in ORGS.values():
            for serve in (export, campaign):
                try:
                    serve(ent, org)
                except Refused as error:
                    # The old rule refuses too, and by its own reason.
                    refused += error.decision.reason != "enforcement.legacy"
    return refused


def enforced(url: str) -> set[str]:
    """Say for whom the catalog decides."""
    with opened(url) as ent:
        ent.warm_up(ORGS)
        return {
            tenant for tenant in ORGS if ent.check(tenant, "crm.campaigns", legacy=True).reason != "enforcement.legacy"
        }


def payaid(url: str, *words: str) -> None:
    """Do what an operator types."""
    print("$ payaid", *words, flush=True)
    with suppress(SystemExit):
        app(["--url", url, *words], standalone_mode=False)


def adopt(url: str) -> None:
    """Go all the way."""
    print("Where does the app compare plans?")
    payaid(url, "catalog", "scan", str(HERE / "before"), "--catalog", str(HERE / "catalog.yaml"), "--plan", "gold")

    print("\nA week in which the old rule decides, and the catalog is only asked:")
    print(a_week(url), "times somebody was refused by it")
    payaid(url, "observe", "report", "--since", "7d", "--subscriptions", "adopt:subscription_of")

    print("\nTwelve have bought gold, long ago. They keep what they have, for a year:")
    with opened(url) as ent:
        admin = ent.admin("asha", because="gold, sold until 2024")
        for org in ORGS.values():
            if org.plan == "gold":
                admin.override(org.id, "crm.export", True, until=datetime.now(UTC) + timedelta(days=365))
    payaid(url, "observe", "report", "--since", "7d", "--subscriptions", "adopt:subscription_of")

    print("\nEnforced step by step; who is in stays in:")
    before: set[str] = set()
    for percent in ("5", "25", "100"):
        payaid(url, "enforcement", "set", "crm", "enforce", "--percent", percent, "--because", "no difference", "--yes")
        now = enforced(url)
        print(f"the catalog decides for {len(now)} of {len(ORGS)}; {len(before - now)} have left")
        before = now

    print("\nA week in which the catalog decides:")
    print(a_week(url), "times somebody was refused: whoever has no campaigns, or no export")


def main() -> None:
    """Tell the story, with a database of its own."""
    with tempfile.TemporaryDirectory() as directory:
        adopt(f"sqlite:///{directory}/payaid.db")


if __name__ == "__main__":
    sys.exit(main())
