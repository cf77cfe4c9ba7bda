"""Guards that take something for each call: a slot, units of a quota; given back when the function raises."""

from __future__ import annotations

import asyncio
import inspect
import weakref
from uuid import UUID

import pytest

from payaid_entitlements import (
    Entitlements,
    assign_slot,
    client,
    consume_quota,
    current_tenant,
    entitlements,
    require_feature,
    require_flag,
    require_module,
)
from payaid_entitlements.errors import (
    ConfigurationError,
    NoCurrentTenant,
    NotEntitled,
    NotReleased,
    OperationConflict,
    OutcomeUnknown,
    QuotaExceeded,
    StoreUnavailable,
)
from payaid_entitlements.guards import rules_of, whom
from payaid_entitlements.metering import attempts
from tests.entitlements.flagging import flag, put, where
from tests.holding.conftest import CATALOG, Holding


@pytest.fixture
def stage(monkeypatch):
    with asyncio.Runner() as runner:
        found = Holding("async", runner)
        opened = weakref.WeakSet()
        for module in (client, entitlements, whom):
            monkeypatch.setattr(module, "OPENED", opened)
        yield found
        found.close()


@pytest.fixture
def ent(stage):
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock) as client:
        yield client


@pytest.fixture
def aent(stage):
    return stage.open().inner


@pytest.fixture
def used(ent):
    return lambda feature="crm.pages": ent.usage("acme", feature)[feature].used


@pytest.fixture
def holders(ent):
    return lambda: [each.holder for each in ent.assignments("acme", "seats")]


class Broken(Exception):
    """What a function raises."""


@consume_quota("crm.pages", 2, operation="import:{job_id}")
def plain(job_id, fails=False):
    if fails:
        raise Broken
    return current_tenant().tenant, job_id


@consume_quota("crm.pages", 2, operation="import:{job_id}")
async def later(job_id, fails=False):
    await asyncio.sleep(0)
    if fails:
        raise Broken
    return current_tenant().tenant, job_id


@consume_quota("crm.pages", 2, operation="import:{job_id}")
def items(job_id, fails=False):
    sent = yield 1
    if fails:
        raise Broken
    yield sent
    return "end"


@consume_quota("crm.pages", 2, operation="import:{job_id}")
async def items_later(job_id, fails=False):
    sent = yield 1
    if fails:
        raise Broken
    yield sent


@consume_quota("crm.pages", 2, operation="import:{job_id}", tenant="org")
def plain_of(org, job_id, fails=False):
    return plain.__wrapped__(job_id, fails)


@consume_quota("crm.pages", 2, operation="import:{job_id}", tenant="org")
async def later_of(org, job_id, fails=False):
    return await later.__wrapped__(job_id, fails)


@consume_quota("crm.pages", 2, operation="import:{job_id}", tenant="org")
def items_of(org, job_id, fails=False):
    return (yield from items.__wrapped__(job_id, fails))


@consume_quota("crm.pages", 2, operation="import:{job_id}", tenant="org")
async def items_later_of(org, job_id, fails=False):
    async for item in items_later.__wrapped__(job_id, fails):
        yield item


async def all_of(items):
    return [item async for item in items]


@pytest.fixture(
    params=["plain", "later", "thread", "items", "items_later", "plain_of", "later_of", "items_of", "items_later_of"]
)
def call(request, ent, aent):
    """A call of each kind of function, bound as it must be."""

    def called(job_id, fails=False, tenant="acme"):
        match request.param:
            case "plain":
                with ent.bind(tenant):
                    return plain(job_id, fails)
            case "items":
                with ent.bind(tenant):
                    return list(items(job_id, fails))
            case "plain_of":
                return plain_of(tenant, job_id, fails)
            case "items_of":
                return list(items_of(tenant, job_id, fails))

        async def main():
            async with aent.bind(tenant):
                match request.param:
                    case "later":
                        return await later(job_id, fails)
                    case "thread":
                        return await asyncio.to_thread(plain, job_id, fails)
                    case "items_later":
                        return await all_of(items_later(job_id, fails))
                    case "later_of":
                        return await later_of(tenant, job_id, fails)
                    case _:
                        return await all_of(items_later_of(tenant, job_id, fails))

        return asyncio.run(main())

    return called


# -- quotas ----------------------------------------------------------------------------------------------------------


def test_a_call_uses_up_what_it_costs(call, used):
    """Once for its operation; others are others."""
    assert call(7) == call(7) in ((("acme", 7)), [1, None])
    assert used() == 2
    call(UUID(int=7))
    assert used() == 4


