"""
A consume in one statement, for PostgreSQL: the common case in one round trip, decided and committed by the server.

It does what `core.metering.book` does where nothing is in the way: each posting is a `Debit`, its accounts are there,
nothing is short, no mark is reached, and the operation is new. Of everything else it changes nothing and says nothing;
the general path then decides. So it never refuses anybody.

Why it is exact at READ COMMITTED:

- ``found`` locks the accounts, in the order of their names as the general path does, and reads each as it is once the
  lock is had, whatever the statement's snapshot had seen: PostgreSQL reads a row that it had to wait for again.
- ``posted`` changes exactly those. It finds them by the snapshot, in which a row may be an older version; PostgreSQL
  then goes on to the version that is locked. What is written comes from ``found``, not from the old version.
- An account that somebody makes meanwhile is not in the snapshot: one is missing, and nothing is done.
- The entry is written before the accounts, and they only where it was. The same operation elsewhere at once has the
  same key: the later one waits for the earlier one's commit, then writes nothing. The snapshot need not see that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeGuard

from sqlalchemy import Dialect

from payaid_entitlements.core.instant import Instant
from payaid_entitlements.core.metering.checking import check
from payaid_entitlements.core.metering.encoding import posted_from
from payaid_entitlements.core.metering.posting import MOST, OPENED, Debit, Line, Posted, Posting, Short
from payaid_entitlements.stores.sql.ledger.prepared import Asked, Written
from payaid_entitlements.stores.sql.ledger.reading import Flow
from payaid_entitlements.stores.sql.ledger.tables import LedgerTables

#: How many lines there are; and for each mark, the numbers of those that are counted for it.
Shape: TypeAlias = tuple[int, tuple[tuple[int, ...], ...]]

#: Values as PostgreSQL reads them from text. Python's numbers would have a type by their size, and each combination of
#: types would be another statement to prepare.
Values: TypeAlias = dict[str, str | None]

#: A line, by the names of its columns.
_LINE: Final = {
    "posting": "integer",
    "number": "integer",  # among the lines of all postings
    "meter": "text",
    "lot": "text",
    "shown": "text",  # both, as JSON
    "fixed": "bigint",  # its cap
    "is_opened": "boolean",  # it has the cap of its account
    "cost": "bigint",
    "feature": "text",  # of its posting, as all that follow; as JSON
    "amount": "bigint",
    "beyond": "bigint",
    "grace": "bigint",
    "is_sink": "boolean",
    "takes_all": "boolean",
}
#: Lines of one statement: what is longer takes the server longer to plan than the general path takes.
MOST_LINES: Final = 16
#: Statements that are kept. There are as many as ways to combine lines and marks, of which an application has few.
MOST_TEXTS: Final = 256

#: A text as JSON has it.
encoded: Final = json.encoder.encode_basestring_ascii

_GIVEN: Final = ", ".join(f"line.{column}" for column in _LINE if column not in {"fixed", "is_opened"})


@dataclass(frozen=True, slots=True)
class Names:
    """Names of tables, as they are written in statements."""

    accounts: str
    entries: str
    holds: str


class Debiting:
    """The statements for the tables of a ledger on PostgreSQL; each is written once."""

    def __init__(self, tables: LedgerTables, dialect: Dialect) -> None:
        named = dialect.identifier_preparer.format_table
        self._names = Names(named(tables.accounts), named(tables.entries), named(tables.holds))
        self._known: dict[Shape, Written] = {}

    def asked(
        self, tenant: str, postings: Sequence[Posting], operation: str | None, digest: str | None, now: Instant | None
    ) -> Asked | None:
        """
        What to send; None where one statement cannot do it.

        Raises:
            TypeError, ConfigurationError: As `core.metering.checking.check` says.
        """
        check(postings, operation)
        if not fits(postings):
            return None
        shape = shape_of(postings)
        known = self._known.get(shape)
        if known is None:
            if len(self._known) >= MOST_TEXTS:
                self._known.clear()
            known = self._known[shape] = Written(text_of(shape, self._names))
        return Asked(known, values_of(tenant, postings, str(operation), digest, now))


def trying(asked: Asked, then: Flow[Posted]) -> Flow[Posted]:
    """Post by one statement, in the transaction of a host; else as *then* does."""
    rows = (yield asked).rows
    if rows:
        then.close()
        return posted_of(rows[0][0])
    return (yield from then)


def posted_of(answer: str) -> Posted:
    """What was done, from the answer of a statement."""
    return posted_from(json.loads(answer), replayed=False)


def fits(postings: Sequence[Posting]) -> TypeGuard[Sequence[Debit]]:
    """
    Are *postings*, which are valid, such as one statement can carry out?

    Not where one meter pays for several: how far the second goes follows from what the first one takes.
    """
    lines = 0
    meters = set[str]()
    for posting in postings:
        if type(posting) is not Debit or posting.amount * max([line.cost for line in posting.lines]) > MOST:
            return False
        own = {line.meter for line in posting.lines} | {mark.meter for mark in posting.marks}
        if not meters.isdisjoint(own):
            return False
        meters |= own
        lines += len(posting.lines)
    return lines <= MOST_LINES


def shape_of(postings: Sequence[Debit]) -> Shape:
    """Find which statement *postings* need."""
    marks: list[tuple[int, ...]] = []
    first = 0
    for posting in postings:
        marks += [
            tuple([first + n for n, line in enumerate(posting.lines) if line.meter == mark.meter])
            for mark in posting.marks
        ]
        first += len(posting.lines)
    return first, tuple(marks)


def values_of(
    tenant: str, postings: Sequence[Debit], operation: str, digest: str | None, now: Instant | None
) -> Values:
    """Name what is posted, for the statement of the postings' shape."""
    values: Values = {"tenant": tenant, "operation": operation, "digest": digest, "now": _text(now)}
    lines: list[tuple[Line, int, int, Debit]] = []
    marks = 0
    for index, posting in enumerate(postings):
        for line in posting.lines:
            lines.append((line, len(lines), index, posting))
        for mark in posting.marks:
            values[f"mark{marks}"] = str(mark.at)
            marks += 1
    if len(lines) > 1:
        # The order in which all lock accounts: PostgreSQL goes through them as they are given.
        lines.sort(key=lambda each: each[0].account)
    for place, (line, number, index, posting) in enumerate(lines):
        is_opened = line.cap == OPENED
        values |= {
            f"posting{place}": str(index),
            f"number{place}": str(number),
            f"meter{place}": line.meter,
            f"lot{place}": line.lot,
            f"shown{place}": f"{encoded(line.meter)},{encoded(line.lot)}",
            f"fixed{place}": None if is_opened else _text(line.cap),
            f"is_opened{place}": "t" if is_opened else "f",
            f"cost{place}": str(line.cost),
            f"feature{place}": encoded(posting.feature),
            f"amount{place}": str(posting.amount),
            f"beyond{place}": _text(posting.beyond),
            f"grace{place}": _text(posting.grace),
            f"is_sink{place}": "t" if posting.lines[posting.sink] is line else "f",
            f"takes_all{place}": "t" if posting.short is Short.OVERFLOW else "f",
        }
    return values


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def text_of(shape: Shape, names: Names) -> str:
    """Write the statement of *shape*. It answers with one row, or with none: then nothing was done."""
    count, marks = shape
    return f"""
WITH found AS MATERIALIZED ({_one(names) if count == 1 else _several(count, names)}),
free AS (
    SELECT *, CASE WHEN cap IS NULL THEN amount ELSE least(amount, greatest(0, cap - used - held) / cost) END AS free
    FROM found
),
spread AS ({_ALONE if count == 1 else _BY_TURNS}),
moves AS (SELECT *, used + (taken + CASE WHEN is_sink THEN overage ELSE 0 END) * cost AS used_then FROM spread),
capped AS (
    SELECT *, CASE WHEN was_opened OR used_then = used THEN cap_before ELSE cap END AS cap_then FROM moves
),
moved AS MATERIALIZED (
    SELECT *, CASE WHEN used_then = used THEN over_since WHEN used_then > cap_then THEN {_SINCE} END AS over_then
    FROM capped
),
whole AS ({_whole_of_one(marks, names) if count == 1 else _whole_of_several(count, marks, names)}),
entry AS (
    INSERT INTO {names.entries} (tenant, operation, part, kind, digest, recorded, takes, answer)
    SELECT %(tenant)s, %(operation)s, 0, 'debit', %(digest)s, now,
        '[' || takes || ']', '[' || now || ',[' || filled || '],[]]'
    FROM whole
    ON CONFLICT DO NOTHING RETURNING answer
),
posted AS (
    UPDATE {names.accounts} AS account
    SET used = used_then, cap = cap_then, over_since = over_then, folded = coalesce(account.folded, 0)
    FROM moved, entry
    WHERE account.tenant = %(tenant)s AND account.meter = moved.meter AND account.lot = moved.lot
        AND account.meter IN ({_all("meter", count)}) AND account.lot IN ({_all("lot", count)})
        AND moved.used_then <> moved.used
)
SELECT answer FROM entry"""


