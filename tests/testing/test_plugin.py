"""The pytest plugin, run in a pytest of its own on the tests of a host."""

from __future__ import annotations

import pytest

# Whatever an inner session imports first is forgotten at its end: once here, or anew for each test.
import payaid_entitlements.stores.sql  # noqa: F401

pytest_plugins = "pytester"

APP = """
from payaid_entitlements import AsyncEntitlements, Catalog, Entitlements

CATALOG = Catalog.load({
    "catalog": 1,
    "default_plan": "free",
    "modules": {"crm": {}, "hr": {}},
    "plans": {"free": {"modules": ["crm"]}, "pro": {"extends": "free", "modules": ["hr"]}},
})
ent = Entitlements.open("sqlite:///production.db", catalog=CATALOG)
aent = AsyncEntitlements.open("sqlite:///production.db", catalog=CATALOG)
bare = Entitlements.open("memory://")

class settings:
    client = ent

def may(tenant, module):
    return ent.check(tenant, module).allowed
"""


@pytest.fixture
def host(pytester, monkeypatch):
    """An app of somebody, whose production database must not be touched."""
    pytester.makepyfile(shop=APP)
    pytester.makeini("[pytest]\npayaid_entitlements = shop:ent\naddopts = -p no:cacheprovider\npythonpath = .\n")
    return pytester


def run(host, tests, *args, **outcomes):
    """Run *tests* of the host; nothing of them reaches the production database."""
    host.makepyfile(test_shop="from datetime import UTC, datetime\nimport pytest\nimport shop\n\n" + tests)
    # Other plugins of this environment are imported anew in each session, which takes seconds.
    result = host.runpytest_inprocess("--strict-markers", "--strict-config", "-p", "no:hypothesispytest", *args)
    result.assert_outcomes(**outcomes)
    assert not (host.path / "production.db").exists()
    return result


def test_the_sandbox_is_the_object_that_the_app_imported(host):
    run(
        host,
        """
def test_sold(entitlements):
    assert entitlements.client is shop.ent
    assert not shop.may("acme", "hr")
    entitlements.subscribe("acme", "pro")
    assert shop.may("acme", "hr")

def test_the_next_test_knows_nothing_of_it(entitlements):
    assert not shop.may("acme", "hr")
""",
        passed=2,
    )


def test_the_clock_is_that_of_the_sandbox(host):
    run(
        host,
        """
def test_time(entitlements, clock):
    clock.travel_to(datetime(2026, 9, 21, tzinfo=UTC))
    assert entitlements.clock is clock
    assert shop.ent.tenant("acme").at == datetime(2026, 9, 21, tzinfo=UTC)
    clock.advance(days=1)
    assert shop.ent.tenant("acme").at == datetime(2026, 9, 22, tzinfo=UTC)

def test_the_next_test_has_the_real_time(clock):
    assert abs(clock.now() - datetime.now(UTC)).days == 0
""",
        passed=2,
    )


def test_an_asynchronous_client_in_an_ini_option(host):
    host.makeini("[pytest]\npayaid_entitlements = shop:aent\npythonpath = .\n")
    run(
        host,
        """
import asyncio

def test_sold(entitlements):
    async def story():
        entitlements.subscribe("acme", "pro")
        return (await shop.aent.check("acme", "hr")).allowed

    assert asyncio.run(story())
""",
        passed=1,
    )


def test_a_client_may_be_an_attribute_of_something(host):
    host.makeini("[pytest]\npayaid_entitlements = shop:settings.client\npythonpath = .\n")
    run(host, "def test_it(entitlements):\n    assert entitlements.client is shop.ent\n", passed=1)


def test_a_client_may_be_named_in_pyproject(host):
    (host.path / "tox.ini").unlink()
    host.makepyprojecttoml('[tool.pytest.ini_options]\npayaid_entitlements = "shop:ent"\npythonpath = ["."]\n')
    run(host, "def test_it(entitlements):\n    assert entitlements.client is shop.ent\n", passed=1)


def test_the_marker_needs_no_fixture(host):
    run(
        host,
        """
@pytest.mark.override("acme", "hr", True)
def test_marked():
    assert shop.may("acme", "hr")

@pytest.mark.override("acme", "hr", True)
@pytest.mark.override("acme", feature="crm", to=False)
def test_marked_twice(entitlements):
    assert (shop.may("acme", "hr"), shop.may("acme", "crm")) == (True, False)

def test_not_marked(entitlements):
    assert not shop.may("acme", "hr")
""",
        passed=3,
    )


def test_the_closest_marker_is_the_last_word(host):
    run(
        host,
        """
pytestmark = pytest.mark.override("acme", "hr", False)

@pytest.mark.override("acme", "crm", False)
class TestShop:
    def test_of_the_class_and_of_the_module(self):
        assert (shop.may("acme", "hr"), shop.may("acme", "crm")) == (False, False)

    @pytest.mark.override("acme", "hr", True)
    def test_of_its_own(self):
        assert (shop.may("acme", "hr"), shop.may("acme", "crm")) == (True, False)
""",
        passed=2,
    )