def test_a_call_that_raises_gives_it_back(call, used):
    """And its error arrives."""
    with pytest.raises(Broken):
        call(7, fails=True)
    assert used() == 0


def test_a_call_that_failed_and_is_made_again_pays(call, used):
    """It is no repetition of what was given back; a third time it is one of the second."""
    for _ in range(3):
        with pytest.raises(Broken):
            call(7, fails=True)
    call(7)
    assert used() == 2
    call(7)
    assert used() == 2


def test_a_repetition_that_fails_gives_nothing_back(call, used):
    """The first call has done its work."""
    call(7)
    with pytest.raises(Broken):
        call(7, fails=True)
    assert used() == 2


def test_with_nothing_left_it_does_not_run(call, used):
    """Refused with what is left."""
    for number in range(5):
        call(number)
    with pytest.raises(QuotaExceeded) as caught:
        call(9, fails=True)
    assert (caught.value.tenant, caught.value.decision.usage.remaining, used()) == ("acme", 0, 10)


def test_who_is_not_sold_it_does_not_run(call):
    """As everywhere."""
    with pytest.raises(NotEntitled) as caught:
        call(7, fails=True, tenant="other")
    assert caught.value.tenant == "other"


@pytest.mark.parametrize("job_id", [None, True, "", "None", "undefined", 1.5])
def test_an_argument_that_identifies_nothing_is_a_type_error(call, used, job_id):
    """``import:None`` would be one import for all; nothing was taken."""
    with pytest.raises(TypeError, match="job_id"):
        call(job_id)
    assert used() == 0


def test_in_an_outage_it_does_not_run(call, stage, ent, aent, monkeypatch):
    """Nobody can count."""
    call("warm")

    def down(*args, **named):
        raise StoreUnavailable("down")

    monkeypatch.setattr(type(stage.memory.ledger), "post", down)
    with pytest.raises(StoreUnavailable):
        call(7, fails=True)


def test_a_lost_reply_is_resolved_by_calling_again(call, stage, ent, aent, used, monkeypatch):
    """It is counted once, and the function has not run."""
    post = type(stage.memory.ledger).post

    def lost(self, *args, **named):
        post(self, *args, **named)
        raise OutcomeUnknown("lost", operation="import:7")

    with monkeypatch.context() as patched:
        patched.setattr(type(stage.memory.ledger), "post", lost)
        with pytest.raises(OutcomeUnknown):
            call(7, fails=True)
    stage.clock.advance(seconds=2)
    call(7)
    assert used() == 2


def test_what_cannot_be_given_back_hides_no_error(call, stage, used, monkeypatch):
    """It is logged; the error of the function arrives."""
    ledger = type(stage.memory.ledger)
    post = ledger.post
    calls = []

    def second_is_down(self, *args, **named):
        calls.append(args)
        if len(calls) == 2:
            raise StoreUnavailable("down")
        return post(self, *args, **named)

    monkeypatch.setattr(ledger, "post", second_is_down)
    with pytest.raises(Broken):
        call(7, fails=True)
    assert used() == 2


def test_a_call_that_was_paid_at_its_second_attempt_can_be_refunded(ent, used):
    """By the name that the guard says; the next call of it pays again."""
    with ent.bind("acme"):
        with pytest.raises(Broken):
            plain(7, fails=True)
        plain(7)
        taken = used()
        usages = ent.refund("acme", operation="import:7")
        assert (sum(-each.taken for each in usages.values()), used()) == (taken, 0)
        assert not any(each.replayed for each in usages.values())
        plain(7)
    assert used() == taken


def test_a_job_whose_id_ends_as_an_attempt_does_pays(ent, used):
    """Ids may come from customers: of 7 and 7~2 each is paid."""
    fails = iter([True])

    @consume_quota("crm.pages", operation="scan:{job_id}")
    def scan(job_id):
        if next(fails, False):
            raise Broken

    with ent.bind("acme"):
        with pytest.raises(Broken):
            scan("7")
        for job_id in ("7", "7~2", "7~2~1", "7~1"):
            scan(job_id)
    assert used() == 4


def test_one_that_always_fails_is_told_to_take_a_new_name(ent, used, monkeypatch):
    """The search has an end."""
    monkeypatch.setattr(attempts, "MOST_ATTEMPTS", 3)
    with ent.bind("acme"):
        for _ in range(3):
            with pytest.raises(Broken):
                plain(7, fails=True)
        with pytest.raises(OperationConflict, match="new operation"):
            plain(7)
    assert used() == 0


