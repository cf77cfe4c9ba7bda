"""A real Redis that dies, stands still or is emptied in the middle, and what is heard through one that lives."""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

import pytest

from payaid_entitlements import DENY, Entitlements
from payaid_entitlements.cache.shared.channel import OLDEST
from payaid_entitlements.cli.opening import opened
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FaultyStore
from tests.entitlements.conftest import CATALOG


@pytest.fixture
def store():
    return FaultyStore(MemoryStore())


def eventually(is_so, seconds=5):
    ends = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < ends
        time.sleep(0.002)


def is_allowed(ent):
    return ent.check("acme", "crm.export").allowed


def test_a_change_is_heard_of_without_anybody_reading_the_log(store, redis_url):
    """Memory tells nobody of its changes; the shared Redis does."""
    with (
        Entitlements(store, shared=redis_url, catalog=CATALOG) as one,
        Entitlements(store, shared=redis_url) as other,
    ):
        admin = one.admin("test", because="a test")
        for to in (True, DENY) * 5:
            admin.override("acme", "crm.export", to)
            eventually(lambda to=to: is_allowed(other) is (to is True))
        eventually(lambda: other._setting.listener.status.connected)
        admin.kill("crm")
        eventually(lambda: not other.check("acme", "crm").allowed)
        assert other.counts.get(("channel.lost_messages",), 0) == 0


