"""`payaid limit`: how rate limits stand, who is nearest to one, and how one begins anew."""

import pytest
import time_machine

from payaid_entitlements import DENY, UNLIMITED, Catalog, Entitlements

CATALOG = {
    "catalog": 1,
    "default_plan": "free",
    "modules": {"crm": {}},
    "plans": {"free": {"modules": ["crm"]}},
    # Of a day, so that what is left is the same however slow the machine is.
    "rate_limits": {
        "api": {"default": "100/day"},
        "export": {"default": ["10/day", "90/7 days"], "counts_toward": ["api"]},
        "mine": {"per": "user", "default": "5/day"},
        "sign_in": {"per": "address", "default": "4/day"},
        "trial": {"default": "2/day", "observe": True},
        "jobs": {"default": "3 at once", "held": "1 hour"},
        "free": {"default": "unlimited"},
        "shut": {"default": "1/day"},
        "lost": {"default": "1/day", "counts_toward": ["shut"]},
    },
}


@pytest.fixture
def ent(empty):
    """A client of the terminal's store, in which calls were made."""
    with time_machine.travel(empty.now, tick=False), Entitlements.open(empty.url, catalog=Catalog.load(CATALOG)) as ent:
        admin = ent.admin("asha", because="test")
        admin.publish(Catalog.load(CATALOG))
        for tenant in ("one", "two", "three"):
            admin.subscribe(tenant, "free")
        admin.override("one", "rate_limits.shut", DENY, until=None)
        ent.rate_limit("one", "export", cost=4)
        ent.rate_limit("two", "api", cost=90)
        ent.rate_limit("one", "mine", user="asha")
        ent.rate_limit(None, "sign_in", address="2001:db8:1:2::/64")
        ent.rate_limit("one", "trial", cost=2)
        yield ent


def lines(output, key):
    return [" ".join(line.split()) for line in output.out.splitlines() if f" {key} " in line]


def test_the_limits_of_a_tenant_are_shown_with_bars(empty, ent):
    output = empty.run("limit", "show", "one")

    assert output.code == 0
    [api] = lines(output, "api")
    assert "100/day" in api
    assert "│ 96 │" in api
    assert "░░░░ 4 % │ 0:57:36" in api
    assert [("10/day" in line, "90/7 days" in line) for line in lines(output, "export")] == [
        (True, False),
        (False, True),
    ]
    assert "│ ? │" in lines(output, "mine")[0]
    assert "2/day (observed)" in lines(output, "trial")[0]
    assert "100 %" in lines(output, "trial")[0]
    assert "3 at once │ 3 │ 3 │" in lines(output, "jobs")[0]
    assert "unlimited" in lines(output, "free")[0]
    assert "│ nothing │ 0 │ 0 │" in lines(output, "shut")[0]
    assert "name the --address or the --user" in output.err


def test_one_limit_of_a_user_and_of_an_address_for_programs(empty, ent):
    data = empty.run("limit", "show", "one", "mine", "--user", "asha", "--json").data
    [mine] = data["limits"]
    [policy] = mine["policies"]
    assert (data["user"], mine["per"], mine["needs"]) == ("asha", "user", None)
    assert (policy["quota"], policy["window"], policy["remaining"]) == (5, 86_400, 4)
    assert 0 < policy["resets_after"] <= 86_400 / 5

    [sign_in] = empty.run("limit", "show", "one", "sign_in", "--address", "2001:db8:1:2::9", "--json").data["limits"]
    assert [policy["remaining"] for policy in sign_in["policies"]] == [3]
    [unknown] = empty.run("limit", "show", "one", "sign_in", "--json").data["limits"]
    assert (unknown["needs"], unknown["policies"][0]["remaining"]) == ("address", None)
    [lost] = empty.run("limit", "show", "one", "lost", "--json").data["limits"]
    assert [policy["remaining"] for policy in lost["policies"]] == [None], "what it counts toward lets nothing pass"


def test_a_mistyped_limit_is_said(empty, ent):
    output = empty.run("limit", "show", "one", "exprot")

    assert output.code == 2
    assert "the catalog has no rate limit 'exprot'; did you mean 'export'?" in output.err