def test_the_amount_may_be_an_argument(ent, used):
    """Or a part of one; what is no amount is refused as by `consume`."""

    class Job:
        def __init__(self, pages):
            self.id, self.pages = pages, pages

    @consume_quota("crm.pages", "pages", operation="a:{pages}")
    def by_argument(pages): ...

    @consume_quota("crm.pages", "{job.pages}", operation="b:{job.id}")
    def by_part(job): ...

    with ent.bind("acme"):
        by_argument(3)
        by_part(Job(2))
        assert used() == 5
        with pytest.raises(ConfigurationError):
            by_argument(-1)
        for wrong in (True, 1.5):
            with pytest.raises(TypeError):
                consume_quota("crm.pages", wrong, operation="c:{job}")


def test_a_method_and_a_property_take_too(ent, used):
    """``self`` is an argument like others."""

    class Import:
        def __init__(self, id):
            self.id = id

        @consume_quota("crm.pages", operation="import:{self.id}")
        def run(self):
            return self.id

        @property
        @consume_quota("crm.pages", operation="look:{self.id}")
        def looked(self):
            return self.id

        @staticmethod
        @consume_quota("crm.pages", operation="static:{id}")
        def static(id):
            return id

    with ent.bind("acme"):
        assert (Import(1).run(), Import(2).looked, Import.static(3)) == (1, 2, 3)
    assert used() == 3


def test_nothing_bound_takes_nothing(used):
    """Every kind of function; the asynchronous ones when they are awaited or called."""
    for call in (
        lambda: plain(7),
        lambda: items(7),
        lambda: items_later(7),
        lambda: asyncio.run(later(7)),
    ):
        with pytest.raises(NoCurrentTenant):
            call()
    assert used() == 0


def test_a_generator_takes_when_it_is_called(ent, used):
    """A stream is refused before its first byte; who stops in the middle has had what was taken."""
    with ent.bind("acme"):
        stream = items(7)
        assert used() == 2
        assert next(stream) == 1
        assert stream.send("x") == "x"
        with pytest.raises(StopIteration) as end:
            next(stream)
        assert end.value.value == "end"
        stopped = items(8)
        next(stopped)
        stopped.close()
        assert used() == 4
        thrown = items(9)
        next(thrown)
        with pytest.raises(Broken):
            thrown.throw(Broken)
    assert used() == 4


def test_an_asynchronous_generator_takes_at_its_first_item(aent, ent, used):
    """Nothing can be awaited before; what is not sold is refused when it is called, by a view that is sure."""

    async def main():
        async with aent.bind("acme"):
            stream = items_later(7)
            assert used_now() == 0
            assert await anext(stream) == 1
            assert used_now() == 2
            assert await stream.asend("x") == "x"
            await stream.aclose()
            thrown = items_later(8)
            await anext(thrown)
            with pytest.raises(Broken):
                await thrown.athrow(Broken)
        async with aent.bind("other"):
            refused = require_feature("crm.export")(items_later)
            with pytest.raises(NotEntitled):
                refused(9)
            with pytest.raises(NotEntitled):
                await anext(items_later(9))

    ent.check("acme", "crm")

    def used_now():
        found = ent._driver.ledger.balances("acme", [("crm.pages", f"w{window}") for window in windows])
        return sum(balance.used for balance in found.values())

    windows = [ent.tenant("acme").metering("crm.pages").window.start]
    asyncio.run(main())
    assert used() == 2


# -- cancelled -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("binds", ["plain", "async"])
def test_a_call_that_is_cancelled_gives_it_back(ent, aent, used, binds):
    """While it runs; in tasks of either client."""

    @consume_quota("crm.pages", operation="op:{n}")
    async def slow(n):
        running.set()
        await asyncio.sleep(60)

    async def work():
        if binds == "async":
            async with aent.bind("acme"):
                await slow(1)
        with ent.bind("acme"):
            await slow(1)

    async def main():
        task = asyncio.create_task(work())
        await running.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    ent.check("acme", "crm")
    running = asyncio.Event()
    asyncio.run(main())
    assert used() == 0