def test_the_end_of_the_log_is_read_through_the_wire_by_the_stamp(store, redis_url):
    with Entitlements(store, shared=redis_url, catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        sharing, near = ent._setting.sharing, ent._near
        channel, wire = ent._setting.listener._channel, ent._shared.client
        head = channel._head(wire)
        assert (head.position, head.age < 2) == (near.position, True)
        # What was heard of since the stamp was set is not cut off.
        near.reach(near.position + 5)
        assert channel._head(wire).position == near.position
        now = int(time.time() * 1000) + OLDEST + 1_000
        sharing._now = lambda: str(now)
        assert channel._head(wire) is None
        wire.call("DEL", sharing.places.stamp)
        assert channel._head(wire) is None


def test_a_redis_that_is_killed_is_an_inconvenience_and_is_used_again(store, redis_servers):
    server = redis_servers()
    with (
        Entitlements(store, shared=server.url, catalog=CATALOG) as one,
        Entitlements(store, shared=server.url) as other,
    ):
        one.admin("test", because="a test").subscribe("acme", "pro")
        for ent in (one, other):
            assert is_allowed(ent)
        server.kill()
        for number in range(20):
            began = time.perf_counter()
            assert not other.check(f"t{number}", "crm.export").allowed
            assert time.perf_counter() - began < 1
        assert other.counts["shared.unavailable",] >= 20
        one.admin("test", because="a test").override("acme", "crm.export", DENY)
        assert not is_allowed(one)
        eventually(lambda: not is_allowed(other))
        server.start()
        used = other.counts.get(("shared.copy", "absent"), 0)
        numbers = iter(range(10_000))

        def uses_it():
            other.check(f"new{next(numbers)}", "crm")
            return other.counts.get(("shared.copy", "absent"), 0) > used

        eventually(uses_it)


def test_a_redis_that_stands_still_costs_one_wait(store, redis_servers):
    """Not one for each question."""
    server = redis_servers()
    with Entitlements(store, shared=server.url, catalog=CATALOG) as ent:
        ent.check("acme", "crm")
        server.pause()
        took = []
        for number in range(50):
            began = time.perf_counter()
            ent.check(f"t{number}", "crm")
            took.append(time.perf_counter() - began)
        server.resume()
        assert max(took) < 1
        assert sorted(took)[len(took) // 2] < 0.1


def test_a_redis_that_is_emptied_again_and_again_changes_no_answer(store, redis_url):
    with (
        Entitlements(store, shared=redis_url, catalog=CATALOG) as one,
        Entitlements(store, shared=redis_url) as other,
    ):
        admin = one.admin("test", because="a test")
        for number, to in enumerate((True, DENY) * 10):
            change = admin.override("acme", "crm.export", to)
            one._shared.client.call("FLUSHALL" if number % 2 else "SCRIPT", *(() if number % 2 else ("FLUSH",)))
            for ent in (one, other):
                assert ent.check("acme", "crm.export", after=change.revision).allowed is (to is True)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_shares_nothing_of_its_parent_but_the_redis(store, redis_url):
    """C-8: it connects by itself, and the parent goes on."""
    with Entitlements(store, shared=redis_url, catalog=CATALOG) as ent:
        ent.admin("test", because="a test").subscribe("acme", "pro")
        assert is_allowed(ent)
        for _ in range(3):
            pid = os.fork()
            if pid == 0:  # pragma: no cover # the child is another process
                try:
                    os._exit(0 if is_allowed(ent) and ent.counts.get(("shared.unavailable",), 0) == 0 else 1)
                finally:
                    os._exit(2)
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
            ent.check("somebody", "crm")
        assert ent.counts.get(("shared.unavailable",), 0) == 0


def test_nothing_connects_before_the_first_question(store):
    """Nor when it is closed again."""
    ent = Entitlements(store, shared="redis://127.0.0.1:1", catalog=CATALOG)
    assert ent._shared.client._made is None
    ent.close()
    ent.close()


def test_the_permissions_that_the_guide_names_are_enough(store, redis_url):
    """In docs/how-to/share-a-cache.md; nothing is refused, and changes are heard of."""
    import redis

    page = (Path(__file__).parents[3] / "docs" / "how-to" / "share-a-cache.md").read_text(encoding="utf-8")
    allowed = re.search(r"it needs `([^`]+)`", page).group(1).split()
    with redis.Redis.from_url(redis_url) as server:
        server.execute_command("ACL", "SETUSER", "app", "on", ">secret", "~{payaid:*", "&{payaid:*", *allowed)
        server.execute_command("ACL", "LOG", "RESET")
        url = redis_url.replace("redis://", "redis://app:secret@")
        try:
            with (
                Entitlements(store, shared=url, catalog=CATALOG) as one,
                Entitlements(store, shared=url) as other,
            ):
                for ent in (one, other):
                    ent.check("acme", "crm.export")
                eventually(lambda: other._setting.listener.status.connected)
                one.admin("test", because="a test").subscribe("acme", "pro")
                one.admin("test", because="a test").kill("crm.import")
                eventually(lambda: is_allowed(other))
                assert other.tenant("acme", fresh=True).check("crm.export").allowed
                for ent in (one, other):
                    assert ent.counts.get(("shared.unavailable",), 0) == 0
                assert other.counts.get(("channel.disconnected",), 0) == 0
            refused = {entry["object"] for entry in server.acl_log()}
            assert refused <= {"client|setinfo", "client|maint_notifications", "client|setname"}
        finally:
            server.execute_command("ACL", "DELUSER", "app")


def test_what_an_operator_changes_at_a_terminal_is_announced(tmp_path, redis_url, monkeypatch):
    """With PAYAID_SHARED where it runs; else the change log tells."""
    import redis

    url = f"sqlite:///{tmp_path}/app.db"
    with (
        redis.Redis.from_url(redis_url) as server,
        Entitlements.open(url, shared=redis_url, catalog=CATALOG) as ent,
    ):
        assert not is_allowed(ent)
        subscriber = server.pubsub()
        subscriber.subscribe(ent._setting.sharing.places.channel)
        subscriber.get_message(timeout=1)
        monkeypatch.setenv("PAYAID_SHARED", redis_url)
        with opened(url) as operator:
            operator.ent.admin("cli:ann", because="she asked").override("acme", "crm.export", True)
        assert b'"acme"' in subscriber.get_message(timeout=1)["data"]
        eventually(lambda: is_allowed(ent))
        subscriber.close()
