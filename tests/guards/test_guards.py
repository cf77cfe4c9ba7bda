"""Decorators let nobody pass who is not entitled: every kind of function, every order, no way round."""

from __future__ import annotations

import asyncio
import inspect
import pickle
import threading
from functools import partial

import asgiref.sync
import pytest

from payaid_entitlements import Entitlements, Reason, current_tenant, require_feature, require_module
from payaid_entitlements.errors import (
    ConfigurationError,
    NoCurrentTenant,
    NotEntitled,
    Refused,
    StoreUnavailable,
    TenantSuspended,
    ViewExpired,
)
from payaid_entitlements.guards import is_covered, rules_of
from tests.entitlements.conftest import CATALOG

# -- each kind of function ---------------------------------------------------------------------------------------------


@require_feature("crm.export")
def export(*columns: str, limit: int = 10) -> tuple[object, ...]:
    """Write a file."""
    return (current_tenant().tenant, *columns, limit)


@require_feature("crm.export")
async def export_later(*columns: str, limit: int = 10) -> tuple[object, ...]:
    """Write a file, awaited."""
    await asyncio.sleep(0)
    return (current_tenant().tenant, *columns, limit)


@require_feature("crm.export")
def rows(count: int):
    """Give rows."""
    yield from range(count)


@require_feature("crm.export")
async def rows_later(count: int):
    """Give rows, awaited."""
    for number in range(count):
        yield number


class Exporter:
    """Methods of all kinds."""

    @require_feature("crm.export")
    def method(self, value: int) -> tuple[object, int]:
        return self, value

    @classmethod
    @require_feature("crm.export")
    def of_class(cls, value: int) -> tuple[object, int]:
        return cls, value

    @staticmethod
    @require_feature("crm.export")
    def static(value: int) -> int:
        return value

    @property
    @require_feature("crm.export")
    def property_(self) -> int:
        return 7

    @require_feature("crm.export")
    async def later(self, value: int) -> tuple[object, int]:
        return self, value


def test_a_function_runs_for_whom_it_is_entitled(ent):
    """With its arguments, its result and its names."""
    with ent.bind("acme"):
        assert export("a", "b", limit=3) == ("acme", "a", "b", 3)
    assert (export.__name__, export.__doc__) == ("export", "Write a file.")
    assert list(inspect.signature(export).parameters) == ["columns", "limit"]


def test_a_function_does_not_run_for_others(ent):
    """Refused by its decision, before anything of it has happened."""
    with ent.bind("other"), pytest.raises(NotEntitled) as caught:
        export()
    assert caught.value.decision.reason is Reason.PLAN_FEATURE_ABSENT
    assert (caught.value.tenant, bool(caught.value.reference)) == ("other", True)


def test_nothing_bound_lets_nobody_pass():
    """Every kind of function; the coroutine when it is awaited, the generators when they are called."""
    for call in (
        export,
        lambda: rows(1),
        lambda: rows_later(1),
        lambda: asyncio.run(export_later()),
        lambda: Exporter().method(1),
        lambda: Exporter.of_class(1),
        lambda: Exporter.static(1),
        lambda: Exporter().property_,
    ):
        with pytest.raises(NoCurrentTenant):
            call()


def test_methods_of_all_kinds(ent):
    """Self and class arrive as ever."""
    exporter = Exporter()
    with ent.bind("acme"):
        assert exporter.method(1) == (exporter, 1)
        assert Exporter.of_class(2) == (Exporter, 2)
        assert Exporter.static(3) == 3
        assert exporter.property_ == 7
        assert asyncio.run(exporter.later(4)) == (exporter, 4)
    with ent.bind("other"):
        for call in (
            lambda: exporter.method(1),
            lambda: Exporter.of_class(2),
            lambda: Exporter.static(3),
            lambda: exporter.property_,
            lambda: asyncio.run(exporter.later(4)),
        ):
            with pytest.raises(NotEntitled):
                call()


def test_a_coroutine_function_stays_one(aent):
    """Frameworks look at its kind to decide how to call it."""
    assert inspect.iscoroutinefunction(export_later)

    async def main():
        async with aent.bind("acme"):
            assert await export_later("a") == ("acme", "a", 10)
        async with aent.bind("other"):
            with pytest.raises(NotEntitled):
                await export_later("a")

    asyncio.run(main())


