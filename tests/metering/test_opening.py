"""Where usage is counted: beside the facts, or in a place of its own; and what is said where nothing can be."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError, StoreUnavailable
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.ports import LOST_WITH_THE_PROCESS, Concern
from payaid_entitlements.testing import FaultyStore
from tests.metering.conftest import CATALOG


class Facts:
    """A store without a ledger, as those of others may be."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        if name == "ledger":
            raise AttributeError(name)
        return getattr(self._inner, name)


def done(ent, verb, *args, **named):
    """What either colour says."""
    answer = getattr(ent, verb)(*args, **named)
    if not inspect.isawaitable(answer):
        return answer

    async def awaited():
        return await answer

    return asyncio.run(awaited())


COLOURS = pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements], ids=["sync", "async"])


def facts(kind):
    return Facts(MemoryStore() if kind is Entitlements else AsyncMemoryStore())


@COLOURS
def test_without_a_ledger_all_but_counting_works(kind):
    """And counting says what is missing."""
    ent = kind(facts(kind), catalog=CATALOG)
    assert done(ent, "check", "acme", "crm.imports").allowed
    with pytest.raises(ConfigurationError, match="ledger="):
        done(ent, "consume", "acme", "crm.imports", operation="one")
    said = done(ent, "health")
    assert (said.ok, said.ledger, said.ledger_answers) == (True, None, None)
    admin = ent.admin("asha", because="a test")
    done(admin, "subscribe", "acme", "pro")
    assert done(admin, "forget", "acme").applied
    done(ent, "close" if kind is Entitlements else "aclose")


@COLOURS
def test_a_ledger_may_be_somewhere_else(kind, tmp_path, monkeypatch):
    """Named by a URL, by the environment, or handed in; closed with the client."""
    monkeypatch.chdir(tmp_path)
    ent = kind.open("memory://", ledger="sqlite:///usage.db", catalog=CATALOG)
    assert done(ent, "consume", "acme", "crm.imports", 3, operation="one").used == 3
    assert "usage.db" in done(ent, "health").ledger
    done(ent, "close" if kind is Entitlements else "aclose")
    monkeypatch.setenv("PAYAID_LEDGER", "sqlite:///usage.db")
    ent = kind.open("memory://", catalog=CATALOG)
    assert done(ent, "consume", "acme", "crm.imports", 3, operation="one").replayed
    assert done(ent, "health").store == "memory"
    done(ent, "close" if kind is Entitlements else "aclose")
    store = MemoryStore() if kind is Entitlements else AsyncMemoryStore()
    ent = kind(facts(kind), ledger=store.ledger, catalog=CATALOG)
    assert done(ent, "consume", "acme", "crm.imports", 3, operation="one").used == 3
    assert ent._besides is None
    done(ent, "close" if kind is Entitlements else "aclose")


@COLOURS
def test_what_is_no_place_for_a_ledger_is_refused(kind, monkeypatch):
    """When it is opened, not when the first unit is counted."""
    with pytest.raises(ConfigurationError):
        kind.open("memory://", ledger="nowhere://", catalog=CATALOG)
    name = "open_store" if kind is Entitlements else "open_async_store"
    monkeypatch.setattr(f"payaid_entitlements.stores.opening.{name}", lambda place: facts(kind))
    with pytest.raises(ConfigurationError, match="no ledger in memory"):
        kind.open("memory://", ledger="memory://", catalog=CATALOG)


@COLOURS
def test_health_says_whether_the_ledger_answers(kind):
    """A process without it is ready: what needs no counting is answered. What is said of both is said once."""
    store = MemoryStore()
    ledger = FaultyStore(store.ledger if kind is Entitlements else AsyncMemoryStore(store).ledger)
    ent = kind(FaultyStore(store if kind is Entitlements else AsyncMemoryStore(store)), ledger=ledger, catalog=CATALOG)
    said = done(ent, "health")
    assert (said.ok, said.ledger, said.ledger_answers, len(said.concerns)) == (True, "memory", True, 1)
    ledger.faults.is_down = True
    said = done(ent, "health")
    assert (said.ok, said.ledger_answers) == (True, False)
    with pytest.raises(StoreUnavailable):
        done(ent, "consume", "acme", "crm.imports", operation="one")
    assert done(ent, "check", "acme", "crm.imports").allowed


class Lax:
    """A ledger with a concern of its own."""

    concerns = (LOST_WITH_THE_PROCESS, Concern("what was counted stays", "nothing is written to a disk", "buy one"))

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return getattr(self._inner, name)


class Heard:
    """An observer that keeps warnings."""

    def __init__(self):
        self.warned = []

    def count(self, name, *labels):
        pass

    def once(self, event, **fields):
        self.warned.append((event, fields["found"]))


@COLOURS
def test_what_breaks_a_promise_about_the_ledger_is_said_when_it_is_first_asked(kind):
    """Not that it is in memory: that was chosen."""
    store, heard = (MemoryStore() if kind is Entitlements else AsyncMemoryStore()), Heard()
    ent = kind(store, ledger=Lax(store.ledger), catalog=CATALOG, observer=heard)
    done(ent, "check", "acme", "crm.imports")
    assert heard.warned == []
    for number in range(2):
        done(ent, "consume", "acme", "crm.imports", operation=("one", number))
    assert heard.warned == [("store.concern", "nothing is written to a disk")]
