"""Flags that a test forces come out, whatever their rules say, and are put back."""

from __future__ import annotations

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.core.flags.model import Flag, FlagSet, FlagType, Needs, Rule, Share
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.ports import Write
from payaid_entitlements.testing import sandbox
from tests.entitlements.conftest import CATALOG

RULED = Flag(
    "ruled",
    FlagType.STRING,
    {"r": "red", "g": "green"},
    "g",
    "r",
    enabled=False,
    rules=(Rule("all", "g"),),
    needs=(Needs("other", frozenset({"on"})),),
    exclusion=Share("group", 0, 1),
    holdout=Share("group", 1, 100_000),
)


@pytest.fixture(params=[Entitlements, AsyncEntitlements])
def inside(request):
    client = request.param.open("memory://", catalog=CATALOG)
    with sandbox(client) as found:
        yield found


def view(inside):
    """As code of either colour would take it, once it was asked about."""
    inside.subscribe("acme", "pro")
    return inside.client.peek_tenant("acme") or _looked(inside)


def _looked(inside):
    inside._driver.run(_look(inside))
    return inside.client.peek_tenant("acme")


def _look(inside):
    from payaid_entitlements.answering import look

    return (yield from look(inside._setting, "acme"))


def put(inside, *flags):
    store = inside._driver.store
    was = store.flags()
    flag_set = FlagSet(was.revision + 1, {each.key: each for each in flags})
    store.apply(Write("0" * 26, "set_flag", 0, flags=flag_set), expect=was.revision, actor="test", because=None)


def test_a_flag_that_there_is_not_is_made_of_the_value(inside):
    """Only the store of production knows what was defined there."""
    with inside.flag("new", True):
        assert view(inside).flag("new") is True
    for to, kind in (("red", "string"), (7, "integer"), (1.5, "float"), ({"a": [1]}, "object"), (False, "boolean")):
        with inside.flag("any", to):
            found = view(inside)
            assert found.flag_details("any").value == to
            assert found._flags.flags["any"].flag.type.value == kind
    assert view(inside)._flags.flags == {}


@pytest.mark.parametrize(("to", "value"), [("r", "red"), ("red", "red"), ("blue", "blue")])
def test_a_variant_a_value_or_a_new_value_comes_out(inside, to, value):
    """Whatever would have decided; afterwards it decides again."""
    put(inside, RULED)
    with inside.flag("ruled", to):
        assert view(inside).flag_details("ruled").value == value
        with inside.flag("ruled", "g"):
            assert view(inside).flag_details("ruled").value == "green"
        assert view(inside).flag_details("ruled").value == value
    assert view(inside)._flags.flags["ruled"].flag == RULED


def test_a_float_may_be_written_as_an_integer_and_nothing_else_may_be_otherwise(inside):
    """A test that forces the wrong thing must fail there."""
    put(inside, Flag("rate", FlagType.FLOAT, {"a": 1.5}, "a", "a"), RULED)
    inside.flag("rate", 2)
    assert view(inside).flag_details("rate").value == 2
    with pytest.raises(ConfigurationError, match="is a string with the variants r, g; True is none of it"):
        inside.flag("ruled", True)
    with pytest.raises(TypeError):
        inside.flag("", True)
