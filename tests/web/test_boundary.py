"""What goes wrong in a module stays there: told, logged, left alone for a moment, and nothing else is touched."""

from __future__ import annotations

import asyncio
import contextvars
import os
import pickle
import threading

import pytest
import structlog
from django.core.exceptions import PermissionDenied, RequestAborted
from django.http import Http404, UnreadablePostError
from rest_framework.exceptions import NotAuthenticated
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.websockets import WebSocketDisconnect
from structlog.testing import capture_logs
from werkzeug.exceptions import ClientDisconnected, NotFound

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.binding import CURRENT
from payaid_entitlements.errors import (
    ConfigurationError,
    ModuleFailed,
    ModuleUnavailable,
    NoCurrentTenant,
    StoreUnavailable,
    TenantUnidentified,
)
from payaid_entitlements.web import boundary as walls
from payaid_entitlements.web import failing, module_boundary
from payaid_entitlements.web.failing import on_failure
from payaid_entitlements.web.refusing import refusal

CATALOG = Catalog.load(
    {"catalog": 1, "default_plan": "free", "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}}
)


@pytest.fixture(autouse=True)
def fresh(monkeypatch):
    """No module has failed before, and nobody is told who was in another test."""
    walls.MODULES.forget()
    monkeypatch.setattr(failing, "_REPORTERS", [])


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test lets pass."""
    now = [100.0]
    monkeypatch.setattr(walls.time, "monotonic", lambda: now[0])
    return now


def fail(times, module="invoicing"):
    for _ in range(times):
        with pytest.raises(ModuleFailed), module_boundary(module):
            raise KeyError("lost")


def test_a_failure_names_its_module_and_what_to_quote():
    """The error itself is its cause, for whoever debugs."""
    with pytest.raises(ModuleFailed) as caught, module_boundary("invoicing"):
        raise KeyError("lost")
    assert caught.value.module == "invoicing"
    assert len(caught.value.reference) == 12
    assert repr(caught.value.__cause__) == "KeyError('lost')"
    said = refusal(caught.value)
    assert (said.status, said.body["reason"], said.body["module"]) == (500, "module.failed", "invoicing")
    assert said.body["reference"] == caught.value.reference
    assert b"lost" not in said.content


def test_it_is_logged_with_whose_request_it_was():
    """Tenant, user and correlation id, as far as they are bound."""
    structlog.contextvars.bind_contextvars(request_id="req-7")
    with Entitlements.open("memory://", catalog=CATALOG) as ent, capture_logs() as logged, ent.bind("acme", user="u1"):
        fail(1)
    structlog.contextvars.clear_contextvars()
    (line,) = [each for each in logged if each["event"] == "module.failed"]
    assert (line["module"], line["tenant"], line["user"], line["correlation_id"]) == (
        "invoicing",
        "acme",
        "u1",
        "req-7",
    )
    assert line["log_level"] == "error"
    assert isinstance(line["exc_info"], KeyError)


def test_nobody_is_looked_for_when_something_failed():
    """What failed may be just that."""
    with capture_logs() as logged:
        fail(1)
    assert (logged[0]["tenant"], logged[0]["user"], logged[0]["correlation_id"]) == (None, None, None)


def test_who_wants_to_know_is_told():
    """And one who fails at that fails nobody, and keeps no other from being told."""
    told = []

    @on_failure
    def broken(failure):
        raise OSError

    on_failure(told.append)
    on_failure(broken)
    with capture_logs() as logged:
        fail(1)
    assert [(each.module, repr(each.error)) for each in told] == [("invoicing", "KeyError('lost')")]
    assert "lost" not in repr(told[0])
    assert [each["event"] for each in logged] == ["module.failed", "module.unreported"]


def test_after_five_in_a_row_it_is_left_alone_and_then_tried(clock):
    """By one, for all; other modules know nothing of it."""
    with capture_logs() as logged:
        fail(5)
        for _ in range(3):
            with pytest.raises(ModuleUnavailable), module_boundary("invoicing"):
                pytest.fail("it is entered")
        with module_boundary("crm"):
            pass
        clock[0] += 0.6
        fail(1)
        with pytest.raises(ModuleUnavailable) as caught, module_boundary("invoicing"):
            pytest.fail("it is entered")
        clock[0] += 1.1
        with module_boundary("invoicing"):
            pass
        fail(4)
        with module_boundary("invoicing"):
            pass
    assert [each["event"] for each in logged if each["event"] != "module.failed"] == [
        "module.left_alone",
        "module.recovered",
    ]
    said = refusal(caught.value)
    assert (said.status, said.body["reason"], said.headers["Retry-After"]) == (503, "module.unavailable", "2")


@pytest.mark.parametrize(
    "answer",
    [
        HTTPException(404),
        HTTPException(503),
        NotFound(),
        Http404(),
        PermissionDenied(),
        NotAuthenticated("log in"),
        TenantUnidentified("nobody"),
        StoreUnavailable("down"),
        ModuleFailed("crm", reference="x"),
        ExceptionGroup("tasks", [StoreUnavailable("down"), ExceptionGroup("more", [TenantUnidentified("nobody")])]),
    ],
    ids=repr,
)
def test_an_answer_is_no_failure(answer):
    """Whatever framework says it; a hundred of them leave nobody alone."""
    for _ in range(walls.FAILURES + 1):
        with pytest.raises(type(answer)) as caught, module_boundary("invoicing"):
            raise answer
        assert caught.value is answer


def test_of_tasks_that_end_together_one_failure_is_enough():
    with pytest.raises(ModuleFailed), module_boundary("invoicing"):
        raise ExceptionGroup("tasks", [NotFound(), OSError()])


def test_who_goes_while_others_are_answered_is_no_failure():
    """A task read from the client, and another one was refused."""
    group = ExceptionGroup("tasks", [ClientDisconnect(), ExceptionGroup("more", [TenantUnidentified("nobody")])])
    with pytest.raises(ExceptionGroup) as caught, module_boundary("invoicing"):
        raise group
    assert caught.value is group
    with pytest.raises(ModuleFailed), module_boundary("invoicing"):
        raise ExceptionGroup("tasks", [ClientDisconnect(), OSError()])


def test_an_error_of_the_host_that_it_handles_itself_passes():
    """It says which."""
    with pytest.raises(ZeroDivisionError), module_boundary("invoicing", passes=(ArithmeticError,)):
        raise ZeroDivisionError
    for wrong in ((3,), (int,), ("no",)):
        with pytest.raises(ConfigurationError, match="give a tuple of types of exceptions"):
            module_boundary("invoicing", passes=wrong)


def test_a_mistake_in_using_the_library_is_a_failure():
    """Nobody is bound: code of the host is wrong."""
    with pytest.raises(ModuleFailed) as caught, module_boundary("invoicing"):
        raise NoCurrentTenant("nobody")
    assert isinstance(caught.value.__cause__, NoCurrentTenant)


def test_who_is_cancelled_says_nothing_about_the_module(clock):
    """Neither that it works nor that it does not; the next one may try."""
    fail(5)
    clock[0] += 0.6
    with pytest.raises(asyncio.CancelledError), module_boundary("invoicing"):
        raise asyncio.CancelledError
    with module_boundary("invoicing"):
        pass


@pytest.mark.parametrize(
    "gone",
    [
        ClientDisconnect(),
        WebSocketDisconnect(),
        ClientDisconnected(),
        UnreadablePostError(),
        RequestAborted(),
        ExceptionGroup("tasks", [ClientDisconnect(), ExceptionGroup("more", [WebSocketDisconnect()])]),
    ],
    ids=repr,
)
def test_who_goes_in_the_middle_says_nothing_about_the_module(clock, gone):
    """A hundred uploads that are broken off take it away from nobody, and are no sign that it works again."""

    def leave():
        with pytest.raises(type(gone)) as caught, module_boundary("invoicing"):
            raise gone
        assert caught.value is gone

    for _ in range(walls.FAILURES + 1):
        leave()
    fail(4)
    leave()
    fail(1)
    with pytest.raises(ModuleUnavailable), module_boundary("invoicing"):
        pytest.fail("it is entered")
    clock[0] += 0.6
    leave()
    fail(1)
    with pytest.raises(ModuleUnavailable), module_boundary("invoicing"):
        pytest.fail("it is entered")


@pytest.fixture
def bound():
    """Binds a tenant."""
    with Entitlements.open("memory://", catalog=CATALOG) as ent:
        yield ent.bind


def is_let_in(module="invoicing"):
    """Would somebody be? He leaves without saying whether it works, as who is cancelled does."""
    try:
        with module_boundary(module):
            raise ClientDisconnect
    except ClientDisconnect:
        return True
    except ModuleUnavailable:
        return False


def fail_for(bound, *tenants):
    for tenant in tenants:
        with bound(tenant):
            fail(1)


def let_in(bound, *tenants):
    """Those of *tenants* for whom the module is not left alone."""
    found = []
    for tenant in tenants:
        with bound(tenant):
            found += [tenant] if is_let_in() else []
    return found


def test_who_alone_meets_failures_is_kept_out_alone(bound, clock):
    """What is wrong may be with his data: he keeps no worker busy with it, and takes the module from nobody."""
    with capture_logs() as logged:
        fail_for(bound, *["poisoned"] * 5)
        assert let_in(bound, "poisoned", "acme") == ["acme"]
        assert is_let_in()
        clock[0] += 0.6
        fail_for(bound, "poisoned")
        clock[0] += 0.6
        assert let_in(bound, "poisoned") == []
        clock[0] += 0.5
        with bound("poisoned"), module_boundary("invoicing"):
            pass
        fail_for(bound, *["poisoned"] * 4)
        assert let_in(bound, "poisoned") == ["poisoned"]
    assert [(each["event"], each["tenant"]) for each in logged if each["event"] != "module.failed"] == [
        ("module.left_alone", "poisoned"),
        ("module.recovered", "poisoned"),
    ]


def test_a_few_with_bad_data_take_the_module_from_nobody_else(bound):
    """However they take turns; each is kept out by himself."""
    fail_for(bound, *["poisoned", "spoiled"] * 5)
    assert let_in(bound, "poisoned", "spoiled", "acme") == ["acme"]


def test_what_fails_for_five_in_a_row_is_left_alone_for_all(bound, clock):
    """When it has worked for anybody a new row begins. Who tries for all counts, also if he has failed before."""
    fail_for(bound, "a", "b", "c", "d")
    with bound("acme"), module_boundary("invoicing"):
        pass
    fail_for(bound, "a", "b", "c", "d", "a", "b")
    assert let_in(bound, "acme") == ["acme"]
    fail_for(bound, "e")
    assert let_in(bound, "a", "e", "acme") == []
    assert not is_let_in()
    clock[0] += 0.6
    fail_for(bound, "e")
    clock[0] += 0.6
    assert let_in(bound, "e", "acme") == []
    clock[0] += 0.5
    assert let_in(bound, "e", "acme") == ["e", "acme"]


def test_who_is_kept_out_alone_does_not_try_for_all_others(bound, clock):
    """And who may try for himself is not counted as having done so where all are kept out."""
    fail_for(bound, *["poisoned"] * 5)
    clock[0] += 0.6
    fail_for(bound, "poisoned")
    fail_for(bound, "a", "b", "c", "d")
    clock[0] += 0.55
    assert let_in(bound, "poisoned", "acme") == ["acme"]
    fail_for(bound, "acme")
    clock[0] += 0.6
    assert let_in(bound, "poisoned") == []
    clock[0] += 0.5
    assert let_in(bound, "poisoned") == ["poisoned"]


class Late:
    """A binding that finds out whose request it is when somebody asks."""

    is_found = False

    def __init__(self, ent, tenant):
        self._ent, self._tenant = ent, tenant

    @property
    def view(self):
        self.is_found = True
        return self._ent.tenant(self._tenant)


@pytest.fixture
def visit():
    """Comes in as a tenant who is found only inside, as by a guard below the wall; tells how that ended."""
    with Entitlements.open("memory://", catalog=CATALOG) as ent:

        def visit(tenant, error=None):
            token = CURRENT.set(Late(ent, tenant))
            try:
                with module_boundary("invoicing"):
                    CURRENT.get().view  # noqa: B018 # a guard asks
                    if error:
                        raise error
            except (ModuleFailed, ModuleUnavailable) as told:
                return type(told)
            finally:
                CURRENT.reset(token)

        yield visit


def test_who_is_known_only_inside_is_counted_for_all_when_he_should_have_been_kept_out(clock, visit):
    """Nobody is looked for at the door, so that he is not kept out there; workers must not wait for him either."""
    for _ in range(3):
        assert [visit("poisoned", KeyError()) for _ in range(4)] == [ModuleFailed] * 4
        assert visit("poisoned") is None
    assert [visit("poisoned", KeyError()) for _ in range(9)] == [ModuleFailed] * 8 + [ModuleUnavailable]


@pytest.mark.parametrize("works_at_times", [False, True])
def test_who_is_known_only_inside_takes_the_module_from_nobody_else(clock, visit, monkeypatch, works_at_times):
    """Ten minutes of twenty failures a second, and of one call a second of others: none of theirs is refused."""
    monkeypatch.setattr(walls, "report", lambda failure: None)
    for second in range(600):
        assert visit(f"good-{second % 50}") is None
        if works_at_times:
            assert visit("poisoned") is None
        for _ in range(20):
            clock[0] += 0.05
            assert visit("poisoned", KeyError()) is ModuleFailed


def test_who_is_known_only_inside_is_counted_for_all_when_it_works_for_nobody_else(clock, visit):
    """What was answered half a minute ago is no longer known to work; that it works for him himself is no matter."""
    assert visit("acme") is None
    assert [visit("poisoned", KeyError()) for _ in range(20)] == [ModuleFailed] * 20
    clock[0] += 29.5
    assert visit("poisoned", KeyError()) is ModuleFailed
    assert visit("poisoned") is None
    assert [visit("poisoned", KeyError()) for _ in range(20)] == [ModuleFailed] * 20
    clock[0] += 0.5
    assert visit("poisoned") is None
    assert [visit("poisoned", KeyError()) for _ in range(9)] == [ModuleFailed] * 8 + [ModuleUnavailable]
    assert visit("acme") is ModuleUnavailable


def test_what_is_down_for_all_who_are_known_only_inside_is_left_alone_after_five(clock, visit):
    """However lately it has worked for them."""
    tenants = ["a", "b", "c", "d", "e"]
    assert [visit(each) for each in tenants] == [None] * 5
    assert [visit(each, KeyError()) for each in tenants] == [ModuleFailed] * 5
    assert visit("acme") is ModuleUnavailable


def test_who_is_known_only_inside_does_not_try_for_all_others_again_and_again(clock, visit):
    """When it works again others need not wait for a try that he leaves them: who asks most would take them all."""
    for tenant in ["poisoned", "a", "b", "c", "d"]:
        assert visit(tenant, KeyError()) is ModuleFailed
    clock[0] += 0.6
    assert visit("poisoned", KeyError()) is ModuleFailed
    assert visit("a") is ModuleUnavailable
    clock[0] += 1.1
    assert [visit("poisoned", KeyError()) for _ in range(20)] == [ModuleFailed] * 20
    assert visit("a", KeyError()) is ModuleFailed
    assert visit("b") is ModuleUnavailable
    clock[0] += 2.1
    assert visit("b") is None
    clock[0] += 31
    while visit("poisoned", KeyError()) is ModuleFailed:
        pass
    for seconds in [0.6, 1.1]:
        clock[0] += seconds
        assert visit("poisoned", KeyError()) is ModuleFailed
    assert visit("a") is None


def test_who_alone_is_known_only_inside_is_left_alone_for_longer_and_longer(clock, visit):
    """Nobody waits for a try that he takes."""
    while visit("acme", KeyError()) is ModuleFailed:
        pass
    for seconds in [0.6, 1.1, 2.1]:
        clock[0] += seconds
        assert visit("acme", KeyError()) is ModuleFailed
        assert visit("acme", KeyError()) is ModuleUnavailable


def test_so_many_are_known_at_once(bound, monkeypatch):
    """Who failed longest ago is forgotten, and may try."""
    monkeypatch.setattr(walls, "MOST_TENANTS", 2)
    fail_for(bound, *["a"] * 5, *["b"] * 5)
    fail_for(bound, "c")
    assert let_in(bound, "a", "b") == ["a"]


def test_functions_of_every_kind_are_walled():
    """Generators while they give, whatever reads them."""
    wall = module_boundary("invoicing")

    @wall
    def plain(x):
        return 1 // x

    @wall
    async def awaited(x):
        return 1 // x

    @wall
    def items(x):
        got = yield 1
        yield got
        yield 1 // x

    @wall
    async def async_items(x):
        yield 1
        yield 1 // x

    async def all_of(given):
        return [item async for item in given]

    assert plain(1) == asyncio.run(awaited(1)) == 1
    reader = items(1)
    assert [next(reader), reader.send("got"), next(reader)] == [1, "got", 1]
    assert asyncio.run(all_of(async_items(1))) == [1, 1]
    for failing_call in (
        lambda: plain(0),
        lambda: asyncio.run(awaited(0)),
        lambda: list(items(0)),
        lambda: asyncio.run(all_of(async_items(0))),
    ):
        with pytest.raises(ModuleFailed) as caught:
            failing_call()
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert repr(wall) == "module_boundary('invoicing')"


def test_a_block_may_be_asynchronous():
    """The same as a plain one."""

    async def main():
        async with module_boundary("invoicing") as wall:
            assert wall.module == "invoicing"
        async with module_boundary("invoicing"):
            raise OSError

    with pytest.raises(ModuleFailed):
        asyncio.run(main())


def test_one_wall_serves_many_at_once(clock):
    """Each of those who are inside is told apart, in tasks and in threads."""
    wall = module_boundary("invoicing")

    async def one(fails):
        async with wall:
            await asyncio.sleep(0)
            if fails:
                raise OSError

    async def main():
        return await asyncio.gather(*(one(n % 2 == 0) for n in range(20)), return_exceptions=True)

    found = asyncio.run(main())
    assert [type(each) for each in found] == [ModuleFailed, type(None)] * 10
    results = []

    def work():
        with wall:
            results.append(1)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_child_knows_nothing_of_what_failed_in_its_parent():
    """It has connections of its own."""
    fail(5)
    pid = os.fork()
    if pid == 0:  # pragma: no cover # the child is another process
        try:
            with module_boundary("invoicing"):
                os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0


def test_errors_travel():
    """Task queues pickle them."""
    for error in (ModuleFailed("crm", reference="abc"), ModuleUnavailable("crm")):
        again = pickle.loads(pickle.dumps(error))
        assert (str(again), vars(again)) == (str(error), vars(error))


def test_a_generator_may_be_read_in_one_context_and_closed_in_another():
    """As servers do with the body of who has left; and two may be read by turns."""
    wall = module_boundary("invoicing")

    @wall
    def lines():
        yield 1
        yield 2

    @wall
    async def items():
        yield 1
        yield 2

    first, second = lines(), lines()
    contextvars.copy_context().run(next, first)
    next(second)
    first.close()
    assert list(second) == [2]

    async def read_and_close():
        given = items()
        assert await asyncio.create_task(anext(given)) == 1
        await asyncio.create_task(given.aclose())

    asyncio.run(read_and_close())
    assert walls._entered.get() == ()
