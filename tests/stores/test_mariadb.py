"""What is MariaDB's own: how a session begins, what hanging and dying servers cost, and who of many is let go first."""

from __future__ import annotations

from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from time import monotonic

import pytest
from sqlalchemy import create_engine, event, text
from sqlalchemy.exc import DBAPIError, PendingRollbackError
from sqlalchemy.ext.asyncio import create_async_engine

from payaid_entitlements.errors import ChangeConflict, OperationConflict, OutcomeUnknown, StoreUnavailable
from payaid_entitlements.stores.sql import SQLStore, mysql
from payaid_entitlements.stores.sql.failures import is_lost_race
from payaid_entitlements.testing.contracts.writes import everything, same_again, tenant_write, whole_log
from tests.stores.conftest import driven


def _put(store, tenant="acme", tx=None, **named):
    return store.apply(tenant_write(tenant), expect=0, actor="asha", because=None, tx=tx, **named)


def _scalar(opened, statement):
    async def ask():
        async with opened.own._reading.connect() as connection:
            return (await connection.exec_driver_sql(statement)).scalar_one()

    if opened.run is not None:
        return opened.run(ask())
    with opened.own._reading.connect() as connection:
        return connection.exec_driver_sql(statement).scalar_one()


# -- sessions ---------------------------------------------------------------------------------------------------------


def test_a_session_has_limits_and_is_strict(open_sql, made_url):
    opened = open_sql(made_url)
    said = {
        name: str(_scalar(opened, f"SELECT @@SESSION.{name}"))
        for name in ("max_statement_time", "innodb_lock_wait_timeout", "idle_transaction_timeout", "wait_timeout")
    }
    assert said == {
        "max_statement_time": "2.0",
        "innodb_lock_wait_timeout": "2",
        "idle_transaction_timeout": "60",
        "wait_timeout": "1200",
    }
    assert _scalar(opened, "SELECT @@SESSION.character_set_client") == "utf8mb4"
    assert "STRICT_ALL_TABLES" in _scalar(opened, "SELECT @@SESSION.sql_mode")


def test_what_the_url_says_wins(open_sql, made_url):
    opened = open_sql(f"{made_url}?init_command=SET%20max_statement_time%3D0.5&connect_timeout=7&read_timeout=9")
    assert str(_scalar(opened, "SELECT @@SESSION.max_statement_time")) == "0.5"
    options = opened.engine.dialect.create_connect_args(opened.engine.url)[1]
    assert {"connect_timeout", "read_timeout"} <= options.keys()


def test_connections_are_renewed_before_the_server_ends_them(open_sql, made_url):
    assert open_sql(made_url).engine.pool._recycle < mysql.IDLE


@pytest.mark.parametrize("whose", ["ours", "the host's"])
def test_a_read_is_one_statement_and_nothing_else(made_url, mariadb_of_the_session, engine_on, whose):
    store = SQLStore(made_url) if whose == "ours" else SQLStore(engine_on(made_url))
    _put(store)
    store.read(["acme"])
    sent = mariadb_of_the_session

    def questions():
        return int(sent.run("SHOW GLOBAL STATUS LIKE 'Questions'")[0][1])

    alone = questions()
    between = questions() - alone
    before = questions()
    for _ in range(10):
        store.read(["acme"])
    asked = questions() - before - between
    # A transaction of the host's engine is ended by a statement more.
    assert asked == (10 if whose == "ours" else 20)
    store.close()


def test_no_certificates_are_read_to_verify_none(made_url):
    context = mysql._Connection._create_ssl_ctx(object.__new__(mysql._Connection), {})
    assert (context.check_hostname, context.verify_mode) == (False, 0)
    assert context.cert_store_stats()["x509_ca"] == 0


def test_who_asks_for_certificates_gets_them(tmp_path):
    """What is said of TLS in a URL is left to the driver."""
    connection = object.__new__(mysql._Connection)
    with pytest.raises(FileNotFoundError):
        connection._create_ssl_ctx({"ca": str(tmp_path / "ca.pem")})


# -- servers that hang and die ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", ["read", "apply"])
def test_a_server_that_has_stopped_costs_a_caller_a_bounded_time(open_sql, mariadb_of_the_session, made_url, call):
    opened = open_sql(f"{made_url}?read_timeout=1&connect_timeout=1")
    opened.store.read(["acme"])
    mariadb_of_the_session.pause()
    try:
        begun = monotonic()
        with pytest.raises(StoreUnavailable) as caught:
            opened.store.read(["acme"]) if call == "read" else _put(opened.store)
        assert not isinstance(caught.value, OutcomeUnknown)
        assert monotonic() - begun < 4
    finally:
        mariadb_of_the_session.resume()
    assert _put(opened.store).applied
    assert list(opened.store.read(["acme"])) == ["acme"]


