"""Many threads that read at once: in the order of coming, in few statements, and nobody harms the others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from payaid_entitlements.cache import taking_turns
from payaid_entitlements.cache.gathering import LANES
from payaid_entitlements.cache.taking_turns import OVERDUE, WAY, TakingTurns
from payaid_entitlements.errors import StoreDamaged, StoreUnavailable


class Queue(list):
    """A queue that says when somebody has joined it."""

    def __init__(self) -> None:
        super().__init__()
        self.joined = threading.Semaphore(0)

    def append(self, waiter: object) -> None:
        super().append(waiter)
        self.joined.release()


class Crowd:
    """Threads that read; the first `LANES` statements hang, each until it is let go."""

    def __init__(self, read: Callable[[tuple[str, ...]], Mapping[str, object]], patience_seconds: float = 30.0) -> None:
        self.statements: list[tuple[str, ...]] = []
        self._answer = read
        self._let_go = {f"hung-{number}": threading.Event() for number in range(LANES)}
        self._hanging = threading.Semaphore(0)
        self.turns = TakingTurns(patience_seconds)
        self.queue = self.turns._waiting = Queue()
        self._pool = ThreadPoolExecutor(64)
        self.hung = [self._pool.submit(self.turns.read, (name,), self._read) for name in self._let_go]
        for _ in self.hung:
            self._hanging.acquire()

    def _read(self, tenants: tuple[str, ...]) -> Mapping[str, object]:
        if tenants[0] in self._let_go:
            self._hanging.release()
            assert self._let_go[tenants[0]].wait(30)
            return {}
        self.statements.append(tenants)
        return self._answer(tenants)

    def join(self, *tenants: str) -> Future[Mapping[str, object]]:
        """Send a thread that wants *tenants* into the queue; returns when it is there."""
        future = self._pool.submit(self.turns.read, tenants, self._read)
        assert self.queue.joined.acquire(timeout=30)
        return future

    def let_one_go(self) -> None:
        """Let one of the hanging statements end; whoever has waited longest takes its place."""
        self._let_go["hung-0"].set()

    def end(self) -> None:
        for event in self._let_go.values():
            event.set()
        self._pool.shutdown()


@pytest.fixture
def crowd_of():
    crowds: list[Crowd] = []

    def make(read: Callable[[tuple[str, ...]], Mapping[str, object]], **named: float) -> Crowd:
        crowds.append(Crowd(read, **named))
        return crowds[-1]

    yield make
    for crowd in crowds:
        crowd.end()


def documents(tenants: Sequence[str]) -> dict[str, object]:
    return {tenant: f"document of {tenant}" for tenant in tenants}


def test_a_reading_that_finds_few_goes_alone():
    """Nobody waits for company."""
    asked: list[tuple[str, ...]] = []

    def read(tenants: tuple[str, ...]) -> Mapping[str, object]:
        asked.append(tenants)
        return documents(tenants)

    turns = TakingTurns(1.0)
    assert turns.read(("a",), read) == {"a": "document of a"}
    assert turns.read(("b",), read) == {"b": "document of b"}
    assert asked == [("a",), ("b",)]


def test_who_waits_is_read_together_and_the_first_first(crowd_of):
    """No tenant is named twice, and each thread has its answer."""
    crowd = crowd_of(documents)
    waiting = [crowd.join(tenant) for tenant in ("a", "b", "a", "c")]
    crowd.let_one_go()
    for future, tenant in zip(waiting, "abac", strict=True):
        assert future.result(30)[tenant] == f"document of {tenant}"
    assert crowd.statements == [("a", "b", "c")]


@pytest.fixture
def slept(monkeypatch):
    """How long each gave way; `slept.now` is the time."""

    class Slept(list):
        now = 0.0

    slept = Slept()
    stands_still = SimpleNamespace(monotonic=lambda: slept.now, sleep=slept.append)
    monkeypatch.setattr(taking_turns, "time", stands_still)
    return slept


@pytest.mark.parametrize(("seconds", "gives_way"), [(0.0, []), (OVERDUE, []), (OVERDUE * 1.01, [WAY])])
def test_who_has_read_gives_way_to_a_reading_that_is_long_on_its_way(crowd_of, slept, seconds, gives_way):
    """It may be there already, and its thread only lack the interpreter."""
    crowd = crowd_of(documents)
    crowd.let_one_go()
    crowd.hung[0].result(30)
    assert slept == []
    slept.now = seconds
    assert crowd.turns.read(("a",), documents) == {"a": "document of a"}
    assert slept == gives_way
    crowd.end()
    slept.clear()
    crowd.turns.read(("a",), documents)
    assert slept == []


def test_who_hands_its_lane_on_gives_way_to_the_other_one(crowd_of, slept):
    """The one that takes it over has only begun."""
    crowd = crowd_of(documents)
    waiting = crowd.join("a")
    slept.now = OVERDUE * 1.01
    crowd.let_one_go()
    crowd.hung[0].result(30)
    assert waiting.result(30) == {"a": "document of a"}
    assert slept == [WAY, WAY]


def test_nobody_gives_way_to_itself(slept):
    turns = TakingTurns(30.0)

    def read(tenants: tuple[str, ...]) -> Mapping[str, object]:
        slept.now += OVERDUE * 1.01
        return documents(tenants)

    turns.read(("a",), read)
    assert slept == []


def test_one_statement_names_only_so_many(crowd_of, monkeypatch):
    """The rest goes with the next."""
    monkeypatch.setattr(taking_turns, "MOST_TOGETHER", 2)
    crowd = crowd_of(documents)
    waiting = [crowd.join(tenant) for tenant in "abcde"]
    crowd.let_one_go()
    for future, tenant in zip(waiting, "abcde", strict=True):
        assert future.result(30)[tenant] == f"document of {tenant}"
    assert crowd.statements == [("a", "b"), ("c", "d"), ("e",)]


def test_an_outage_is_told_to_all_who_were_read_together(crowd_of):
    """Nobody is left waiting, and lanes are free again."""

    def fail(tenants: tuple[str, ...]) -> Mapping[str, object]:
        raise StoreUnavailable("down")

    crowd = crowd_of(fail)
    waiting = [crowd.join(tenant) for tenant in "abc"]
    crowd.let_one_go()
    for future in waiting:
        with pytest.raises(StoreUnavailable, match="down"):
            future.result(30)
    crowd.end()
    assert crowd.turns._lanes == {}


def test_a_damaged_document_harms_nobody_else(crowd_of):
    """Only who asked for it is told."""

    def read(tenants: tuple[str, ...]) -> Mapping[str, object]:
        if "damaged" in tenants:
            raise StoreDamaged("no JSON")
        return documents(tenants)

    crowd = crowd_of(read)
    waiting = {tenant: crowd.join(tenant) for tenant in ("a", "b", "damaged", "c", "d")}
    crowd.let_one_go()
    with pytest.raises(ValueError, match="no JSON"):
        waiting.pop("damaged").result(30)
    for tenant, future in waiting.items():
        assert future.result(30)[tenant] == f"document of {tenant}"


def test_who_is_interrupted_while_reading_for_others_harms_nobody_else(crowd_of):
    """They ask again."""
    interrupted: list[tuple[str, ...]] = []

    def read(tenants: tuple[str, ...]) -> Mapping[str, object]:
        if not interrupted:
            interrupted.append(tenants)
            raise KeyboardInterrupt
        return documents(tenants)

    crowd = crowd_of(read)
    waiting = {tenant: crowd.join(tenant) for tenant in "abcd"}
    crowd.let_one_go()
    with pytest.raises(KeyboardInterrupt):
        waiting.pop("a").result(30)
    assert interrupted == [("a", "b", "c", "d")]
    for tenant, future in waiting.items():
        assert future.result(30)[tenant] == f"document of {tenant}"


def test_nobody_waits_longer_than_told(crowd_of):
    """Who gives up leaves the queue, so that nothing is read for it any more."""
    crowd = crowd_of(documents, patience_seconds=0.001)
    with pytest.raises(StoreUnavailable, match=r"waited 0\.001 s for a turn"):
        crowd.join("a").result(30)
    assert crowd.queue == []
    crowd.end()
    assert crowd.statements == []
    assert crowd.turns.read(("b",), documents) == {"b": "document of b"}


class Interrupted(BaseException):
    """As KeyboardInterrupt, or what a worker raises where a task has taken too long."""


def waiting_as(monkeypatch, wait: Callable[[threading.Event], bool]) -> None:
    """Let whoever waits from now on do so as *wait* says."""

    class Called(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            return wait(self)

    monkeypatch.setattr(taking_turns, "threading", SimpleNamespace(Event=Called))


def test_a_turn_that_comes_in_the_last_moment_is_taken(crowd_of, monkeypatch):
    """Else the lane would be lost: it was handed over already."""
    crowd = crowd_of(documents)

    def wait(called: threading.Event) -> bool:
        crowd.let_one_go()
        assert threading.Event.wait(called, 30)
        return False

    waiting_as(monkeypatch, wait)
    assert crowd.turns.read(("a",), crowd._read) == {"a": "document of a"}
    crowd.end()
    assert (crowd.turns._lanes, crowd.turns._waiting) == ({}, [])


@pytest.mark.parametrize("is_late", [False, True])
def test_who_is_interrupted_while_waiting_takes_no_lane_along(crowd_of, monkeypatch, is_late):
    """Neither one that comes to it afterwards, nor one that it was handed just before."""
    crowd = crowd_of(documents)

    def wait(called: threading.Event) -> bool:
        if is_late:
            crowd.let_one_go()
            assert threading.Event.wait(called, 30)
        raise Interrupted

    waiting_as(monkeypatch, wait)
    with pytest.raises(Interrupted):
        crowd.turns.read(("a",), documents)
    crowd.end()
    assert crowd.statements == []
    assert (crowd.turns._lanes, crowd.turns._waiting) == ({}, [])


@pytest.mark.parametrize("step", ["_enter", "_await", "_lead"])
def test_who_is_interrupted_between_two_steps_takes_no_lane_along(crowd_of, monkeypatch, step):
    """A signal's handler runs between any two steps of the main thread, and may raise."""
    crowd = crowd_of(documents)
    does = getattr(TakingTurns, step)

    def interrupted(self: TakingTurns, *arguments: object) -> None:
        if step == "_await":
            crowd.let_one_go()
        does(self, *arguments)
        raise Interrupted

    with monkeypatch.context() as patched:
        if step == "_lead":
            waiting = crowd.join("b")
            patched.setattr(TakingTurns, step, interrupted)
            crowd.let_one_go()
            with pytest.raises(Interrupted):
                waiting.result(30)
        else:
            patched.setattr(TakingTurns, step, interrupted)
            with pytest.raises(Interrupted):
                crowd.turns.read(("a",), documents)
    crowd.end()
    assert (crowd.turns._lanes, crowd.turns._waiting) == ({}, [])


