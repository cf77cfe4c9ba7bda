"""Processes that end, fork, or live in greenlets: whoever hears of changes never stands in the way."""

from __future__ import annotations

import os
import time

import pytest

from payaid_entitlements.cache.local import NEVER
from tests.channels.conftest import is_connected, listeners, prepared, run
from tests.waiting import LONGEST, until

OPENED = """
import os, sys, threading, time
from payaid_entitlements import Entitlements

def until(is_so):
    end = time.monotonic() + 30
    while not is_so():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)

def is_connected(ent):
    return ent._setting.listener.status.connected

def listeners():
    return [each for each in threading.enumerate() if each.name == "payaid-channel"]

ent = Entitlements.open(sys.argv[1])
assert ent.check("acme", "crm.export").allowed
"""

ENDS = {
    "at the end of the program": (0, ""),
    "while it connects": (0, "pass"),
    "sys.exit": (3, "sys.exit(3)"),
    "os._exit": (4, "os._exit(4)"),
    "an error that nobody catches": (1, "raise ValueError('on purpose')"),
    "kept by itself": (0, "ent.itself = ent; sys.modules['kept'] = ent"),
    "asked at the very end": (0, "import atexit; atexit.register(lambda: (ent.close(), ent.check('acme', 'crm')))"),
}


@pytest.mark.parametrize("how", ENDS)
def test_the_interpreter_ends(one_url, how):
    """However it ends, and whoever forgot to close: at once, and without a word."""
    code, last = ENDS[how]
    waits = "" if how == "while it connects" else "until(lambda: is_connected(ent))\n"
    began = time.monotonic()
    done = run(OPENED + waits + last, one_url)
    assert (done.returncode, done.stdout) == (code, "")
    assert ("on purpose" in done.stderr) if code == 1 else (done.stderr == "")
    assert time.monotonic() - began < LONGEST


def test_the_interpreter_ends_with_redis_too(redis_url):
    done = run(OPENED + "until(lambda: is_connected(ent))\n", prepared(redis_url))
    assert (done.returncode, done.stderr) == (0, "")


def test_the_interpreter_ends_while_the_server_hangs(redis_servers):
    """The thread waits for an answer that does not come; nobody waits for the thread."""
    server = redis_servers()
    pause = f"os.kill({server.running.pid}, 19)\ntime.sleep(1.2)\n"
    try:
        began = time.monotonic()
        done = run(OPENED + "until(lambda: is_connected(ent))\n" + pause, prepared(server.url))
        assert done.returncode == 0, done.stderr
        assert time.monotonic() - began < LONGEST
    finally:
        server.resume()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
@pytest.mark.parametrize("exits", ["os._exit", "at the end"])
def test_a_forked_child_hears_by_itself_and_leaves_its_parents_connection_alone(url, open_client, exits):
    """As with gunicorn --preload: the parent has asked before it forks."""
    ent, other = open_client(url), open_client(url)
    assert ent.check("acme", "crm.export").allowed
    until(lambda: is_connected(ent))
    reader, writer = os.pipe()
    # The parent's thread is in the middle of something.
    with ent._near.lock:
        pid = os.fork()
        if pid == 0:  # pragma: no cover # the child is another process
            code = 1
            try:
                assert listeners() == []
                assert not is_connected(ent)
                assert ent._near.lease == NEVER
                assert ent.check("acme", "crm.export").allowed
                until(lambda: is_connected(ent))
                assert len(listeners()) == 1
                os.write(writer, b"!")
                until(lambda: ent.peek("acme", "crm.export") is None)
                assert not ent.check("acme", "crm.export").allowed
                if exits == "at the end":
                    ent.close()
                    other.close()
                code = 0
            finally:
                os._exit(code)
    assert os.read(reader, 1) == b"!"
    other.admin("test", because="test").suspend("acme")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(reader)
    os.close(writer)

    until(lambda: ent.peek("acme", "crm.export") is None)
    assert not ent.check("acme", "crm.export").allowed
    other.admin("test", because="test").reinstate("acme")
    until(lambda: ent.peek("acme", "crm.export") is None)
    assert is_connected(ent)
    assert ent._setting.listener.status.reconnects == 0


FORKS = (
    OPENED
    + """
until(lambda: is_connected(ent))
children = []
for number in range(4):
    pid = os.fork()
    if pid == 0:
        assert listeners() == []
        if number % 2:
            assert ent.check("acme", "crm.export").allowed
            until(lambda: is_connected(ent))
        sys.exit(0)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0] * 4
time.sleep(1.5)
assert is_connected(ent)
assert ent._setting.listener.status.reconnects == 0
"""
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_children_that_end_as_programs_do_take_nothing_with_them(either_url):
    """Whatever the child collects and closes on its way out, the parent's connection is not it."""
    done = run(FORKS, either_url)
    assert (done.returncode, done.stderr) == (0, "")


GREENLETS = (
    """
import gevent.monkey
gevent.monkey.patch_all()
"""
    + OPENED
    + """
import gevent
other = Entitlements.open(sys.argv[1])
until(lambda: is_connected(ent))
# Patched: all threads of Python are greenlets of one thread of the system.
assert len(os.listdir("/proc/self/task")) == 1 or gevent.get_hub().threadpool.size > 0
ticks = []
def ticking():
    while True:
        ticks.append(time.monotonic())
        gevent.sleep(0.005)
ticker = gevent.spawn(ticking)
other.admin("test", because="test").suspend("acme")
until(lambda: ent.peek("acme", "crm.export") is None)
assert not ent.check("acme", "crm.export").allowed
gevent.sleep(1.5)
ticker.kill()
# The listener waits as a greenlet does: the others went on meanwhile.
pauses = [later - earlier for earlier, later in zip(ticks, ticks[1:])]
assert len(ticks) > 100, len(ticks)
assert max(pauses) < 1.0, max(pauses)
assert ent._near.lease > time.monotonic()
assert is_connected(ent) and ent._setting.listener.status.reconnects == 0
began = time.monotonic()
ent.close()
other.close()
assert time.monotonic() - began < 1.0
assert listeners() == []
"""
)


def test_it_is_a_greenlet_where_threads_are(either_url):
    """gevent's patches turn the thread and all its waiting into greenlets."""
    done = run(GREENLETS, either_url)
    assert (done.returncode, done.stderr) == (0, "")