def test_a_call_that_is_cancelled_while_it_takes_has_taken_nothing(aent, used, stage, monkeypatch):
    """The ledger had it, and gave it back."""
    ran = []

    @consume_quota("crm.pages", operation="op:{n}")
    async def never(n):
        ran.append(n)

    async def main():
        begun = asyncio.Event()
        consume = aent.consume_many

        async def slowly(*args, **named):
            begun.set()
            await asyncio.sleep(0.01)
            return await consume(*args, **named)

        monkeypatch.setattr(type(aent), "consume_many", lambda self, *args, **named: slowly(*args, **named))
        async with aent.bind("acme"):
            task = asyncio.create_task(never(1))
            await begun.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(main())
    assert (used(), ran) == (0, [])


def test_a_plain_function_inside_a_coroutine_cannot_wait(aent, ent, used):
    """It says what to do; nothing was taken and it did not run."""

    async def main():
        async with aent.bind("acme"):
            with pytest.raises(TypeError, match="coroutine function"):
                plain(7)
        with ent.bind("acme"), pytest.raises(TypeError, match="AsyncEntitlements"):
            plain(7)

    ent.check("acme", "crm")
    asyncio.run(main())
    assert used() == 0


# -- slots -----------------------------------------------------------------------------------------------------------


@assign_slot("seats", holder="member:{member_id}")
def invite(member_id, fails=False):
    if fails:
        raise Broken
    return member_id


def test_a_call_gives_its_holder_a_slot(ent, holders):
    """Once; the fourth of three is refused."""
    with ent.bind("acme"):
        for number in (1, 2, 3, 1):
            assert invite(number) == number
        with pytest.raises(QuotaExceeded):
            invite(4)
    assert holders() == ["member:1", "member:2", "member:3"]


def test_the_slot_stays_when_the_function_raises(ent, holders):
    """Another call for the same holder may have done its work on it; called again it is the same slot."""
    with ent.bind("acme"), pytest.raises(Broken):
        invite(1, fails=True)
    assert holders() == ["member:1"]


def test_a_slot_is_given_to_the_tenant_that_an_argument_names(ent, aent, holders):
    """In tasks of a queue; the holder may be one and the same."""

    @assign_slot("seats", holder="robot", tenant="org")
    async def job(org):
        return current_tenant().tenant

    assert asyncio.run(job("acme")) == "acme"
    assert holders() == ["robot"]


# -- several guards --------------------------------------------------------------------------------------------------


def test_guards_run_in_one_order_however_they_are_stacked(ent, used, holders):
    """Module, feature, slot, quota: what is refused first is refused before anything is taken."""
    guards = [
        consume_quota("crm.pages", operation="p:{n}"),
        assign_slot("seats", holder="m:{n}"),
        require_feature("crm.drafts"),
        require_module("crm"),
    ]
    for stacked in (guards, guards[::-1], [guards[2], guards[0], guards[3], guards[1]]):

        def function(n):
            return n

        for guard in stacked:
            function = guard(function)
        rules = rules_of(function)
        assert [need.key for need in (*rules.requirements, *rules.metered)] == [
            "crm",
            "crm.drafts",
            "seats",
            "crm.pages",
        ]
        with ent.bind("acme"):
            assert function(1) == 1
        with ent.bind("other"), pytest.raises(NotEntitled) as caught:
            function(1)
        assert caught.value.decision.feature == "crm.drafts"
    assert (used(), holders()) == (1, ["m:1"])
    assert ent.assignments("other", "seats") == []


def test_a_quota_that_is_refused_keeps_no_slot(ent, used, holders):
    """The function has not run. But what the holder had before stays, and so do repetitions."""

    @consume_quota("crm.pages", 6, operation="p:{n}")
    @consume_quota("crm.drafts", 1, operation="d:{n}")
    @assign_slot("seats", holder="m:{n}")
    def both(n): ...

    ent.assign("acme", "seats", "m:3")
    with ent.bind("acme"):
        both(1)
        for number in (2, 3):
            with pytest.raises(QuotaExceeded):
                both(number)
        both(1)
    assert (used(), used("crm.drafts"), holders()) == (6, 1, ["m:1", "m:3"])


def test_quotas_of_one_operation_are_one_act(ent, used):
    """All of them, or none; with different amounts it is the same act only if all are the same."""

    @consume_quota("crm.pages", 6, operation="p:{n}")
    @consume_quota("crm.drafts", 2, operation="p:{n}")
    def both(n, fails=False):
        if fails:
            raise Broken

    with ent.bind("acme"):
        both(1)
        both(1)
        with pytest.raises(QuotaExceeded):
            both(2)
        assert (used(), used("crm.drafts")) == (6, 2)
        with pytest.raises(ConfigurationError, match="two guards"):
            consume_quota("crm.pages", 6, operation="p:{n}")(both)