def test_those_nearest_to_a_limit_come_first(empty, ent):
    rows = empty.run("limit", "top", "api", "--json").data
    assert [(row["tenant"], row["policies"][0]["remaining"]) for row in rows] == [("two", 10), ("one", 96)]
    assert [row["tenant"] for row in empty.run("limit", "top", "api", "--limit", "1", "--json").data] == ["two"]
    output = empty.run("limit", "top", "api")
    assert "90 %" in output.out
    assert output.out.index("two") < output.out.index("one ")
    assert output.err == ""


def test_the_look_is_bounded_and_says_so(empty, ent):
    output = empty.run("limit", "top", "api", "--among", "1")

    assert "two" not in output.out
    assert "only the first 1 tenants were looked at" in output.err


@pytest.mark.parametrize("limit", ["mine", "sign_in"])
def test_only_tenants_are_known_to_the_store(empty, ent, limit):
    output = empty.run("limit", "top", limit)

    assert output.code == 2
    assert "the store knows tenants only: use payaid limit show --" in output.err


def test_a_limit_begins_anew_and_the_trail_says_who_did_it(empty, ent):
    output = empty.run("limit", "reset", "one", "export", "--because", "INC-7", "--yes")

    assert output.code == 0
    assert "export.86400s  6 of 10 left -> 10 left" in output.out
    assert ent.rate_limit_status("one", "export").remaining == 10
    assert ent.rate_limit_status("one", "api").remaining == 96, "what it counts toward stays counted"
    entry = empty.run("audit", "one", "--json").data[-1]
    assert (entry["verb"], entry["because"]) == ("reset_rate_limit", "INC-7")
    assert entry["detail"]["asked"] == {"limit": "export", "user": None, "address": None}


@pytest.mark.parametrize("address", ["2001:db8:1:2::9", "2001:db8:1:2::/64"])
def test_an_address_is_found_as_it_came_and_as_a_gate_counts_it(empty, ent, address):
    [sign_in] = empty.run("limit", "show", "one", "sign_in", "--address", address, "--json").data["limits"]
    assert sign_in["policies"][0]["remaining"] == 3


def test_of_a_user_and_of_an_address(empty, ent):
    assert empty.run("limit", "reset", "one", "mine", "--because", "x", "--yes").code == 2
    assert ent.rate_limit_status("one", "mine", user="asha").remaining == 4
    assert empty.run("limit", "reset", "one", "mine", "--user", "asha", "--because", "x", "--yes").code == 0
    assert ent.rate_limit_status("one", "mine", user="asha").remaining == 5
    done = empty.run(
        *("limit", "reset", "one", "sign_in", "--address", "2001:db8:1:2::9", "--because", "x", "--yes", "--json")
    )
    assert done.data == {"tenant": "one", "limit": "sign_in", "reset": ["sign_in"]}
    assert ent.rate_limit_status(None, "sign_in", address="2001:db8:1:2::/64").remaining == 4


def test_nothing_is_done_where_nothing_is_counted_or_nobody_agrees(empty, ent):
    assert "nothing is counted on it" in empty.run("limit", "reset", "one", "free", "--because", "x").out
    output = empty.run("limit", "reset", "one", "api", "--because", "x")
    assert output.code == 2
    assert ent.rate_limit_status("one", "api").remaining == 96


def test_what_no_other_process_can_see_is_not_shown(empty, ent):
    empty.environment["PAYAID_LIMITER"] = "memory://"
    output = empty.run("limit", "show", "one")

    assert output.code == 2
    assert "in the memory of each process, where no other can look" in output.err


def test_an_outage_is_no_answer(empty, ent):
    empty.environment["PAYAID_LIMITER"] = "redis://127.0.0.1:1"
    output = empty.run("limit", "show", "one", "api")

    assert (output.code, output.out) == (3, "")
    assert "the limiter gave no answer" in output.err
    assert empty.run("limit", "reset", "one", "free", "--because", "x", "--yes").code == 0
    assert ent.admin("asha", because="x").override("one", "rate_limits.free", UNLIMITED, until=None).applied
