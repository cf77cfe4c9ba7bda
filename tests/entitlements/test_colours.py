"""Two clients that differ by a word, and what is wrong in either is loud."""

from __future__ import annotations

import asyncio
import inspect
import threading

import pytest

from payaid_entitlements import AsyncEntitlements, Decision, Entitlements, Reason, current_tenant
from payaid_entitlements.binding import PATIENCE, AsyncBinding, SyncBinding, bound
from payaid_entitlements.errors import ConfigurationError, NoCurrentTenant, StoreUnavailable, ViewExpired
from payaid_entitlements.stores.memory import AsyncMemoryStore
from tests.entitlements.conftest import CATALOG, Stage

NAMES = sorted(name for name, _ in inspect.getmembers(Entitlements) if not name.startswith("_"))


def test_both_clients_have_the_same_names():
    """Only close is aclose."""
    awaited = {name for name, _ in inspect.getmembers(AsyncEntitlements) if not name.startswith("_")}
    assert awaited ^ set(NAMES) == {"close", "aclose"}


@pytest.mark.parametrize("name", [name for name in NAMES if callable(getattr(Entitlements, name)) and name != "close"])
def test_both_clients_take_the_same_arguments(name):
    """Names, kinds and defaults."""
    sync, awaited = (inspect.signature(getattr(kind, name)) for kind in (Entitlements, AsyncEntitlements))
    assert [(each.name, each.kind, each.default) for each in sync.parameters.values()] == [
        (each.name, each.kind, each.default) for each in awaited.parameters.values()
    ]


def test_both_clients_give_the_same_answers(stage):
    """The same facts, every key, cold and near: equal decisions and equal public views."""
    for number, plan in enumerate(CATALOG.plans):
        stage.elsewhere.subscribe(f"t{number}", plan)
    sync = Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock)
    ent = stage.open()
    keys = [*CATALOG.modules, *CATALOG.features, "crm.exprot"]
    for tenant in ("t0", "t1", "t2", "nobody-yet"):
        for _ in range(2):
            assert [ent.check(tenant, key) for key in keys] == [sync.check(tenant, key) for key in keys]
            assert ent.check_many(tenant, keys) == sync.check_many(tenant, keys)
            assert ent.tenant(tenant).to_public() == sync.tenant(tenant).to_public()


# -- the wrong colour ------------------------------------------------------------------------------------------------


def test_a_plain_client_in_a_coroutine_is_a_type_error_when_it_would_wait(stage):
    """It would hold up everybody; what is near is answered."""
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock) as ent:

        async def inside():
            return ent.check("acme", "crm")

        with pytest.raises(TypeError, match="AsyncEntitlements"):
            asyncio.run(inside())
        ent.check("acme", "crm")
        assert asyncio.run(inside()).allowed


@pytest.fixture
def astage():
    with asyncio.Runner() as runner:
        yield Stage("async", runner)


@pytest.fixture
def aent(astage):
    return astage.open().inner


def test_a_forgotten_await_lets_nobody_pass(aent):
    """Cold and near: neither `if` nor `not` gets an answer."""

    async def forgetful():
        answers = []
        for _ in range(2):
            answer = aent.check("acme", "crm")
            with pytest.raises(TypeError):
                bool(answer)
            with pytest.raises(TypeError):
                answers.append(not answer)
            await answer
        assert answers == []

    asyncio.run(forgetful())


def test_a_question_that_nobody_awaits_asks_nothing(aent, astage):
    """It has none of a decision's attributes either; it leaves no warning behind."""

    async def forgetful():
        pending = aent.check("acme", "crm")
        assert not hasattr(pending, "allowed")
        with pytest.raises(TypeError, match="await it"):
            bool(pending)

    asyncio.run(forgetful())
    assert astage.faults.calls == []


def test_an_answer_can_be_awaited_in_every_way(aent):
    """Alone, gathered, with a timeout, again; cold and near."""

    async def main():
        for _ in range(2):
            first, second = await asyncio.gather(aent.check("acme", "crm"), aent.check("acme", "hr"))
            assert (first.allowed, second.allowed) == (True, False)
        assert (await asyncio.wait_for(aent.check("acme", "crm"), 5)).allowed
        twins = await asyncio.gather(aent.check("acme", "crm"), aent.check("acme", "crm"))
        assert twins[0] is twins[1]
        pending = aent.check("other", "crm")
        assert (await pending) == (await pending)
        assert isinstance(aent.check("acme", "crm"), Decision)

    asyncio.run(main())


def test_a_client_is_a_context_manager(stage):
    """Closed at the end of the block, in either colour."""

    async def main():
        async with AsyncEntitlements(AsyncMemoryStore(stage.memory), catalog=CATALOG) as ent:
            assert (await ent.check("acme", "crm")).allowed
        assert ent.peek("acme", "crm") is None

    asyncio.run(main())
    with Entitlements(stage.memory, catalog=CATALOG) as ent:
        assert ent.check("acme", "crm").allowed
    assert ent.peek("acme", "crm") is None


