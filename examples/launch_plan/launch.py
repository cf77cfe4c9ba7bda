"""
A launch plan that watches itself: 5 %, 25 %, 50 %, all; and one that goes back by itself.

    python examples/launch_plan/launch.py

`catalog.yaml` holds the plan. The app asks the flag, and measures either checkout; nothing else is needed: whichever
process measures when it is time takes the next step. A week passes here in a second, by a clock of our own.
"""

from __future__ import annotations

import random
import sys
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from payaid_entitlements import Entitlements

CATALOG = Path(__file__).parent / "catalog.yaml"
FLAG = "new-checkout"
HOUR = 3600.0


class CheckoutFailed(Exception):
    """What a checkout raises when it fails."""


def checkout(ent: Entitlements, tenant: str, fails: float) -> None:
    """
    Serve one request.

    Args:
        fails: How often the new checkout does; the old one fails once in a hundred.
    """
    view = ent.tenant(tenant)
    with ent.measured(view, FLAG):
        rate = fails if view.flag(FLAG) else 0.01
        if random.random() < rate:  # no secret
            raise CheckoutFailed


def launch(url: str, fails: float, days: int = 8) -> list[str]:
    """Serve requests for some days, and say what became of the rollout."""
    random.seed(7)
    now = datetime(2026, 12, 1, 2, 0, tzinfo=UTC).timestamp()
    with Entitlements.open(url, catalog=str(CATALOG), clock=lambda: now) as ent:
        for _ in range(days * 24):
            for _ in range(150):
                with suppress(CheckoutFailed):
                    checkout(ent, f"org-{random.randrange(2000)}", fails)
            now += HOUR
        admin = ent.admin("you")
        return [f"{entry.at:%d %b %H:%M} {entry.because}" for entry in admin.audit() if entry.verb == "step_rollout"]


def main() -> None:
    """Tell both stories."""
    print("It fails no more often than the old one:")
    for line in launch("memory://", fails=0.01):
        print(" ", line)
    print("It fails once in ten times:")
    for line in launch("memory://", fails=0.1):
        print(" ", line)


if __name__ == "__main__":
    sys.exit(main())
