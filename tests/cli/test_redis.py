"""The command line beside a Redis: the same commands, another URL."""

from __future__ import annotations

import pytest

from tests.cli.conftest import Terminal

PATIENT = "?socket_timeout=20&socket_connect_timeout=20"


@pytest.fixture
def beside(empty: Terminal):
    """A function that seats the terminal beside a server on which the example is sold."""

    def beside(url: str) -> Terminal:
        empty.url = url + PATIENT
        assert empty.run("seed", "--because", "a test", "--yes").code == 0
        return empty

    return beside


def test_doctor_says_what_a_server_cannot_promise(beside, redis_servers) -> None:
    server = redis_servers()
    terminal = beside(server.url)
    output = terminal.run("doctor", "--json")
    durable = [each for each in output.data["findings"] if each["check"] == "durable"]
    assert (output.code, output.data["ok"]) == (1, False)
    assert [(each["state"], each["way_out"]) for each in durable] == [("fail", "set appendonly yes")]
    assert "appendonly is no" in durable[0]["found"]
    assert "what was acknowledged survives a restart" in durable[0]["found"]
    with server.client() as client:
        client.config_set("appendonly", "yes")
    output = terminal.run("doctor", "--json")
    durable = [each for each in output.data["findings"] if each["check"] == "durable"]
    assert (output.code, [each["state"] for each in durable]) == (0, ["warn"])
    assert "appendfsync is everysec" in durable[0]["found"]
    with server.client() as client:
        client.config_set("appendfsync", "always")
    durable = [each for each in terminal.run("doctor", "--json").data["findings"] if each["check"] == "durable"]
    assert [(each["state"], each["found"]) for each in durable] == [("ok", "what is written stays")]


def test_doctor_says_what_a_ledger_elsewhere_cannot_promise(terminal: Terminal, redis_url) -> None:
    """The store is a file and keeps all; what is counted is lost with a server that writes nothing down."""
    terminal.environment["PAYAID_LEDGER"] = redis_url + PATIENT
    output = terminal.run("doctor", "--json")
    states = {each["check"]: (each["state"], each["way_out"]) for each in output.data["findings"]}
    assert (output.code, states["durable"], states["usage"]) == (1, ("ok", ""), ("fail", "set appendonly yes"))


def test_a_start_warns_once_of_what_a_server_cannot_promise(beside, redis_url, capsys) -> None:
    from structlog.testing import capture_logs

    from payaid_entitlements import Entitlements

    terminal = beside(redis_url)
    with capture_logs() as logs, Entitlements.open(terminal.url) as ent:
        for tenant in ("kaveri", "nobody"):
            ent.check(tenant, "crm")
    (said,) = [line for line in logs if line["event"] == "store.concern"]
    assert said["way_out"] == "set appendonly yes"
    assert said["log_level"] == "warning"


def test_there_is_nothing_to_migrate(beside, redis_cluster_url) -> None:
    terminal = beside(redis_cluster_url)
    assert terminal.run("tenant", "list", "--json").data
    output = terminal.run("db", "check")
    assert (output.code, output.err) == (0, "")
    assert output.out.endswith("has no tables: there is nothing to migrate")
