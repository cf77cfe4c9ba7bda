"""Counting and warning once, in bounded memory."""

from __future__ import annotations

import os
import subprocess
import sys
import threading

import pytest
from structlog.testing import capture_logs

from payaid_entitlements.core import observing
from payaid_entitlements.core.observing import Tally


def test_counts_are_exact_under_threads():
    """Every occurrence is counted, whoever counts it."""
    tally = Tally()
    threads = [threading.Thread(target=lambda: [tally.count("a", "b") for _ in range(2000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert tally.counts() == {("a", "b"): 8000}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")
def test_a_forked_child_waits_for_no_thread_of_its_parent():
    """Another thread was counting while the process forked; that thread does not exist in the child."""
    tally = Tally()
    with tally._lock:
        pid = os.fork()
        if pid == 0:  # pragma: no cover # the child is another process
            os._exit(0 if tally._lock.acquire(timeout=1) else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_a_warning_is_said_once(capsys):
    """Another one with other fields is another one."""
    tally = Tally()
    for _ in range(3):
        tally.once("catalog.unknown_feature", feature="crm.exprot")
    tally.once("catalog.unknown_feature", feature="crm.other")
    out = capsys.readouterr().out
    assert out.count("crm.exprot") == 1
    assert out.count("crm.other") == 1


def test_names_that_callers_make_up_do_not_fill_the_memory(monkeypatch, capsys):
    """Keys come from outside, and there is no end of wrong ones."""
    monkeypatch.setattr(observing, "MOST_NAMES", 2)
    tally = Tally()
    for number in range(5):
        tally.count("decision", str(number))
        tally.once("unknown", key=number)
    tally.count("decision", "0")
    assert tally.counts() == {("decision", "0"): 2, ("decision", "1"): 1, ("decision", "(others)"): 3}
    assert capsys.readouterr().out.count("unknown") == 2


def test_what_is_said_goes_where_the_host_logs_by_now():
    """The host may set up its logging after it has imported us."""
    with capture_logs() as said:
        observing.log.warning("store.unavailable", tenant="acme")
        observing.log.info("routes.audited", guarded=3)
    assert said == [
        {"event": "store.unavailable", "tenant": "acme", "log_level": "warning"},
        {"event": "routes.audited", "guarded": 3, "log_level": "info"},
    ]


def test_importing_us_does_not_import_what_only_logs():
    """structlog takes longer to import than most of ours; who says nothing does not wait for it."""
    program = "import sys, payaid_entitlements; sys.exit('structlog' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