def _all(column: str, count: int) -> str:
    return ", ".join(f"%({column}{place})s" for place in range(count))


_READ: Final = f"""
    SELECT {_GIVEN}, account.used, account.held, account.over_since, account.cap AS cap_before,
        account.is_opened <> 0 AS was_opened, NOT line.is_opened OR account.is_opened <> 0 AS is_known,
        CASE WHEN line.is_opened THEN account.cap ELSE line.fixed END AS cap,
        coalesce(%(now)s::bigint, floor(extract(epoch FROM statement_timestamp()) * 1000000)::bigint) AS now"""


def _lines(count: int) -> str:
    rows = (", ".join(f"%({column}{place})s::{kind}" for column, kind in _LINE.items()) for place in range(count))
    return "(VALUES " + ", ".join(f"({row})" for row in rows) + f") AS line ({', '.join(_LINE)})"


def _one(names: Names) -> str:
    return f"""{_READ}
    FROM {names.accounts} AS account CROSS JOIN {_lines(1)}
    WHERE account.tenant = %(tenant)s AND account.meter = %(meter0)s AND account.lot = %(lot0)s
    FOR UPDATE OF account"""


def _several(count: int, names: Names) -> str:
    # Rows of VALUES come as they are written, and each locks its account before the next one is looked at.
    return f"""{_READ}
    FROM {_lines(count)} CROSS JOIN LATERAL (
        SELECT * FROM {names.accounts} AS each
        WHERE each.tenant = %(tenant)s AND each.meter = line.meter AND each.lot = line.lot
        FOR UPDATE
    ) AS account"""