def test_a_connection_that_the_server_ended_costs_no_read_and_one_change(open_sql, mariadb_of_the_session, made_url):
    """A read is sent once more. A change is not, although nothing was done yet."""
    opened = open_sql(made_url)
    for _ in range(2):
        assert opened.store.read(["acme"]) == {}
        mariadb_of_the_session.end_sessions()
    with pytest.raises(StoreUnavailable) as caught:
        _put(opened.store)
    assert not isinstance(caught.value, OutcomeUnknown)
    assert _put(opened.store).applied


def test_a_server_that_ends_the_session_at_the_commit_leaves_the_outcome_unknown(
    open_sql, mariadb_of_the_session, made_url
):
    opened = open_sql(made_url)

    def end(connection):
        mariadb_of_the_session.end_sessions()

    event.listen(opened.engine, "commit", end)
    with pytest.raises(OutcomeUnknown) as caught:
        _put(opened.store, operation="call-1")
    assert caught.value.operation == "call-1"
    event.remove(opened.engine, "commit", end)
    assert _put(opened.store, operation="call-1").applied


# -- who goes first ---------------------------------------------------------------------------------------------------


def _crosswise(one, other, act_of_one, act_of_other):
    """Two transactions that wait for each other: what the loser raised, and what the winner returned."""
    with ThreadPoolExecutor(2) as pool:
        acts = {pool.submit(act_of_one): one, pool.submit(act_of_other): other}
        (failed,) = wait(acts, timeout=20, return_when=FIRST_COMPLETED).done
        loser = acts.pop(failed)
        loser.rollback()
        ((succeeded, winner),) = acts.items()
        outcome = succeeded.result(20)
        winner.get_transaction().commit()
    return failed.exception(), outcome


def test_of_two_hosts_who_change_two_tenants_crosswise_one_is_told_and_loses_all_of_its_transaction(
    engine_on, made_url
):
    engine, store = engine_on(made_url), SQLStore(made_url)
    for name in ("acme", "beta"):
        _put(store, name)
    known = store.read(["acme", "beta"])
    with engine.begin() as connection:
        connection.execute(text("CREATE TABLE host (id INTEGER)"))

    def change(tx, name):
        return store.apply(tenant_write(name, known[name]), expect=1, actor="asha", because=None, tx=tx)

    one, other = engine.connect(), engine.connect()
    for connection, number, name in ((one, 1, "acme"), (other, 2, "beta")):
        connection.execute(text(f"INSERT INTO host VALUES ({number})"))
        # As a host does who locks what it is about to change.
        connection.execute(text(f"SELECT tenant FROM payaid_tenants WHERE tenant = '{name}' FOR UPDATE"))
    error, outcome = _crosswise(one, other, lambda: change(one, "beta"), lambda: change(other, "acme"))
    assert isinstance(error, ChangeConflict)
    assert "Deadlock found" in str(error)
    assert "in a new transaction" in str(error)
    assert outcome.applied
    for connection in (one, other):
        connection.close()
    with engine.connect() as connection:
        assert connection.execute(text("SELECT count(*) FROM host")).scalar_one() == 1
    assert [entry.position for entry in whole_log(store)] == [1, 2, 3]
    store.close()


@pytest.mark.parametrize("colour", ["sync", "async"], indirect=True)
def test_a_host_whose_transaction_the_server_ended_cannot_go_on_as_if_nothing_happened(open_sql, made_url, colour):
    """The server has taken back also what the host wrote before; a commit of the rest would be half of its work."""
    opened = open_sql(made_url)
    url = driven(made_url, is_async=colour == "async")

    def fail_with_a_deadlock(connection, cursor, statement, *rest):
        if "UPDATE payaid_sequencer" in statement:
            # What InnoDB does to the transaction that it chooses.
            connection.connection.rollback()
            raise opened.engine.dialect.loaded_dbapi.OperationalError(1213, "Deadlock found when trying to get lock")

    def plain():
        engine = create_engine(url)
        event.listen(engine, "before_cursor_execute", fail_with_a_deadlock)
        with engine.connect() as connection:
            connection.execute(text("SELECT 1"))
            with pytest.raises(ChangeConflict):
                _put(opened.own, tx=connection)
            with pytest.raises(PendingRollbackError):
                connection.execute(text("SELECT 1"))
            connection.rollback()
            assert connection.execute(text("SELECT 1")).scalar_one() == 1
        engine.dispose()

    async def awaited():
        engine = create_async_engine(url)
        event.listen(engine.sync_engine, "before_cursor_execute", fail_with_a_deadlock)
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))
            with pytest.raises(ChangeConflict):
                await _put(opened.own, tx=connection)
            with pytest.raises(PendingRollbackError):
                await connection.execute(text("SELECT 1"))
            await connection.rollback()
            assert (await connection.execute(text("SELECT 1"))).scalar_one() == 1
        await engine.dispose()

    plain() if opened.run is None else opened.run(awaited())
    assert everything(opened.store)[0] == []