def test_a_generator_is_refused_when_it_is_called(ent, aent):
    """Not when its first item is taken: a streamed response is refused before its first byte."""
    with ent.bind("acme"):
        assert list(rows(3)) == [0, 1, 2]
    with ent.bind("other"), pytest.raises(NotEntitled):
        rows(3)

    async def main():
        async with aent.bind("acme"):
            assert [number async for number in rows_later(3)] == [0, 1, 2]
        async with aent.bind("other"):
            with pytest.raises(NotEntitled):
                rows_later(3)

    asyncio.run(main())


@require_feature("crm.export")
async def echo(log: list[str]):
    """Give back what is sent; note what is thrown and that it is closed."""
    item = "first"
    try:
        while True:
            try:
                item = yield item
                if item == "end":
                    return
            except KeyError as error:
                log.append(f"caught {error.args[0]}")
                item = "caught"
    finally:
        log.append("closed")


@pytest.mark.parametrize("is_sure", [True, False])
def test_an_asynchronous_generator_takes_what_is_sent_thrown_and_closed(aent, stage, is_sure):
    """Whether or not the store had to be asked before its first item."""

    async def main():
        log: list[str] = []
        async with aent.bind("acme" if is_sure else "paying"):
            stage.elsewhere.subscribe("paying", "pro")
            stage.clock.advance(seconds=1)
            items = echo(log)
            assert await anext(items) == "first"
            assert await items.asend("one") == "one"
            assert await items.athrow(KeyError("two")) == "caught"
            with pytest.raises(ZeroDivisionError):
                await items.athrow(ZeroDivisionError())
            assert log == ["caught two", "closed"]
            ended = echo(log)
            await anext(ended)
            with pytest.raises(StopAsyncIteration):
                await ended.asend("end")
            closed = echo(log)
            await anext(closed)
            await closed.aclose()
            assert log == ["caught two", "closed", "closed", "closed"]

    asyncio.run(main())


def test_an_asynchronous_generator_is_closed_with_its_guard(aent, stage):
    """Who stops reading in the middle lets it clean up, also where the store had to be asked first."""

    async def main():
        log: list[str] = []
        async with aent.bind("paying"):
            stage.elsewhere.subscribe("paying", "pro")
            stage.clock.advance(seconds=1)
            items = echo(log)
            assert await anext(items) == "first"
            await items.aclose()
            assert log == ["closed"]

    asyncio.run(main())


def test_an_asynchronous_generator_that_nobody_reads_asks_nothing(aent, stage):
    """And leaves no coroutine behind that was never awaited."""

    async def main():
        async with aent.bind("other"):
            stage.clock.advance(seconds=1)
            asked = len(stage.faults.calls)
            items = rows_later(3)
            assert len(stage.faults.calls) == asked
            with pytest.raises(NotEntitled):
                await anext(items)

    asyncio.run(main())


# -- refusals are made sure of -----------------------------------------------------------------------------------------


def test_who_has_just_paid_passes(ent, aent, stage):
    """The view of the request is old: before the guard refuses, the store is asked."""
    with ent.bind("first"):
        stage.elsewhere.subscribe("first", "pro")
        stage.clock.advance(seconds=1)
        assert export()[0] == "first"
        assert current_tenant().plan == "pro"

    async def main():
        async with aent.bind("second"):
            stage.elsewhere.subscribe("second", "pro")
            stage.clock.advance(seconds=1)
            assert (await export_later())[0] == "second"
        async with aent.bind("third"):
            stage.elsewhere.subscribe("third", "pro")
            stage.clock.advance(seconds=1)
            assert (await asyncio.to_thread(export))[0] == "third"

    asyncio.run(main())


def test_an_outage_is_no_refusal(ent, aent, stage):
    """Nobody could be asked: StoreUnavailable, also for generators when they are called."""

    async def main():
        async with aent.bind("other"):
            stage.faults.is_down = True
            stage.clock.advance(seconds=1)
            with pytest.raises(StoreUnavailable):
                await export_later()
        async with aent.bind("cold"):
            for call in (lambda: rows_later(1), lambda: rows(1), export):
                with pytest.raises(StoreUnavailable):
                    call()

    asyncio.run(main())


def test_a_view_that_was_bound_too_long_ago_is_not_used(ent, stage):
    """Neither to let somebody pass nor to refuse."""
    for tenant in ("acme", "other"):
        with ent.bind(tenant):
            stage.clock.advance(seconds=60)
            with pytest.raises(ViewExpired):
                export()


