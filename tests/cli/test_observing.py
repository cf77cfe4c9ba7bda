"""`payaid observe report`: who would lose, who would gain, and what would help."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from payaid_entitlements.stores.activity import Seen, Sighting
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.stores.sql import SQLStore
from tests.cli.conftest import Terminal


@pytest.fixture
def seen(terminal: Terminal) -> Iterator[SQLStore]:
    """What was seen lately; kaveri has the plan starter, which has no hr."""
    store = SQLStore(f"sqlite:///{terminal.directory / 'payaid.db'}")
    day = terminal.now.date()
    store.activity.record(
        [
            *(Sighting(tenant, day, Seen.WOULD_LOSE, "hr") for tenant in ("kaveri", "nobody", "other")),
            Sighting("kaveri", day, Seen.WOULD_LOSE, "crm"),
            Sighting("kaveri", day, Seen.WOULD_GAIN, "crm"),
            Sighting("kaveri", day, Seen.WOULD_GAIN, "gone.away"),
            Sighting("nobody", day, Seen.WOULD_LOSE, "gone.away"),
            Sighting("kaveri", day, Seen.MODULE, "crm"),
            Sighting("kaveri", day - timedelta(days=30), Seen.WOULD_LOSE, "invoicing"),
        ]
    )
    yield store
    store.close()


def test_who_would_lose_or_gain_is_counted_and_named(terminal: Terminal, seen: SQLStore) -> None:
    data = terminal.run("observe", "report", "--json").data
    assert data["since"] == "2026-11-15"
    assert data["used"]["crm"] == 1
    found = {each["key"]: each for each in data["differences"]}
    assert set(found) == {"crm", "hr", "gone.away"}
    hr, crm = found["hr"], found["crm"]
    assert hr["would_lose"] == {"count": 3, "tenants": ["kaveri", "nobody", "other"]}
    assert hr["would_gain"] == {"count": 0, "tenants": []}
    assert sum(each["count"] for each in hr["needs"]) == 3
    assert {each["remedy"]["plan"] for each in hr["needs"]} == {"professional"}
    # Somebody has given it to them since.
    assert (crm["would_lose"]["count"], crm["hold_by_now"]["tenants"]) == (0, ["kaveri"])
    assert (found["gone.away"]["not_looked_at"], found["gone.away"]["needs"]) == (1, [])


def test_a_table_shows_it(terminal: Terminal, seen: SQLStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payaid_entitlements.cli.observing.NAMED", 2)
    output = terminal.run("observe", "report", "--since", "7d").out
    lines = [line.split("│")[1:-1] for line in output.splitlines() if "│" in line]
    cells = {row[0].strip(): [each.strip() for each in row[1:]] for row in lines}
    assert cells["hr"][:3] == ["0", "3", "-"]
    assert "professional" in cells["hr"][3]
    assert cells["crm"][:3] == ["1", "-", "1"]
    assert cells["gone.away"] == ["", "1", "1", "1 not looked at"]
    assert "hr would lose it: kaveri, nobody and 1 more (--all)" in output
    assert "crm hold it by now: kaveri" in output
    assert "crm would gain it: kaveri" in output
    assert "hr would lose it: kaveri, nobody, other" in terminal.run("observe", "report", "--all").out


def test_what_was_seen_long_ago_is_asked_for(terminal: Terminal, seen: SQLStore) -> None:
    keys = {each["key"] for each in terminal.run("observe", "report", "--since", "40d", "--json").data["differences"]}
    assert keys == {"crm", "hr", "gone.away", "invoicing"}


def test_more_than_are_looked_at_are_counted(
    terminal: Terminal, seen: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("payaid_entitlements.cli.observing.LOOKED_AT", 1)
    monkeypatch.setattr("payaid_entitlements.cli.enforcement.PAGE", 2)
    found = {each["key"]: each for each in terminal.run("observe", "report", "--json").data["differences"]}
    assert (found["hr"]["not_looked_at"], found["hr"]["would_lose"]["count"]) == (2, 3)


def test_what_is_sold_to_nobody_has_no_remedy(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("payaid_entitlements.cli.observing._cheapest", lambda view, key: None)
    store = SQLStore(f"sqlite:///{terminal.directory / 'payaid.db'}")
    store.activity.record([Sighting("nobody", terminal.now.date(), Seen.WOULD_LOSE, "hr")])
    store.close()
    assert "1 x nothing that is sold" in terminal.run("observe", "report").out


def test_no_difference_may_mean_that_nobody_asks(terminal: Terminal) -> None:
    output = terminal.run("observe", "report")
    assert output.code == 0
    assert "no difference was seen" in output.err
    assert terminal.run("observe", "report", "--since", "long").code == 2


def test_a_store_that_records_nothing_says_so(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryStore, "activity", None, raising=False)
    monkeypatch.setattr(SQLStore, "activity", None)
    output = terminal.run("observe", "report")
    assert output.code == 2
    assert "does not record what tenants do" in output.err


def test_what_the_host_keeps_itself_is_asked(
    terminal: Terminal, seen: SQLStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store knows nothing of it: without it nobody would hold what the host has sold."""
    monkeypatch.chdir(terminal.directory)
    (terminal.directory / "own_table.py").write_text(
        "from payaid_entitlements import Subscription\n"
        "def plans(tenant): return Subscription('professional') if tenant == 'other' else None\n"
    )
    output = terminal.run("observe", "report", "--subscriptions", "own_table:plans", "--json")
    hr = next(each for each in output.data["differences"] if each["key"] == "hr")
    assert (hr["hold_by_now"]["tenants"], hr["would_lose"]["count"]) == (["other"], 2)
    for wrong in ("own_table:nothing", "nowhere:plans", "own_table", ":"):
        output = terminal.run("observe", "report", "--subscriptions", wrong)
        assert (output.code, "module:function" in " ".join(output.err.split())) == (2, True)
