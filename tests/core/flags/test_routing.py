"""Which version answers whom."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.flags.routing import KEPT_FOR, Route, needed, promoted, switched_back, version
from payaid_entitlements.core.instant import HOUR
from payaid_entitlements.errors import ConfigurationError

BLUE = Route("crm", "crm-1.4")
CANARY = replace(BLUE, canaries=(("crm-1.5", 5_000), ("crm-2.0", 1_000)))
TENANTS = [f"t{n}" for n in range(20_000)]


def test_shares_are_what_they_say() -> None:
    found = [version(CANARY, tenant) for tenant in TENANTS]
    assert found.count("crm-1.5") == pytest.approx(1_000, abs=150)
    assert found.count("crm-2.0") == pytest.approx(200, abs=70)
    assert {version(BLUE, tenant) for tenant in TENANTS[:100]} == {"crm-1.4"}


def test_a_tenant_stays_where_it_is_in_every_process() -> None:
    asked = (
        "from payaid_entitlements.core.flags.routing import Route, version\n"
        "route = Route('crm', 'crm-1.4', (('crm-1.5', 5_000), ('crm-2.0', 1_000)))\n"
        "print(''.join(version(route, f't{n}')[-1] for n in range(500)))"
    )
    expected = "".join(version(CANARY, tenant)[-1] for tenant in TENANTS[:500])
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", asked],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == expected


@given(st.text(min_size=1), st.integers(0, PARTS), st.integers(0, PARTS))
def test_where_a_canary_grows_tenants_only_move_to_it(tenant: str, share: int, more: int) -> None:
    less, grown = sorted((share, more))
    before, after = (version(replace(BLUE, canaries=(("new", each),)), tenant) for each in (less, grown))
    assert after in (before, "new")
    assert version(replace(BLUE, canaries=(("new", PARTS),)), tenant) == "new"
    assert version(replace(BLUE, canaries=(("new", 0),)), tenant) == "crm-1.4"


def test_who_is_pinned_gets_its_own() -> None:
    pinned = replace(CANARY, pinned=(("t1", "crm-1.4"), ("t2", "crm-2.0")))
    assert [version(pinned, tenant) for tenant in ("t1", "t2")] == ["crm-1.4", "crm-2.0"]
    assert [version(pinned, tenant) for tenant in TENANTS[3:200]] == [version(CANARY, t) for t in TENANTS[3:200]]
    assert needed(pinned, 0) == {"crm-1.4", "crm-1.5", "crm-2.0"}


def test_who_was_promoted_answers_all_and_the_one_before_is_kept_for_a_day() -> None:
    green = promoted(CANARY, "crm-1.5", at=7)
    assert {version(green, tenant) for tenant in TENANTS[:500]} == {"crm-1.5"}
    assert needed(green, 7 + KEPT_FOR - 1) == {"crm-1.5", "crm-1.4"}
    assert needed(green, 7 + KEPT_FOR) == {"crm-1.5"}
    assert promoted(green, "crm-1.5", at=9) == green


def test_switching_back_is_instant_and_can_be_taken_back() -> None:
    green = promoted(CANARY, "crm-1.5", at=0)
    back = switched_back(green, HOUR)
    assert {version(back, tenant) for tenant in TENANTS[:500]} == {"crm-1.4"}
    assert needed(back, HOUR) == {"crm-1.4", "crm-1.5"}
    assert switched_back(back, 2 * HOUR).live == "crm-1.5"
    with pytest.raises(ConfigurationError, match="no version to switch back to"):
        switched_back(green, KEPT_FOR)
    with pytest.raises(ConfigurationError, match="no version to switch back to"):
        switched_back(BLUE, 0)


def test_switching_back_calls_canaries_off_first() -> None:
    assert switched_back(CANARY, 0) == BLUE
    assert needed(replace(BLUE, canaries=(("gone", 0),)), 0) == {"crm-1.4"}


@pytest.mark.parametrize("shares", [(-1,), (PARTS + 1,), (60_000, 60_000), (0.05,), (True,)])
def test_shares_that_cannot_be_are_refused(shares: tuple[int, ...]) -> None:
    """Where the route is made, and not with the first request."""
    with pytest.raises(ConfigurationError, match=r"canaries of 'crm' .* 5000 is 5%"):
        replace(BLUE, canaries=tuple((f"v{n}", share) for n, share in enumerate(shares)))