def test_a_marker_with_a_key_that_nobody_sells_is_an_error(host):
    result = run(host, '@pytest.mark.override("acme", "rh", True)\ndef test_it():\n    pass\n', errors=1)

    result.stdout.fnmatch_lines(["*UnknownFeature: *'rh'*"])


def test_an_outage_is_a_block(host):
    run(
        host,
        """
def test_it(entitlements):
    with entitlements.outage():
        assert shop.ent.check("acme", "crm").reason == "store.unavailable"
    assert shop.may("acme", "crm")
""",
        passed=1,
    )


def test_a_decision_as_a_truth_value_fails_the_test_though_it_was_swallowed(host):
    """
    Django's templates swallow a TypeError.
    """
    result = run(
        host,
        """
def test_swallowed(entitlements):
    try:
        if shop.ent.check("acme", "hr"):
            pass
    except TypeError:
        pass

def test_swallowed_in_a_fixture(entitlements, template):
    pass

@pytest.fixture
def template(entitlements):
    try:
        bool(shop.ent.check("acme", "crm"))
    except TypeError:
        pass

def test_the_next_one_is_innocent(entitlements):
    assert shop.may("acme", "crm")
""",
        passed=1,
        failed=2,
    )

    result.stdout.fnmatch_lines(
        [
            "*_ test_swallowed _*",
            "a Decision was used as a truth value; use .allowed (asked: hr)",
            "*_ test_swallowed_in_a_fixture _*",
            "a Decision was used as a truth value; use .allowed (asked: crm)",
        ]
    )


def test_a_test_that_fails_anyway_says_why_itself(host):
    result = run(host, 'def test_it(entitlements):\n    assert shop.ent.check("acme", "hr")\n', failed=1)

    result.stdout.fnmatch_lines(["*TypeError: a Decision has no truth value; use .allowed (asked: 'hr')*"])


def test_a_test_without_the_sandbox_may_do_what_it_likes(host):
    run(host, "def test_it():\n    with pytest.raises(TypeError):\n        bool(_decision())\n" + DECISION, passed=1)


DECISION = """
def _decision():
    from payaid_entitlements import Decision, Reason
    return Decision(True, Reason.PLAN_GRANTED, "crm")
"""


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("", "*UsageError: payaid_entitlements in pytest's ini is ''; write where your client is*"),
        ("shop", "*UsageError: payaid_entitlements in pytest's ini is 'shop'; write where*"),
        ("shop:", "*UsageError: payaid_entitlements in pytest's ini is 'shop:'; write where*"),
        (":ent", "*UsageError: payaid_entitlements in pytest's ini is ':ent'; write where*"),
        ("shop:nowhere", "*UsageError: payaid_entitlements = 'shop:nowhere' in pytest's ini: *no attribute 'nowhere'*"),
        ("shop:CATALOG", "*UsageError: shop:CATALOG is a Catalog, neither Entitlements nor AsyncEntitlements*"),
        ("shop:bare", "*ConfigurationError: the client was opened without catalog=*"),
        ("shp:ent", "*ModuleNotFoundError: No module named 'shp'*"),
    ],
)
def test_a_place_where_no_client_is_says_so(host, place, message):
    host.makeini(f"[pytest]\npayaid_entitlements = {place}\npythonpath = .\n")
    result = run(host, "def test_it(entitlements):\n    pass\n", errors=1)

    result.stdout.fnmatch_lines([message])


def test_a_clock_fixture_of_the_host_is_not_taken_for_ours(host):
    result = run(
        host, "@pytest.fixture\ndef clock():\n    return 12\n\ndef test_it(entitlements):\n    pass\n", errors=1
    )

    result.stdout.fnmatch_lines(["*TypeError: clock=12: give a FakeClock*"])


def test_who_does_not_ask_pays_nothing(host):
    """
    The plugin is loaded in every pytest of an environment in which the library is installed.
    """
    host.makeini("[pytest]\n")
    host.makepyfile(
        """
        import sys
        import pytest

        @pytest.mark.override("somebody", else_="entirely")
        def test_of_somebody_else():
            assert not {"fastapi", "sqlalchemy", "starlette", "typer"} & sys.modules.keys()
        """
    )

    host.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_option_and_the_marker_are_described(host):
    host.runpytest_inprocess("--markers").stdout.fnmatch_lines(["@pytest.mark.override(tenant, feature, to): *"])
    host.runpytest_inprocess("--help").stdout.fnmatch_lines(
        ["*payaid_entitlements (string):*", "*where your Entitlements or AsyncEntitlements is, as*"]
    )
