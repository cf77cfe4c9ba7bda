"""The write door by hand: the branches that only a race reaches, one by one."""

from __future__ import annotations

import re

import pytest

from payaid_entitlements.errors import ChangeConflict, OperationConflict
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.ports import Applied
from payaid_entitlements.stores.sql.applying import Answer, applying
from payaid_entitlements.stores.sql.statements import Statements
from payaid_entitlements.testing.contracts.writes import catalog_write, controls_write, tenant_write

NOTHING = Answer((), 0)
DONE = Answer((), 1)


def _flow(write, *, operation="op-1", expect=0):
    statements = Statements("payaid_", "postgresql")
    return applying(statements, write, expect=expect, actor="asha", because=None, operation=operation, as_of=None)


def _end(flow, answer):
    with pytest.raises(StopIteration) as done:
        flow.send(answer)
    return done.value.value


def test_who_loses_to_the_same_act_gets_its_outcome():
    write = tenant_write("acme")
    flow = _flow(write)
    next(flow)
    flow.send(NOTHING)  # the operation is not known yet
    flow.send(NOTHING)  # and the row is another's by now
    assert _end(flow, Answer([("first", 1, 7, digest(write))], 1)) == Applied("first", False, 1, 7)


def test_who_loses_to_another_act_of_the_same_operation_is_told_so():
    flow = _flow(tenant_write("acme"))
    next(flow)
    flow.send(NOTHING)
    flow.send(NOTHING)
    with pytest.raises(OperationConflict):
        flow.send(Answer([("first", 1, 7, "another")], 1))


def test_who_loses_to_another_is_told_who_was_faster():
    flow = _flow(tenant_write("acme"), operation=None)
    assert "payaid_tenants" in str(next(flow))
    assert "revision" in str(flow.send(NOTHING))
    flow.send(Answer([(4,)], 1))
    with pytest.raises(ChangeConflict, match="subscribe by vikram, cancel by mina") as caught:
        flow.send(Answer([("subscribe", "vikram"), ("cancel", "mina")], 2))
    assert (caught.value.expected, caught.value.found) == (0, 4)


@pytest.mark.parametrize("write", [catalog_write(), controls_write()], ids=["catalog", "controls"])
def test_catalog_and_controls_look_again_once_they_hold_the_sequencer(write):
    flow = _flow(write)
    next(flow)
    flow.send(NOTHING)
    assert "payaid_sequencer" in str(flow.send(DONE))
    flow.send(Answer([(9,)], 1))
    with pytest.raises(OperationConflict):
        flow.send(Answer([("first", 1, 8, "another")], 1))


@pytest.mark.parametrize(
    ("dialect", "expected"),
    [
        ("postgresql", ["changes", "tenants", "sequencer", "changes", "outbox"]),
        ("sqlite", ["changes", "tenants", "tenant_modules", "tenant_modules", "sequencer", "changes", "outbox"]),
        (
            "mysql",
            ["changes", "tenants", "tenant_modules", "tenant_modules", "sequencer", "the session", "changes", "outbox"],
        ),
    ],
)
def test_a_tenants_write_takes_the_sequencer_as_its_last_lock(dialect, expected):
    sent = []
    statements = Statements("payaid_", dialect)
    flow = applying(
        statements,
        tenant_write("acme", modules=["crm"]),
        expect=1,
        actor="asha",
        because=None,
        operation="op-1",
        as_of=None,
    )
    statement = next(flow)
    between = [DONE] * (len(expected) - 5)
    answers = iter([NOTHING, DONE, *between, Answer([(9,)], 1), DONE, DONE])
    with pytest.raises(StopIteration) as done:
        while True:
            sent.append(next(iter(re.findall(r"payaid_(\w+)", str(statement))), "the session"))
            statement = flow.send(next(answers))
    assert [name.partition(".")[0] for name in sent] == expected
    assert done.value.value.position == 9