def test_who_is_interrupted_while_leaving_takes_no_lane_along(monkeypatch):
    """An interruption comes once."""
    turns, leaves, interruptions = TakingTurns(30.0), TakingTurns._leave, [Interrupted()]

    def interrupted(self: TakingTurns, me: object) -> None:
        if interruptions:
            raise interruptions.pop()
        leaves(self, me)

    monkeypatch.setattr(TakingTurns, "_leave", interrupted)
    with pytest.raises(Interrupted):
        turns.read(("a",), documents)
    assert turns._lanes == {}


def test_an_answer_counts_though_nobody_called(crowd_of, monkeypatch):
    """Who had read it was interrupted before."""
    crowd = crowd_of(documents)

    def wait(called: threading.Event) -> bool:
        (me,) = crowd.turns._waiting
        crowd.turns._waiting.clear()
        me.answer = documents(me.tenants)
        return False

    waiting_as(monkeypatch, wait)
    assert crowd.turns.read(("a",), documents) == {"a": "document of a"}


def test_who_is_being_read_for_waits_no_longer_either(crowd_of, monkeypatch):
    """Its leader may hang; the answer, when it comes, finds nobody."""
    crowd = crowd_of(documents, patience_seconds=0.0)

    def wait(called: threading.Event) -> bool:
        crowd.turns._waiting.clear()
        return False

    waiting_as(monkeypatch, wait)
    with pytest.raises(StoreUnavailable, match=r"waited 0 s for a turn"):
        crowd.turns.read(("a",), documents)


def test_a_crowd_gets_its_own_documents_by_few_statements_at_once():
    """Nobody gets another one's, and never are there more statements on their way than lanes."""
    lock, running, most = threading.Lock(), 0, 0

    def read(tenants: tuple[str, ...]) -> Mapping[str, object]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        found = documents(tenants)
        with lock:
            running -= 1
        return found

    turns = TakingTurns(30.0)

    def ask(thread: int) -> int:
        names = [f"{thread}-{number}" for number in range(200)]
        return sum(turns.read((name,), read)[name] == f"document of {name}" for name in names)

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(ask, range(16))) == [200] * 16
    assert most <= LANES
    assert turns._lanes == {}
    assert turns._waiting == []
