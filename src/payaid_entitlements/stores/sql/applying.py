"""
The write door as a flow: which statements, in which order, and what their answers mean. Written once.

The flow yields a statement, is sent its rows and its row count, and returns the outcome; the stores
run it inside one transaction, theirs or the host's.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import Executable

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.errors import ChangeConflict
from payaid_entitlements.stores.digest import digest
from payaid_entitlements.stores.ports import Applied, Write
from payaid_entitlements.stores.sql.statements import AnyRow, Statements
from payaid_entitlements.stores.writing import change_conflict, operation_conflict, target


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement gave: its rows, and how many it changed."""

    rows: Sequence[AnyRow]
    count: int


class Result(Protocol):
    """The part of a driver's result that is read, in either colour."""

    @property
    def returns_rows(self) -> bool:
        """Has it rows?"""
        ...

    @property
    def rowcount(self) -> int:
        """How many it changed."""
        ...

    def fetchall(self) -> Sequence[Any]:
        """All of its rows."""
        ...


def answer_of(result: Result) -> Answer:
    """Read a driver's result to its end."""
    return Answer(result.fetchall() if result.returns_rows else (), result.rowcount)


Applying = Generator[Executable, Answer, Applied]
Seeking = Generator[Executable, Answer, Applied | None]


def applying(
    statements: Statements,
    write: Write,
    *,
    expect: int,
    actor: str,
    because: str | None,
    operation: str | None,
    as_of: Instant | None,
    notifies: bool = True,
) -> Applying:
    """
    Store *write*, or find that it is known already, or that somebody was faster.

    The sequencer comes as late as it can: its row stays locked until the commit, so no position ever appears
    before a smaller one, and it is locked for as short a time as possible.
    """
    _, tenant, _, revision = target(write)
    first = yield from _first(statements, write, operation)
    if first is not None:
        return first
    if (yield statements.compare_and_set(write, expect)).count != 1:
        # Where writers wait for each other, the faster one may have been this very act, repeated by two at once.
        first = yield from _first(statements, write, operation, is_latest=True)
        if first is not None:
            return first
        raise (yield from _conflict(statements, write, expect))
    for statement in (*statements.licensed.statements(write, expect), *statements.erase(write)):
        yield statement
    *taking, last = statements.next_position
    for statement in taking:
        yield statement
    position = (yield last).rows[0][0]
    if tenant is None:
        # Catalog, controls and flags share one name space of operations, and their writers first meet here.
        yield from _first(statements, write, operation, is_latest=True)
        yield from _require_beside(statements, write)
    for statement in statements.append(
        write,
        position,
        actor=actor,
        because=because,
        operation=operation,
        as_of=as_of,
        notifies=notifies,
    ):
        yield statement
    return Applied(write.id, True, revision, position)


def _first(statements: Statements, write: Write, operation: str | None, *, is_latest: bool = False) -> Seeking:
    if operation is None:
        return None
    seeking = statements.known_operation(target(write)[1], operation, is_latest=is_latest)
    for first, revision, position, known in (yield seeking).rows:
        if known != digest(write):
            raise operation_conflict(operation)
        return Applied(first, False, revision, position)
    return None


def _require_beside(statements: Statements, write: Write) -> Generator[Executable, Answer, None]:
    """Compare what the write was worked out with. Whoever else writes that waits for the sequencer, or is done."""
    if write.beside is None:
        return
    scope, expect = write.beside
    rows = (yield statements.revision_beside(scope)).rows
    found = rows[0][0] if rows else 0
    if found != expect:
        faster = [f"{verb} by {who}" for verb, who in (yield statements.faster(scope, None, expect)).rows]
        raise change_conflict(scope, None, expect, found, faster)


def _conflict(statements: Statements, write: Write, expect: int) -> Generator[Executable, Answer, ChangeConflict]:
    scope, tenant, _, _ = target(write)
    rows = (yield statements.found_revision(scope, tenant)).rows
    faster = [f"{verb} by {who}" for verb, who in (yield statements.faster(scope, tenant, expect)).rows]
    return change_conflict(scope, tenant, expect, rows[0][0] if rows else 0, faster)