def test_a_softened_refusal_passes_and_is_counted(stage):
    """Until the module is enforced."""
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock, enforcement="observe") as ent:
        with ent.bind("other"):
            export()
        assert ent.counts[("decision", "crm.export", "enforcement.observed")] == 1


def test_what_the_vendor_took_away_stays_away(ent, stage):
    """Suspended is not "not entitled"."""
    stage.elsewhere.suspend("acme")
    with ent.bind("acme"), pytest.raises(TenantSuspended):
        export()


# -- several guards ----------------------------------------------------------------------------------------------------

ASKED: list[str] = []


def asked(name: str):
    def answer() -> bool:
        ASKED.append(name)
        return True

    return answer


@require_feature("crm.export", legacy=asked("export"))
@require_module("hr", legacy=asked("hr"))
@require_feature("crm.import", legacy=asked("import"))
@require_module("crm", legacy=asked("crm"))
def stacked() -> str:
    return "ran"


@require_module("hr")
@require_feature("crm.export")
@require_module("crm")
def one_order() -> None: ...


@require_feature("crm.export")
@require_module("crm")
@require_module("hr")
def other_order() -> None: ...


def test_guards_on_one_function_are_one_and_ask_modules_first(stage):
    """However they are stacked; of two of a rank the upper one first."""
    with Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock, enforcement="observe") as ent:
        ASKED.clear()
        with ent.bind("other"):
            assert stacked() == "ran"
    assert ASKED == ["hr", "crm", "export", "import"]


def test_the_order_of_guards_does_not_matter(ent):
    """The same refusal either way: the module that is missing."""
    with ent.bind("acme"):
        for function in (one_order, other_order):
            with pytest.raises(NotEntitled) as caught:
                function()
            assert caught.value.decision.feature == "hr"


def test_a_decorator_between_two_guards_keeps_both(ent):
    """They cannot merge, and both ask."""
    import functools

    def loud(function):
        @functools.wraps(function)
        def louder(*args):
            return function(*args).upper()

        return louder

    @require_module("crm")
    @loud
    @require_feature("crm.export")
    def speak(word: str) -> str:
        return word

    with ent.bind("acme"):
        assert speak("a") == "A"
    with ent.bind("other"), pytest.raises(NotEntitled):
        speak("a")
    assert {need.key for need in rules_of(speak).requirements} == {"crm"}


def test_guards_that_contradict_one_another_fail_when_they_are_stacked(ent):
    """Not at the first request."""
    with pytest.raises(ConfigurationError, match="tenant="):

        @require_module("crm", tenant="a")
        @require_feature("crm.export", tenant="b")
        def two(a: str, b: str) -> None: ...

    agreed = require_module("crm", tenant="a")(require_feature("crm.export", tenant="a")(lambda a: a))
    assert agreed("acme") == "acme"
    inherited = require_module("crm")(require_feature("crm.export", tenant="a")(lambda a: a))
    assert inherited("acme") == "acme"


# -- access and legacy -------------------------------------------------------------------------------------------------


def test_a_guard_asks_for_what_is_about_to_be_done(ent, stage):
    """A paused subscription can be read; unless a guard says otherwise outside of a request it is about writing."""
    stage.elsewhere.pause("acme")
    reading = require_feature("crm.export", access="read")(lambda: "read")
    writing = require_feature("crm.export", access="write")(lambda: "written")
    with ent.bind("acme"):
        assert reading() == "read"
        for function in (writing, export):
            with pytest.raises(Refused):
                function()

    async def main():
        reading_later = require_feature("crm.export", access="read")(export_later.__wrapped__)
        with ent.bind("acme"):
            assert (await reading_later())[0] == "acme"

    asyncio.run(main())


@pytest.mark.parametrize("old", [True, False])
def test_until_a_module_is_enforced_the_old_answer_decides(stage, old):
    """Either way, in either colour."""
    guard = require_module("hr", legacy=lambda: old)
    plain = guard(lambda: "ran")

    async def awaited():
        return "ran"

    later = guard(awaited)
    ent = Entitlements(stage.memory, catalog=CATALOG, clock=stage.clock, enforcement="observe")
    with ent, ent.bind("acme"):
        for call in (plain, lambda: asyncio.run(later())):
            if old:
                assert call() == "ran"
            else:
                with pytest.raises(NotEntitled):
                    call()


def test_an_old_answer_that_is_no_answer_lets_nobody_pass(ent):
    """A coroutine that was not awaited would read as yes."""

    async def forgotten():
        return False

    pending = forgotten()
    with ent.bind("acme"), pytest.raises(TypeError, match="True or False"):
        require_module("crm", legacy=lambda: pending)(lambda: "ran")()
    pending.close()


