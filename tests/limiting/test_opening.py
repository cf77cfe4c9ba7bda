"""Where calls are counted: beside the facts, or in a place of its own."""

from __future__ import annotations

import asyncio
import inspect

import pytest

from payaid_entitlements import AsyncEntitlements, Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.memory import AsyncMemoryStore, MemoryStore
from payaid_entitlements.stores.memory_limiter import AsyncMemoryLimiter, MemoryLimiter
from tests.limiting.conftest import CATALOG

COLOURS = pytest.mark.parametrize("kind", [Entitlements, AsyncEntitlements], ids=["sync", "async"])


def done(ent, verb, *args, **named):
    """What either colour says."""
    answer = getattr(ent, verb)(*args, **named)
    if not inspect.isawaitable(answer):
        return answer

    async def awaited():
        return await answer

    return asyncio.run(awaited())


def end(ent):
    done(ent, "close" if isinstance(ent, Entitlements) else "aclose")


@COLOURS
def test_a_limiter_may_be_somewhere_else(kind, tmp_path, monkeypatch):
    """Named by a URL, by the environment, or handed in; closed with the client."""
    elsewhere = f"sqlite:///{tmp_path / 'calls.db'}"
    with Entitlements.open(elsewhere, catalog=CATALOG) as there:
        there._store.upgrade()
    ent = kind.open("memory://", limiter=elsewhere, catalog=CATALOG)
    assert done(ent, "rate_limit", "acme", "api", cost=2).remaining == 1
    assert "calls.db" in done(ent, "health").limiter
    end(ent)
    monkeypatch.setenv("PAYAID_LIMITER", elsewhere)
    ent = kind.open("memory://", catalog=CATALOG)
    assert not done(ent, "try_rate_limit", "acme", "api", cost=2).allowed
    end(ent)
    own = MemoryLimiter() if kind is Entitlements else AsyncMemoryLimiter()
    ent = kind(MemoryStore() if kind is Entitlements else AsyncMemoryStore(), limiter=own, catalog=CATALOG)
    assert done(ent, "rate_limit", "acme", "api", cost=2).remaining == 1
    assert (ent._limiting.limiter, ent._counting) == (own, None)
    end(ent)


@COLOURS
def test_what_is_no_place_for_a_limiter_is_refused(kind, monkeypatch):
    """When it is opened, not when the first call is counted."""
    with pytest.raises(ConfigurationError):
        kind.open("memory://", limiter="nowhere://", catalog=CATALOG)

    def bare(place):
        store = MemoryStore() if kind is Entitlements else AsyncMemoryStore()
        del store.limiter
        return store

    name = "open_store" if kind is Entitlements else "open_async_store"
    monkeypatch.setattr(f"payaid_entitlements.stores.opening.{name}", bare)
    with pytest.raises(ConfigurationError, match="no limiter in memory"):
        kind.open("memory://", limiter="memory://", catalog=CATALOG)


@COLOURS
def test_health_says_nothing_of_it_where_nothing_is_limited(kind):
    """Nor asks it: whoever limits no calls needs no limiter."""
    ent = kind.open("memory://", catalog=None)
    found = done(ent, "health")
    assert (found.limiter, found.limiter_answers) == (None, None)
    assert all("rate limit" not in each.promise for each in found.concerns)
    end(ent)