def test_all_quotas_of_a_call_are_given_back(ent, used):
    """The last one first."""

    @consume_quota("crm.pages", 6, operation="p:{n}")
    @consume_quota("crm.drafts", 1, operation="d:{n}")
    def both(n):
        raise Broken

    with ent.bind("acme"), pytest.raises(Broken):
        both(1)
    assert (used(), used("crm.drafts")) == (0, 0)


# -- mistakes --------------------------------------------------------------------------------------------------------


def test_what_cannot_work_fails_when_the_guard_is_put_on():
    """Not at the first call."""

    def function(job_id): ...

    for guard in (
        consume_quota("crm.pages", operation="import:{jobid}"),
        consume_quota("crm.pages", operation="import"),
        consume_quota("crm.pages", "rows", operation="import:{job_id}"),
        consume_quota("crm.pages", operation="import:{job_id}", tenant="org"),
        assign_slot("seats", holder="member:{member_id}"),
    ):
        with pytest.raises(ConfigurationError):
            guard(function)
    for wrong in (None, 7, ("import", "{job_id}")):
        with pytest.raises(TypeError, match="operation"):
            consume_quota("crm.pages", operation=wrong)
        with pytest.raises(TypeError, match="holder"):
            assign_slot("seats", holder=wrong)


def test_inside_depends_a_guard_says_where_it_belongs():
    """FastAPI would let everybody pass, and take nothing."""
    for guard in (consume_quota("crm.pages", operation="import:{job_id}"), assign_slot("seats", holder="{m}")):
        with pytest.raises(TypeError, match="below the route decorator"):
            _ = guard.__signature__
    assert repr(consume_quota("crm.pages", operation="a:{b}")) == "consume_quota('crm.pages')"
    assert repr(assign_slot("seats", holder="{b}")) == "assign_slot('seats')"


# -- flags that choose -----------------------------------------------------------------------------------------------


async def _old_items(job_id, fails=False):
    yield "old"


OLD = {
    "plain": lambda job_id, fails=False: "old",
    "later": lambda job_id, fails=False: "old",
    "items": lambda job_id, fails=False: iter(["old"]),
    "items_later": _old_items,
}


def given(made):
    """What a guarded function gives, to the end."""

    async def awaited():
        return await made

    if inspect.isawaitable(made):
        return asyncio.run(awaited())
    if hasattr(made, "asend"):
        return asyncio.run(all_of(made))
    return list(made) if hasattr(made, "__next__") else made


@pytest.mark.parametrize("of", [plain, later, items, items_later], ids=lambda function: function.__name__)
@pytest.mark.parametrize("names_tenant", [False, True])
def test_another_way_takes_nothing(stage, ent, used, of, names_tenant):
    """A quota pays for the function itself, in the fixed order: the flag comes before."""

    def guarded_by(otherwise, function):
        return require_flag("new", otherwise=otherwise, tenant="job_id" if names_tenant else None, client=ent)(function)

    guarded = guarded_by(OLD[of.__name__], of)
    put(stage, flag("new"))
    with ent.bind("acme"):
        assert given(guarded("acme")) in ("old", ["old"])
        assert used() == 0
        put(stage, flag("new", default="on"))
        stage.clock.advance(seconds=3)
    with ent.bind("acme"):
        assert given(guarded("acme")) not in ("old", ["old"])
        assert used() == 2
        with pytest.raises(Broken):
            given(guarded("acme", fails=True))


@pytest.mark.parametrize("of", [plain, later, items, items_later], ids=lambda function: function.__name__)
@pytest.mark.parametrize("names_tenant", [False, True])
def test_a_flag_is_asked_with_what_a_call_says(stage, ent, used, of, names_tenant):
    """Of the arguments, of which a quota is named too."""
    put(stage, flag("new", where("job", "eq", "acme")))
    how = {"tenant": "job_id" if names_tenant else None, "client": ent}
    guarded = require_flag("new", attributes=lambda job_id, **named: {"job": job_id}, **how)(of)
    with ent.bind("acme"):
        given(guarded("acme"))
        taken = used()
        assert taken > 0
        with pytest.raises(NotReleased):
            given(guarded("other"))
        assert used() == taken


def test_a_flag_that_refuses_takes_nothing(stage, ent, used):
    """It is asked before a quota."""
    put(stage, flag("new"))
    guarded = require_flag("new")(plain)
    with ent.bind("acme"), pytest.raises(NotReleased):
        guarded("one")
    assert used() == 0