# -- misplaced ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", [classmethod(lambda cls: 1), staticmethod(lambda: 1), property(lambda self: 1), int, 7]
)
def test_a_guard_on_something_else_than_a_function_is_loud(target):
    """It would never run, or run without asking."""
    with pytest.raises(TypeError, match="goes on a function or a method"):
        require_feature("crm.export")(target)


def test_a_guard_may_be_put_around_a_bound_method_with_each_call(ent):
    """As `method_decorator` of Django does, which hands over a partial of it; ``self`` is none of the arguments."""

    class Views:
        def plain(self, org):
            return f"plain {org}"

        async def awaited(self, org):
            return f"awaited {org}"

    views, guard = Views(), require_module("crm", tenant="org", client=ent)
    assert guard(partial(views.plain))("acme") == "plain acme"
    assert asyncio.run(guard(partial(views.awaited))(org="acme")) == "awaited acme"
    with pytest.raises(TypeError, match="goes on a function"):
        guard(partial(Views.plain, views))


def test_a_function_that_is_marked_as_a_coroutine_is_awaited(ent):
    """As Django marks what it makes of an asynchronous class of views."""

    async def view():
        return "ran"

    def as_view():
        return view()

    asgiref.sync.markcoroutinefunction(as_view)

    async def call():
        with ent.bind("acme"):
            return await require_module("crm")(as_view)()

    ent.tenant("acme")
    assert asyncio.run(call()) == "ran"
    assert inspect.iscoroutinefunction(require_module("crm")(as_view))


def test_a_guard_on_a_class_or_a_callable_object_is_loud():
    """Its methods are what is called."""
    with pytest.raises(TypeError, match="on the methods of a class"):

        @require_feature("crm.export")
        class Something: ...

    class Callable:
        def __call__(self) -> None: ...

    with pytest.raises(TypeError, match="goes on a function"):
        require_feature("crm.export")(Callable())


def test_a_guard_in_depends_is_a_type_error_at_import():
    """FastAPI would read `function` from the query string and give the guard instead of guarding."""
    from fastapi import Depends, FastAPI

    app = FastAPI()
    with pytest.raises(TypeError, match=r"inside Depends\(\); use gate\.require_feature\('crm\.export'\)"):

        @app.get("/")
        def read(allowed=Depends(require_feature("crm.export"))): ...  # noqa: B008 # as people would write it


@pytest.mark.parametrize(
    "given",
    [{"access": "delete"}, {"legacy": True}],
)
def test_a_guard_that_says_nonsense_fails_when_it_is_made(given):
    """Not at the first request."""
    with pytest.raises((TypeError, ValueError), match=next(iter(given))):
        require_feature("crm.export", **given)


@pytest.mark.parametrize("key", ["", None, "None", 7])
def test_a_guard_needs_a_key(key):
    """A variable that was never set is no key."""
    with pytest.raises(TypeError):
        require_module(key)


def test_it_is_known_around_which_function_a_guard_stands():
    """So that a route above a guard, which goes round it, can be found."""
    wrapped = export.__wrapped__
    assert is_covered(wrapped)
    assert not is_covered(export)
    assert not is_covered(None)
    assert rules_of(export).requirements[0].key == "crm.export"
    assert rules_of(wrapped) is None
    assert rules_of(None) is None
    assert repr(require_module("crm")) == "require_module('crm')"


# -- threads, tasks, queues --------------------------------------------------------------------------------------------


def test_a_thread_of_the_request_passes_and_a_stranger_does_not(ent):
    """asyncio.to_thread copies what is bound; a plain thread does not."""
    found = []

    def stranger():
        try:
            export()
        except NoCurrentTenant:
            found.append("refused")

    async def main():
        return await asyncio.to_thread(export)

    with ent.bind("acme"):
        thread = threading.Thread(target=stranger)
        thread.start()
        thread.join()
        assert asyncio.run(main())[0] == "acme"
    assert found == ["refused"]


def test_a_refusal_survives_pickling(ent):
    """Queues send exceptions to other processes."""
    with ent.bind("other"), pytest.raises(NotEntitled) as caught:
        export()
    error = caught.value
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), again.decision, again.tenant, again.reference, str(again)) == (
        NotEntitled,
        error.decision,
        "other",
        error.reference,
        str(error),
    )
    assert again.decision.reason is Reason.PLAN_FEATURE_ABSENT
