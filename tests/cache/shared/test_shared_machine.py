"""
The conversation of `tests.entitlements.test_machine`, with a Redis that is shared: caching changes cost, never meaning.

A second client asks too, so that each leaves copies for the other. What Redis has is lost, spoiled and brought back.
"""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis.stateful import initialize, precondition, rule

from payaid_entitlements.errors import StoreUnavailable
from tests.entitlements.test_machine import FEATURES, TENANTS, Machine, running


class Gone:
    """The shared Redis, which can be away."""

    def __init__(self, shared):
        self.shared = shared
        self.client = shared.client
        self.is_gone = False

    def ask(self, step):
        if self.is_gone:
            raise StoreUnavailable("gone")
        return self.shared.ask(step)


class SharedMachine(Machine):
    """The same rules, and what can happen to a Redis."""

    url: str
    server: object

    @initialize()
    def begin(self):
        self.server.flushall()
        self.saved = {}
        super().begin()
        self.ent.close()
        self.ent = self.open(cache_size=2)
        self.peer = self.open()

    def open(self, **named):
        opened = self.stage.open(shared=self.url, **named)
        # Its thread would tell of changes when it likes; here each is found by reading.
        object.__setattr__(opened.inner._setting, "listener", None)
        opened.inner._driver.shared = Gone(opened.inner._shared)
        return opened

    @rule(tenant=TENANTS, feature=FEATURES)
    def ask_the_other(self, tenant, feature):
        self.peer.check(tenant, feature)

    @rule(gone=st.booleans())
    def lose_sight(self, gone):
        self.ent.inner._driver.shared.is_gone = gone

    @rule()
    def flush(self):
        self.server.flushall()

    @rule()
    def save(self):
        """As a snapshot that is loaded later, or a replica that lags behind."""
        self.saved = {key: self.server.get(key) for key in self.server.scan_iter()}

    @precondition(lambda self: self.saved)
    @rule(which=st.sampled_from([b"c", b"p", b""]))
    def bring_back(self, which):
        """All that was saved, or only copies, or only the stamp: as servers of a cluster that fail one by one."""
        for key, value in self.saved.items():
            if value is not None and key.endswith(which):
                self.server.set(key, value)

    @rule(spoil=st.sampled_from([b"", b"x", b"payaid1 a 1 1 1 1 3\nabc{}"]))
    def spoil(self, spoil):
        for key in list(self.server.scan_iter()):
            self.server.set(key, spoil)


class AsyncSharedMachine(SharedMachine):
    """The same, awaited."""

    colour = "async"


@pytest.fixture(autouse=True)
def _redis(redis_url):
    import redis

    SharedMachine.url = redis_url
    with redis.Redis.from_url(redis_url) as SharedMachine.server:
        yield


TestSharedMachine = running(SharedMachine, 15)
TestAsyncSharedMachine = running(AsyncSharedMachine, 10)
TestSharedMachineForLong = pytest.mark.soak(running(SharedMachine, 2000))
TestAsyncSharedMachineForLong = pytest.mark.soak(running(AsyncSharedMachine, 2000))
