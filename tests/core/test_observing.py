"""Counting and warning once, in bounded memory."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading

import pytest
import structlog
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


def test_a_warning_is_said_once(caplog):
    """Another one with other fields is another one."""
    tally = Tally()
    for _ in range(3):
        tally.once("catalog.unknown_feature", feature="crm.exprot")
    tally.once("catalog.unknown_feature", feature="crm.other")
    assert caplog.text.count("crm.exprot") == 1
    assert caplog.text.count("crm.other") == 1


def test_names_that_callers_make_up_do_not_fill_the_memory(monkeypatch, caplog):
    """Keys come from outside, and there is no end of wrong ones."""
    monkeypatch.setattr(observing, "MOST_NAMES", 2)
    tally = Tally()
    for number in range(5):
        tally.count("decision", str(number))
        tally.once("unknown", key=number)
    tally.count("decision", "0")
    assert tally.counts() == {("decision", "0"): 2, ("decision", "1"): 1, ("decision", "(others)"): 3}
    assert caplog.text.count("unknown") == 2


def test_what_is_said_goes_where_the_host_logs_by_now():
    """The host may set up its logging after it has imported us."""
    with capture_logs() as said:
        observing.log.warning("store.unavailable", tenant="acme")
        observing.log.info("routes.audited", guarded=3)
    assert said == [
        {"event": "store.unavailable", "tenant": "acme", "log_level": "warning"},
        {"event": "routes.audited", "guarded": 3, "log_level": "info"},
    ]


def test_where_the_host_has_no_structlog_it_goes_to_logging(caplog):
    """One line, and the fields apart for whoever writes JSON; a field may be called as one of a record is."""
    structlog.reset_defaults()
    with caplog.at_level(logging.INFO, logger="payaid_entitlements"):
        observing.log.warning("module.left_alone", module="crm", name="x")
        observing.log.info("routes.audited", guarded=3)
        observing.log.error("module.failed", error=ValueError("no"), module="crm")
    first, second, third = caplog.records
    assert (first.name, first.levelname, first.getMessage()) == (
        "payaid_entitlements",
        "WARNING",
        "module.left_alone module='crm' name='x'",
    )
    assert first.payaid == {"event": "module.left_alone", "module": "crm", "name": "x"}
    assert second.levelname == "INFO"
    assert third.exc_info[1].args == ("no",)


def test_what_nobody_listens_to_is_not_written(caplog, monkeypatch):
    """The host's levels hold. Nor is it masked, which takes longer than most of what it is about."""
    monkeypatch.setattr(observing, "without_secrets", lambda fields: pytest.fail("it is masked"))
    structlog.reset_defaults()
    with caplog.at_level(logging.ERROR, logger="payaid_entitlements"):
        observing.log.warning("store.unavailable")
    assert caplog.records == []


def test_an_error_is_handed_on_with_its_traceback():
    """To structlog as it takes one."""
    error = ValueError("no")
    with capture_logs() as said:
        observing.log.error("module.failed", error=error, module="crm")
    assert said == [{"event": "module.failed", "module": "crm", "exc_info": error, "log_level": "error"}]


def test_a_secret_in_what_we_say_is_masked_in_both(caplog):
    """Whatever the host has configured."""
    with capture_logs() as said:
        observing.log.warning("store.unavailable", store_error=ConnectionError("redis://:pw@cache"))
    assert said[0]["store_error"] == "redis://***@cache"
    structlog.reset_defaults()
    observing.log.warning("store.unavailable", store_error=ConnectionError("redis://:pw@cache"))
    assert "redis://***@cache" in caplog.text
    assert ":pw" not in caplog.text


def test_importing_us_does_not_import_what_only_logs():
    """structlog takes longer to import than most of ours; who says nothing does not wait for it."""
    program = "import sys, payaid_entitlements; sys.exit('structlog' in sys.modules or 'pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