def test_a_host_that_sees_the_past_is_told_of_the_race_and_by_whom(engine_on, made_url):
    """MySQL's default, REPEATABLE READ: the transaction goes on to see what was there when it began."""
    engine, store = engine_on(made_url), SQLStore(made_url)
    _put(store)
    first = store.read(["acme"])["acme"]
    with engine.connect() as tx, tx.begin() as begun:
        assert store.read(["acme"], tx=tx)["acme"].revision == 1
        store.apply(tenant_write("acme", first), expect=1, actor="mina", because=None, operation="call-2")
        assert store.read(["acme"], tx=tx)["acme"].revision == 1
        with pytest.raises(ChangeConflict, match=r"is at revision 2.*subscribe by mina") as caught:
            store.apply(tenant_write("acme", first), expect=1, actor="asha", because=None, tx=tx)
        assert (caught.value.expected, caught.value.found) == (1, 2)
        begun.rollback()
    store.close()


def test_a_host_that_sees_the_past_still_knows_an_operation_that_was_done_meanwhile(engine_on, made_url):
    engine, store = engine_on(made_url), SQLStore(made_url)
    write = tenant_write("acme")
    with engine.connect() as tx, tx.begin() as begun:
        assert store.read(["acme"], tx=tx) == {}
        done = _put_write(store, write, None)
        again = _put_write(store, same_again(write), tx)
        assert (again.id, again.applied, again.position) == (done.id, False, done.position)
        with pytest.raises(OperationConflict):
            store.apply(
                tenant_write("acme", verb="cancel"), expect=0, actor="a", because=None, operation="call-1", tx=tx
            )
        begun.rollback()
    store.close()


def _put_write(store, write, tx):
    return store.apply(write, expect=0, actor="asha", because=None, operation="call-1", tx=tx)


def test_a_row_that_changed_under_a_snapshot_is_a_lost_race(engine_on, made_url):
    """As MariaDB says it by default from 11.6 on."""
    engine, store = engine_on(made_url), SQLStore(made_url)
    _put(store)
    known = store.read(["acme"])["acme"]
    event.listen(engine, "connect", lambda connection, record: connection.query("SET innodb_snapshot_isolation = ON"))
    with engine.connect() as tx, tx.begin() as begun:
        assert store.read(["acme"], tx=tx)["acme"].revision == 1
        store.apply(tenant_write("acme", known), expect=1, actor="mina", because=None)
        with pytest.raises(ChangeConflict, match="Record has changed since last read"):
            store.apply(tenant_write("acme", known), expect=1, actor="asha", because=None, tx=tx)
        begun.rollback()
    store.close()


@pytest.mark.parametrize(
    ("cause", "is_lost"),
    [
        (Exception(1213, "Deadlock found"), True),
        (Exception(1205, "Lock wait timeout exceeded"), False),
        (Exception("no number"), False),
        (Exception(), False),
    ],
)
def test_only_a_race_is_a_race(cause, is_lost):
    assert is_lost_race(DBAPIError("UPDATE", {}, cause)) is is_lost


def test_a_race_that_is_lost_at_the_commit_is_a_conflict(open_sql, made_url):
    """As a cluster of several writing servers says it; nothing is unknown then."""
    opened = open_sql(made_url)
    dialect = opened.engine.dialect

    def lose(connection):
        raise dialect.loaded_dbapi.OperationalError(1213, "Deadlock found when trying to get lock")

    commit, dialect.do_commit = dialect.do_commit, lose
    try:
        with pytest.raises(ChangeConflict) as caught:
            _put(opened.store)
    finally:
        dialect.do_commit = commit
    assert (caught.value.expected, caught.value.found) == (0, 0)
    # Its connection is nobody's: what it had locked is free.
    assert _put(opened.store).applied


def test_a_connection_that_is_gone_is_not_asked_to_roll_back(made_url):
    store = SQLStore(made_url)
    with store._writing.connect() as connection:
        transaction = connection.begin()
        connection.invalidate()
        transaction.rollback()
    assert _put(store).applied
    store.close()
