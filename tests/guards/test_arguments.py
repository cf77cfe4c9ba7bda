"""``tenant="argument"``: in tasks of a queue the tenant is an argument, and nothing is bound."""

from __future__ import annotations

import asyncio

import pytest

from payaid_entitlements import Entitlements, current_tenant, require_feature, require_module
from payaid_entitlements.errors import ConfigurationError, NoCurrentTenant, NotEntitled
from tests.entitlements.conftest import CATALOG

by_org = require_feature("crm.export", tenant="org_id")


@by_org
def plain(job: int, org_id: str = "acme", /, *rest: object) -> object:
    """Positional only, with a default."""
    return job, current_tenant().tenant, rest


@by_org
def anyhow(job: int, org_id: str) -> object:
    return job, current_tenant().tenant


@by_org
def keyword_only(*jobs: int, org_id: str = "acme") -> object:
    return jobs, current_tenant().tenant


@by_org
def no_default(*, org_id: str) -> object:
    return current_tenant().tenant


@by_org
async def later(job: int, org_id: str) -> object:
    await asyncio.sleep(0)
    return job, current_tenant().tenant


@by_org
def items(org_id: str):
    yield from range(2)


@by_org
async def items_later(org_id: str):
    for number in range(2):
        yield number


class Task:
    @by_org
    def run(self, org_id: str) -> object:
        return current_tenant().tenant


def test_the_tenant_is_found_wherever_it_may_stand(ent):
    """Positional, by name, by default, behind *args, in a method; inside it is bound."""
    assert plain(1, "acme", 2) == (1, "acme", (2,))
    assert plain(1) == (1, "acme", ())
    assert anyhow(1, "acme") == anyhow(1, org_id="acme") == anyhow(org_id="acme", job=1) == (1, "acme")
    assert keyword_only(1, 2) == keyword_only(1, 2, org_id="acme") == ((1, 2), "acme")
    assert no_default(org_id="acme") == "acme"
    assert Task().run("acme") == Task().run(org_id="acme") == "acme"
    with pytest.raises(NoCurrentTenant):
        current_tenant()


def test_another_tenant_is_refused_wherever_it_stands(ent):
    """It is that argument that is asked about, and no other one of the same word."""
    for call in (
        lambda: plain(1, "other"),
        lambda: anyhow(1, "other"),
        lambda: anyhow(1, org_id="other"),
        lambda: keyword_only("acme", org_id="other"),
        lambda: Task().run("other"),
        lambda: items("other"),
    ):
        with pytest.raises(NotEntitled) as caught:
            call()
        assert caught.value.tenant == "other"


def test_what_is_bound_does_not_count_where_an_argument_names_the_tenant(ent):
    """A job about another tenant is asked about that one, and bound to it."""
    with ent.bind("other"):
        assert anyhow(1, "acme") == (1, "acme")
        assert current_tenant().tenant == "other"


def test_a_positional_tenant_is_not_taken_from_what_else_was_given(ent):
    """``**more`` may hold another one of the same name: the function works for its own parameter."""

    @by_org
    def mixed(org_id: str = "other", /, **more: str) -> object:
        return org_id, more

    with pytest.raises(NotEntitled) as caught:
        mixed(org_id="acme")
    assert caught.value.tenant == "other"
    assert mixed("acme", org_id="other") == ("acme", {"org_id": "other"})


@pytest.mark.parametrize("org_id", [None, "", "None", 7])
def test_a_tenant_that_is_nobody_is_refused(ent, org_id):
    """A job whose message had no tenant never runs for a default one."""
    with pytest.raises(TypeError, match="tenant"):
        anyhow(1, org_id)


def test_a_call_without_the_tenant_says_so(ent):
    """In the words of the function."""
    with pytest.raises(TypeError, match=r"anyhow\(\) was called without 'org_id'"):
        anyhow(1)


def test_an_argument_that_does_not_exist_fails_at_import():
    """Not when the first job comes."""
    with pytest.raises(ConfigurationError, match=r"has no such parameter; it has job, org"):
        by_org(lambda job, org: None)
    with pytest.raises(ConfigurationError, match="it has none"):
        by_org(lambda: None)
    for function in (lambda *org_id: None, lambda **org_id: None):
        with pytest.raises(ConfigurationError, match="holds several arguments"):
            by_org(function)


def test_coroutines_ask_the_client_of_their_colour_or_the_plain_one_in_a_thread(stage):
    """Both work; the event loop never waits."""
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock):
        assert asyncio.run(later(1, "acme")) == (1, "acme")
        with pytest.raises(NotEntitled):
            asyncio.run(later(1, "other"))
        assert asyncio.run(_all(items_later("acme"))) == [0, 1]

    async def main():
        assert await later(1, org_id="acme") == (1, "acme")
        with pytest.raises(NotEntitled):
            await later(1, "other")
        assert await _all(items_later("acme")) == [0, 1]
        with pytest.raises(NotEntitled):
            await _all(items_later("other"))

    client = stage.open()
    asyncio.run(main())
    client.close()


async def _all(generator):
    return [item async for item in generator]


def test_generators_are_asked_about_and_bind_nothing(ent):
    """Their body runs later, in whatever context takes the items."""
    assert list(items("acme")) == [0, 1]
    with pytest.raises(NoCurrentTenant):
        current_tenant()


def test_nobody_to_ask_is_a_mistake_of_the_setup(stage):
    """The message says what to open."""
    with pytest.raises(ConfigurationError, match="needs an Entitlements to ask"):
        anyhow(1, "acme")
    with pytest.raises(ConfigurationError, match="nobody to ask"):
        asyncio.run(later(1, "acme"))


def test_a_plain_function_cannot_ask_an_asynchronous_client(stage):
    """It could not wait for the answer."""
    aent = stage.open().inner
    with pytest.raises(ConfigurationError, match="a plain function, needs an Entitlements"):
        anyhow(1, "acme")
    with pytest.raises(ConfigurationError, match="make it a coroutine function"):
        require_module("crm", tenant="org_id", client=aent)(lambda org_id: org_id)("acme")


def test_of_several_clients_one_must_be_named(stage, ent):
    """Whose answer would it be?"""
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock) as second:
        with pytest.raises(ConfigurationError, match=r"2 clients are open.*client=ent"):
            anyhow(1, "acme")
        named = require_module("crm", tenant="org_id", client=second)(lambda org_id: org_id)
        assert named("acme") == "acme"
    assert anyhow(1, "acme") == (1, "acme")


def test_who_has_just_paid_passes(ent, stage):
    """The client's copy is old: before the guard refuses, the store is asked."""
    with pytest.raises(NotEntitled):
        anyhow(1, "paying")
    stage.elsewhere.subscribe("paying", "pro")
    stage.clock.advance(seconds=1)
    assert anyhow(1, "paying") == (1, "paying")
