"""A flag before a function: refused, or another way; every kind of function, beside every other guard."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from payaid_entitlements import current_tenant, require_feature, require_flag, require_module
from payaid_entitlements.core.decision import Reason
from payaid_entitlements.core.flags.model import All, Rule, Test
from payaid_entitlements.errors import (
    ConfigurationError,
    NoCurrentTenant,
    NotEntitled,
    NotReleased,
    UnknownFlag,
    ViewExpired,
)
from payaid_entitlements.guards import rules_of
from tests.entitlements.flagging import flag, put


def old(*args, **named):
    return ("old", current_tenant().tenant, *args, named)


async def old_later(*args, **named):
    await asyncio.sleep(0)
    return old(*args, **named)


def old_rows(count):
    yield from ["old"] * count


async def old_rows_later(count):
    for _ in range(count):
        yield "old"


@require_flag("new")
def alone(value):
    """New code."""
    return value


@require_flag("new", otherwise=old)
def either(value, *, more=0):
    """New code, or old."""
    return ("new", value, more)


@require_flag("new", otherwise=old_later)
async def either_later(value, *, more=0):
    return ("new", value, more)


@require_flag("new", otherwise=old)
async def either_later_by_plain(value):
    return ("new", value)


@require_flag("new", otherwise=old_rows)
def either_rows(count):
    yield from ["new"] * count


@require_flag("new", otherwise=old_rows_later)
async def either_rows_later(count):
    for _ in range(count):
        yield "new"


class Checkout:
    def old(self, value):
        return self, "old", value

    @require_flag("new", otherwise=old)
    def pay(self, value):
        return self, "new", value


def on(stage, is_on=True):
    put(stage, flag("new", default="on" if is_on else "off"))
    stage.clock.advance(seconds=3)


def items(generator):
    async def read():
        return [item async for item in generator]

    return asyncio.run(read())


def test_without_another_way_it_refuses(stage, ent):
    """403-class: there is nothing to buy."""
    on(stage, is_on=False)
    with ent.bind("acme"), pytest.raises(NotReleased) as refused:
        alone(1)
    assert (refused.value.decision.reason, refused.value.decision.source) == (Reason.FLAG_ROLLOUT_EXCLUDED, "flag new")
    assert refused.value.tenant == "acme"
    assert refused.value.reference
    on(stage)
    with ent.bind("acme"):
        assert alone(1) == 1
    with pytest.raises(NoCurrentTenant):
        alone(1)
    assert alone.__doc__ == "New code."


def test_nobody_is_refused_on_an_old_copy(stage, ent):
    """The store is asked again, as before any refusal."""
    put(stage, flag("new"))
    with ent.bind("acme"):
        put(stage, flag("new", default="on"))
        stage.clock.advance(seconds=1.5)
        assert alone(1) == 1


@pytest.mark.parametrize("is_on", [True, False])
def test_each_kind_of_function_goes_its_way(stage, ent, is_on):
    """With the same arguments, and bound to the same tenant."""
    on(stage, is_on)
    word = "new" if is_on else "old"
    with ent.bind("acme"):
        assert either(1, more=2) == (("new", 1, 2) if is_on else ("old", "acme", 1, {"more": 2}))
        assert asyncio.run(either_later(1, more=2))[0] == word
        assert asyncio.run(either_later_by_plain(1))[0] == word
        assert list(either_rows(2)) == [word, word]
        assert items(either_rows_later(2)) == [word, word]
        checkout = Checkout()
        assert checkout.pay(3) == (checkout, word, 3)
    assert inspect.iscoroutinefunction(either_later)


def test_another_way_asks_for_a_tenant_too(stage, ent):
    """Outside of a request there is nobody to ask for, and a view does not live for ever."""
    on(stage)
    with pytest.raises(NoCurrentTenant):
        either(1)
    with ent.bind("acme"):
        stage.clock.advance(minutes=2)
        with pytest.raises(ViewExpired):
            either(1)


def test_a_flag_of_users_asks_the_user_who_is_bound(stage, ent):
    """As the view does."""
    put(stage, flag("new", bucket_by="user", default="on"))
    with ent.bind("acme", user="mia"):
        assert either(1)[0] == "new"


def test_the_tenant_may_be_an_argument(stage, ent, aent):
    """In tasks of a queue: either way runs in what is bound for it."""

    def told(org):
        return ("old", current_tenant().tenant)

    async def told_later(org):
        return told(org)

    async def told_items(org):
        yield told(org)

    @require_flag("new", otherwise=told, tenant="org", client=ent)
    def task(org):
        return ("new", current_tenant().tenant)

    @require_flag("new", otherwise=told_later, tenant="org", client=ent)
    async def task_later(org):
        return ("new", current_tenant().tenant)

    @require_flag("new", otherwise=lambda org: iter([("old", org)]), tenant="org", client=ent)
    def task_items(org):
        yield ("new", org)

    async def plain_items(org):
        yield ("old", org)

    @require_flag("new", otherwise=plain_items, tenant="org", client=ent)
    async def task_items_later(org):
        yield ("new", org)

    for is_on, word in ((True, "new"), (False, "old")):
        on(stage, is_on)
        assert task("acme") == (word, "acme")
        assert asyncio.run(task_later("acme")) == (word, "acme")
        assert list(task_items("acme")) == [(word, "acme")]
        assert items(task_items_later("acme")) == [(word, "acme")]


def test_beside_other_guards_it_is_asked_after_module_and_feature(stage, ent):
    """However they are stacked; the other way needs them too."""

    @require_flag("new", otherwise=old)
    @require_feature("crm.export")
    @require_module("crm")
    def stacked():
        return "new"

    @require_module("crm")
    @require_flag("new", otherwise=old)
    def other_way_up():
        return "new"

    @require_flag("new")
    @require_feature("hr.payroll")
    def refused_first():
        return "new"

    on(stage, is_on=False)
    with ent.bind("acme"):
        assert stacked()[0] == other_way_up()[0] == "old"
        with pytest.raises(NotEntitled):
            refused_first()
    with ent.bind("zenith"), pytest.raises(NotEntitled):
        stacked()
    on(stage)
    with ent.bind("acme"):
        assert stacked() == other_way_up() == "new"
    assert [need.key for need in rules_of(refused_first).requirements] == ["hr.payroll", "new"]


def test_of_two_other_ways_the_first_whose_flag_is_off_is_gone(stage, ent):
    """The one that is read first is asked first."""

    @require_flag("one", otherwise=lambda: "not one")
    @require_flag("two", otherwise=lambda: "not two")
    def both():
        return "both"

    for flags, expected in (
        ((flag("one"), flag("two")), "not one"),
        ((flag("one", default="on"), flag("two")), "not two"),
        ((flag("one", default="on"), flag("two", default="on")), "both"),
    ):
        put(stage, *flags)
        stage.clock.advance(seconds=3)
        with ent.bind("acme"):
            assert both() == expected


def test_a_generator_of_a_coroutines_request_is_made_sure_of_before_it_goes_a_way(stage, aent):
    """The first item is taken in whatever context: the way is that of the tenant of the call."""

    @require_flag("new", otherwise=old_rows_later)
    @require_feature("crm.report")
    async def report(count):
        for _ in range(count):
            yield "new"

    put(stage, flag("new", default="on"))
    stage.elsewhere.subscribe("zenith", "free")

    async def main():
        async with aent.bind("zenith"):
            stage.elsewhere.change_plan("zenith", "pro")
            stage.clock.advance(seconds=1.5)
            made = report(2)
        return [item async for item in made]

    assert stage._runner.run(main()) == ["new", "new"]


def test_another_way_of_another_kind_is_a_mistake_of_the_code():
    """A caller could not tell what it gets."""
    for function, otherwise in (
        (lambda: 1, old_later),
        (lambda: 1, old_rows_later),
        (old_later, old_rows_later),
        (old_rows_later, old_later),
    ):
        with pytest.raises(ConfigurationError, match="callers could not tell"):
            require_flag("new", otherwise=otherwise)(function)


def test_what_is_no_guard_is_loud():
    """At import, not at the first call."""
    with pytest.raises(TypeError, match="otherwise="):
        require_flag("new", otherwise="old")
    with pytest.raises(TypeError):
        require_flag("")
    with pytest.raises(TypeError, match=r"use gate\.require_flag"):
        inspect.signature(require_flag("new"))
    with pytest.raises(TypeError, match="below the route decorator"):
        inspect.signature(require_flag("new", otherwise=old))
    with pytest.raises(TypeError, match="goes on a function"):
        require_flag("new")(Checkout)


def test_a_flag_that_there_is_not_refuses_and_is_loud_where_that_is_asked_for(stage, ent):
    """It is off for everybody."""
    with ent.bind("acme"):
        with pytest.raises(NotReleased) as refused:
            alone(1)
        assert refused.value.decision.reason is Reason.FLAG_OFF
        assert either(1)[0] == "old"
    strict = stage.open(strict=True)

    def asked(view):
        with pytest.raises(UnknownFlag):
            alone(1)
        with pytest.raises(UnknownFlag):
            either(1)

    strict.within(asked, "acme")


def test_a_flag_named_as_a_feature_is_not_taken_for_it(stage, ent):
    """Flags have keys of their own: holding the feature says nothing of the flag."""

    @require_flag("crm.export")
    def guarded():
        return 1

    put(stage, flag("crm.export"))
    with ent.bind("acme") as view:
        assert view.check("crm.export").allowed
        with pytest.raises(NotReleased):
            guarded()


# -- what a guard says besides -----------------------------------------------------------------------------------


def big(rows, **named):
    return {"rows": rows, **named}


@pytest.fixture
def by_rows(stage):
    """A flag that is on for calls of many rows, in India."""
    put(stage, flag("new", Rule("r", "on", All((Test("rows", "gt", 5), Test("country", "eq", "IN"))))))
    return stage


@pytest.mark.parametrize("names_tenant", [True, False])
def test_a_guard_says_of_a_call_what_rules_look_at(by_rows, ent, names_tenant):
    """Made of the arguments of each call, over what is bound; whatever kind of function it is."""
    how = {"attributes": lambda org, rows: big(rows, country="IN"), "client": ent}
    if names_tenant:
        how["tenant"] = "org"

    @require_flag("new", **how)
    def plain(org, rows):
        return "new"

    @require_flag("new", **how)
    async def later(org, rows):
        return "new"

    @require_flag("new", **how)
    async def stream(org, rows):
        yield "new"

    @require_flag("new", otherwise=lambda org, rows: "old", **how)
    def either(org, rows):
        return "new"

    @require_flag("new", otherwise=lambda org, rows: "old", **how)
    async def either_later(org, rows):
        return "new"

    asked = (
        lambda rows: plain("acme", rows),
        lambda rows: asyncio.run(later("acme", rows=rows)),
        lambda rows: items(stream("acme", rows))[0],
    )
    with ent.bind("acme", attributes={"country": "DE"}):
        for ask in asked:
            assert ask(6) == "new"
            with pytest.raises(NotReleased):
                ask(5)
        for rows, word in ((6, "new"), (5, "old")):
            assert either("acme", rows) == word
            assert asyncio.run(either_later("acme", rows)) == word


def test_what_a_guard_always_says_is_a_mapping(by_rows, ent):
    """Copied when the guard is made; what is bound is looked at too."""
    always = {"rows": 6}

    @require_flag("new", attributes=always)
    def guarded():
        return "new"

    always["rows"] = 5
    with ent.bind("acme", attributes={"country": "IN"}):
        assert guarded() == "new"
    with ent.bind("acme"), pytest.raises(NotReleased):
        guarded()


def test_where_a_call_says_nothing_what_is_bound_is_all(by_rows, ent):
    """None is no attributes."""

    @require_flag("new", attributes=lambda: None)
    def guarded():
        return "new"

    with ent.bind("acme", attributes={"country": "IN", "rows": 6}):
        assert guarded() == "new"


def test_of_several_guards_only_the_flag_hears_of_it(by_rows, ent):
    """A module is held or not, whatever the arguments are."""

    @require_flag("new", attributes=lambda rows: big(rows, country="IN"))
    @require_module("crm")
    def beside(rows):
        return "new"

    with ent.bind("acme"):
        assert beside(6) == "new"
        with pytest.raises(NotReleased):
            beside(5)


@pytest.mark.parametrize("wrong", ["country", 7, {7: 1}, ["a"], old_later])
def test_what_is_neither_a_mapping_nor_a_plain_function_is_refused_at_once(wrong):
    """A coroutine function would give what nobody has awaited."""
    with pytest.raises(TypeError, match="mapping of names"):
        require_flag("new", attributes=wrong)


def test_a_function_that_gives_something_else_is_a_mistake_of_the_host(by_rows, ent):
    """Loud, and nobody passes."""

    @require_flag("new", attributes=lambda: ["IN"])
    def guarded():
        raise AssertionError("it was let in")

    with ent.bind("acme"), pytest.raises(TypeError, match="mapping of names"):
        guarded()
