"""An app with `if plan == "pro"` goes all the way, and nobody is locked out on it."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest
import structlog

from payaid_entitlements.core.flags.model import PARTS
from payaid_entitlements.core.staging import is_reached

DIRECTORY = Path(__file__).parents[2] / "examples" / "adopting"


@pytest.fixture
def adopting(monkeypatch):
    """The example, with a tenth of its customers."""
    monkeypatch.syspath_prepend(str(DIRECTORY))
    monkeypatch.setenv("COLUMNS", "200")
    for name in ("PAYAID_URL", "PAYAID_ENFORCEMENT"):
        monkeypatch.delenv(name, raising=False)
    module = importlib.import_module("adopt")
    plans = ["gold"] * 12 + ["enterprise"] * 8 + ["pro"] * 80 + ["basic"] * 200
    orgs = {f"org-{number:04}": module.Org(f"org-{number:04}", plan) for number, plan in enumerate(plans)}
    monkeypatch.setattr(module, "ORGS", orgs)
    yield module
    structlog.reset_defaults()
    for name in ("adopt", "after", "after.shop"):
        sys.modules.pop(name, None)


def test_it_goes_all_the_way(adopting, capfd, tmp_path):
    adopting.adopt(f"sqlite:///{tmp_path / 'payaid.db'}")
    lines = capfd.readouterr().out.splitlines()
    said = {
        word: [line.strip() for line in lines if word in line] for word in ("compares", "lose", "hold", "decides for")
    }
    assert [line.split("  ")[1] for line in said["compares"][:3]] == [
        'if org.plan in ("pro", "enterprise", "gold"):',
        'if org.plan == "enterprise":',
        'return {"basic": 100, "pro": 10_000, "enterprise": 1_000_000}.get(org.plan, 100)',
    ]
    gold = ", ".join(f"org-{number:04}" for number in range(12))
    assert f"crm.export would lose it: {gold}" in said["lose"]
    assert said["hold"] == [f"crm.export hold it by now: {gold}"]
    reached = [sum(is_reached("crm", tenant, PARTS * share // 100) for tenant in adopting.ORGS) for share in (5, 25)]
    assert said["decides for"] == [
        f"the catalog decides for {count} of 300; 0 have left" for count in (*reached, len(adopting.ORGS))
    ]
    assert "0 times somebody was refused by it" in lines
    assert "492 times somebody was refused: whoever has no campaigns, or no export" in lines


@pytest.mark.soak
def test_it_runs_by_itself_with_all_customers():
    command = [sys.executable, str(DIRECTORY / "adopt.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert "the catalog decides for 3000 of 3000; 0 have left" in done.stdout
