"""Seats and settlements in the host's own transaction: its row and ours are there together, or neither is."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from payaid_entitlements.errors import ConfigurationError, QuotaExceeded
from tests.holding import racing
from tests.holding.hosts import Host

SEATS = ("acme", "seats")
SERVERS = ["sqlite_url", "postgres_url", "mariadb_url"]


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'app.db'}"


@pytest.fixture(
    params=[("sync", "sqlite_url"), ("async", "sqlite_url"), ("sync", "postgres_url"), ("async", "postgres_url")]
)
def host(request):
    colour, url = request.param
    found = Host(colour, request.getfixturevalue(url))
    yield found
    found.close()


def holders(host):
    return [each.holder for each in host.told(host.ent.assignments(*SEATS))]


def test_a_seat_and_its_row_are_there_together(host):
    """Or neither is; and it is not given to anybody else meanwhile."""
    give = lambda holder: lambda db: host.ent.assign(*SEATS, holder, tx=db)  # noqa: E731
    host.within(host.row, give("member:1"), fails=True)
    assert (holders(host), host.there()) == ([], 0)
    host.within(host.row, give("member:1"))
    assert (holders(host), host.there()) == (["member:1"], 1)
    assert host.within(give("member:2"), lambda db: host.ent.try_assign(*SEATS, "member:3", tx=db)).usage.used == 3
    with pytest.raises(QuotaExceeded):
        host.within(host.row, give("member:4"))
    assert (len(holders(host)), host.there()) == (3, 1)
    host.within(
        lambda db: host.ent.unassign(*SEATS, "member:2", tx=db),
        lambda db: host.ent.reassign(*SEATS, "member:1", "member:9", tx=db),
        fails=True,
    )
    assert holders(host) == ["member:1", "member:2", "member:3"]
    host.within(
        lambda db: host.ent.unassign(*SEATS, "member:2", tx=db),
        lambda db: host.ent.reassign(*SEATS, "member:1", "member:9", tx=db),
    )
    assert sorted(holders(host)) == ["member:3", "member:9"]


def test_a_settlement_and_its_row_are_there_together(host):
    """Rolled back, it is still to be settled."""
    hold = host.told(host.ent.reserve("acme", "crm.pages", 8, operation="op"))
    settle = lambda db: hold.settle(3, tx=db)  # noqa: E731
    assert host.within(host.row, settle, fails=True).used == 3
    found = host.usage("crm.pages")["crm.pages"]
    assert (found.used, found.held, host.there()) == (0, 8, 0)
    assert host.within(host.row, settle).replayed is False
    found = host.usage("crm.pages")["crm.pages"]
    assert (found.used, found.held, host.there()) == (3, 0, 1)
    assert host.within(settle).replayed is True


def test_a_mistake_in_the_transaction_settles_nothing(host):
    """It is no transaction at all: the hold is still open, and its block gives it back."""
    hold = host.told(host.ent.reserve("acme", "crm.pages", 8, operation="op"))
    with pytest.raises(ConfigurationError, match="tx"):
        host.told(hold.settle(3, tx=object()))
    assert host.told(hold.settle(3)).used == 3


@pytest.mark.parametrize("server", ["sqlite_url", "postgres_url"])
def test_processes_who_race_for_seats_get_exactly_as_many_as_are_sold(request, server, racers):
    """In transactions of their own, and without; each holder once, and whoever asks for one who has it gets it too."""
    url = request.getfixturevalue(server)
    host = Host("sync", url)
    try:
        given = racers.race(racing.take_seats, url, 4)
        there = holders(host)
        assert (len(there), set().union(*given)) == (3, set(there))
        assert host.usage("seats")["seats"].used == 3
    finally:
        host.close()


@pytest.mark.parametrize("server", SERVERS)
def test_who_race_to_hold_get_no_more_than_there_is(request, server):
    """Half of them settle less, the others give back: afterwards all counts are exact."""
    host = Host("sync", request.getfixturevalue(server))

    def race(number):
        try:
            hold = host.ent.reserve("acme", "crm.pages", 3, operation=("op", number))
        except QuotaExceeded:
            return None
        if number % 2:
            hold.release()
            return 0
        return hold.settle(1).taken

    try:
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(race, range(12)))
        usage = host.usage("crm.pages")["crm.pages"]
        assert (usage.used, usage.held) == (sum(each or 0 for each in found), 0)
        assert usage.used >= 1
        assert host.ent.consume("acme", "crm.pages", 10 - usage.used, operation="rest").remaining == 0
    finally:
        host.close()