#: How many units of the feature each line gives, and how many none of the posting's lines has.
_ALONE: Final = "SELECT *, free AS taken, amount - free AS overage FROM free"
_BY_TURNS: Final = """
    SELECT *, amount - least(amount, sum(free) OVER (PARTITION BY posting))::bigint AS overage,
        least(free, greatest(0, amount - coalesce(sum(free) OVER (
            PARTITION BY posting ORDER BY number ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ), 0)))::bigint AS taken
    FROM free"""

#: Since when what is beyond its cap is so: from now on, where it was not before, by the cap of now.
_SINCE: Final = "CASE WHEN used + taken * cost <= cap_then THEN now ELSE coalesce(over_since, now) END"

#: As `core.metering.encoding` writes them.
_TAKE: Final = "CASE WHEN taken > 0 THEN '[' || shown || ',' || taken * cost || ',0,' || cost || ']' END"
_BEYOND: Final = (
    "CASE WHEN is_sink AND overage > 0 THEN '[' || shown || ',' || overage * cost || ',0,' || cost || ']' END"
)
_BALANCE: Final = (
    "'[' || used_then || ',' || held || ',' || coalesce(cap_then::text, 'null') || ',' || was_opened::text || ','"
    " || coalesce(over_then::text, 'null') || ']'"
)


def _fine(names: Names) -> str:
    """May a line be moved as it is said? What may be beyond all caps: as `core.metering.spreading` says it."""
    return f"""is_known AND used_then + held <= {MOST} AND (
        NOT is_sink OR overage = 0 OR takes_all
        OR (beyond IS NULL AND (grace IS NULL OR cap IS NULL OR used <= cap OR over_since IS NULL
            OR now < over_since + grace))
        OR overage <= greatest(0, coalesce(beyond, 0) - (greatest(0, used + held - cap) + cost - 1) / cost)
    ) AND (held = 0 OR NOT EXISTS (
        SELECT FROM {names.holds} AS hold WHERE hold.tenant = %(tenant)s
            AND hold.meter = moved.meter AND hold.lot = moved.lot AND hold.expires <= now
    ))"""


def _unmarked(marks: Sequence[Sequence[int]], used: str, used_then: str) -> str:
    """Is no mark reached? *used* and *used_then* are formats, of which the numbers of lines are counted."""
    return "".join(
        f" AND NOT coalesce({used.format(numbers)} < %(mark{place})s::bigint"
        f" AND {used_then.format(numbers)} >= %(mark{place})s::bigint, false)"
        for place, counted in enumerate(marks)
        if (numbers := ", ".join(map(str, counted)))
    )


def _whole_of_one(marks: Sequence[Sequence[int]], names: Names) -> str:
    """One row with all that was posted, if it can be done here; else none."""
    return f"""
    SELECT now, concat_ws(',', {_TAKE}, {_BEYOND}) AS takes,
        '[' || amount || ',' || overage || ',[' || concat_ws(',', {_TAKE}, {_BEYOND}) || '],[' || {_BALANCE}
        || '],null,' || feature || ']' AS filled
    FROM moved WHERE {_fine(names)}{_unmarked(marks, "used", "used_then")}"""


def _whole_of_several(count: int, marks: Sequence[Sequence[int]], names: Names) -> str:
    """Same as `_whole_of_one`, of lines of one posting or several."""
    total = "sum({}) FILTER (WHERE number IN ({{}}))"
    return f"""
    SELECT min(now) AS now, string_agg(nullif(takes, ''), ',' ORDER BY posting) AS takes, string_agg(
        '[' || amount || ',' || overage || ',[' || takes || '],[' || balances || '],null,' || feature || ']', ','
        ORDER BY posting
    ) AS filled
    FROM (
        SELECT posting, min(now) AS now, min(amount) AS amount, min(overage) AS overage, min(feature) AS feature,
            concat_ws(',', string_agg({_TAKE}, ',' ORDER BY number), min({_BEYOND})) AS takes,
            string_agg({_BALANCE}, ',' ORDER BY number) AS balances, count(*) AS lines,
            bool_and({_fine(names)}){_unmarked(marks, total.format("used"), total.format("used_then"))} AS is_fine
        FROM moved GROUP BY posting
    ) AS each
    HAVING bool_and(is_fine) AND sum(lines) = {count}"""