# -- opening ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements])
def test_opening_reads_the_catalog_and_connects_to_nothing(kind, tmp_path, monkeypatch):
    """By URL, by the environment, by default; an empty URL is a mistake."""
    monkeypatch.chdir(tmp_path)
    assert kind.open("memory://", catalog=CATALOG).catalog is CATALOG
    monkeypatch.setenv("PAYAID_URL", "memory://")
    assert kind.open()._store.name == "memory"
    monkeypatch.delenv("PAYAID_URL")
    assert kind.open()._store.name.endswith("payaid.db")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigurationError, match="empty"):
        kind.open("")


def test_a_client_without_a_clock_of_its_own_follows_the_real_one(stage, monkeypatch):
    """Looked up at each call, so that freezegun and time-machine work."""
    import time

    with Entitlements(stage.memory, catalog=CATALOG) as ent:
        monkeypatch.setattr(time, "time", lambda: 1_900_000_000.0)
        assert ent.tenant("acme").at.timestamp() == 1_900_000_000.0


# -- what is bound ---------------------------------------------------------------------------------------------------


def test_nothing_bound_is_an_error_and_never_a_default():
    """That would be one shared tenant for all who forgot."""
    with pytest.raises(NoCurrentTenant, match=r"ent\.bind"):
        current_tenant()


def test_inside_the_block_the_tenant_is_bound(ent):
    """And the one before is bound again behind it."""

    def body(view):
        assert current_tenant() is view
        with bound(SyncBinding(ent.peek_tenant("acme", user="bob"), None)):
            assert current_tenant().user == "bob"
        assert current_tenant() is view
        return view.tenant, view.user

    assert ent.within(body, "acme", user="ann") == ("acme", "ann")
    with pytest.raises(NoCurrentTenant):
        current_tenant()


def test_an_error_inside_the_block_unbinds_too(ent):
    """Else the next task in this thread would work for somebody else."""

    def body(view):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ent.within(body, "acme")
    with pytest.raises(NoCurrentTenant):
        current_tenant()


def test_what_is_bound_too_long_ago_is_not_used(ent, stage):
    """A view is for one request."""

    def body(view):
        stage.clock.advance(seconds=60)
        with pytest.raises(ViewExpired):
            current_tenant()

    ent.within(body, "acme")


def test_tasks_and_threads_of_a_request_are_bound_and_others_are_not(aent):
    """asyncio.to_thread copies what is bound; a plain thread does not, and two tasks never meet."""

    async def whoami():
        await asyncio.sleep(0)
        return current_tenant().tenant

    async def work(tenant):
        async with aent.bind(tenant):
            return [await whoami(), await asyncio.to_thread(lambda: current_tenant().tenant)]

    async def main():
        return await asyncio.gather(*(work(f"t{number}") for number in range(20)))

    assert asyncio.run(main()) == [[f"t{number}"] * 2 for number in range(20)]
    unbound = []

    def stranger():
        try:
            current_tenant()
        except NoCurrentTenant:
            unbound.append(True)

    async def spawns():
        async with aent.bind("acme"):
            thread = threading.Thread(target=stranger)
            thread.start()
            thread.join()

    asyncio.run(spawns())
    assert unbound == [True]


def test_a_binding_makes_sure_before_it_refuses(stage):
    """In its own colour, from a thread that works for the request, and never by waiting in an event loop."""
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock) as ent:
        binding = SyncBinding(ent.tenant("acme"), ent)
        old = binding.view
        stage.elsewhere.subscribe("acme", "pro")
        stage.clock.advance(seconds=1)

        async def inside():
            assert binding.confirmed() is old
            return await binding.confirmed_async()

        assert asyncio.run(inside()).plan == "pro"
        stage.clock.advance(seconds=1)
        assert binding.confirmed().plan == "pro"
        assert binding.view is not old


def test_a_thread_asks_in_the_event_loop_of_its_request(aent, astage):
    """A plain function of a framework's thread pool, bound by an asynchronous client."""

    async def main():
        binding = AsyncBinding(await aent.tenant("acme"), aent)
        old = binding.view
        astage.elsewhere.subscribe("acme", "pro")
        astage.clock.advance(seconds=1)
        assert binding.confirmed() is old
        return await asyncio.to_thread(binding.confirmed)

    assert asyncio.run(main()).plan == "pro"


def test_a_thread_whose_event_loop_does_not_answer_knows_nothing(monkeypatch):
    """It is not told "not entitled", and it does not wait for ever: the loop may be waiting for the thread."""
    monkeypatch.setattr("payaid_entitlements.binding.PATIENCE", 0.01)
    assert PATIENCE == 2.0
    raised = []

    class Client:
        async def confirm(self, view):
            return view

    async def main():
        binding = AsyncBinding(object(), Client())

        def ask():
            try:
                binding.confirmed()
            except StoreUnavailable as error:
                raised.append(str(error))

        thread = threading.Thread(target=ask)
        thread.start()
        thread.join()  # the event loop stands still
        return binding

    binding = asyncio.run(main())
    with pytest.raises(StoreUnavailable, match="has ended"):
        binding.confirmed()
    assert len(raised) == 1
    assert "event loop" in raised[0]


def test_a_reason_of_an_answer_is_the_same_in_both_colours(ent):
    """Reasons are words of the wire."""
    assert ent.check("acme", "hr.payroll").reason == "plan.module_absent"
    assert Reason("plan.module_absent") is Reason.PLAN_MODULE_ABSENT
