"""Statements about accounts, and about the acts by which they came to be what they are."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Integer,
    Select,
    and_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy import cast as sql_cast

from payaid_entitlements.core.metering.posting import SLOTS
from payaid_entitlements.stores.sql.ledger.making import Making, is_among, is_row, limit
from payaid_entitlements.stores.sql.ledger.prepared import Prepared
from payaid_entitlements.stores.sql.ledger.tables import LOCK

_ACCOUNT = ("tenant", "meter", "lot")


class Counting(Making):
    """Statements about `accounts`."""

    def accounts(self, count: int) -> Prepared:
        """
        Lock *count* accounts in the order of their keys, and read them as they are now, with the time.

        (meter, lot, used, held, cap, is_opened, over_since, folded, now)
        """

        def make() -> Select[Any]:
            c = self.tables.accounts.c
            found = select(c.meter, c.lot, c.used, c.held, c.cap, c.is_opened, c.over_since, c.folded, self.now)
            found = found.where(is_among(self.tables.accounts, ("meter", "lot"), count))
            # Who needs several waits for them in one order.
            return self.locked(found.order_by(c.meter, c.lot) if count > 1 else found)

        return self.prepared("accounts", count, make)

    def balances(self, count: int) -> Prepared:
        """
        Read *count* accounts without what has expired.

        (meter, lot, used, held, cap, is_opened, over_since)
        """
        return self.prepared(
            "balances", count, lambda: self._balances(is_among(self.tables.accounts, _ACCOUNT[1:], count))
        )

    def _balances(self, wanted: ColumnElement[bool]) -> Select[Any]:
        a, h, s = self.tables.accounts.c, self.tables.holds.c, self.tables.slots.c
        expired: ColumnElement[int] = (
            select(sql_cast(func.coalesce(func.sum(h.held), 0), BigInteger))
            .where(h.tenant == a.tenant, h.meter == a.meter, h.lot == a.lot, h.expires <= self.now)
            .scalar_subquery()
        )
        freed: ColumnElement[int] = (
            select(func.count())
            .where(s.tenant == a.tenant, s.feature == a.meter, s.expires <= self.now)
            .scalar_subquery()
        )
        return select(
            a.meter,
            a.lot,
            # Nothing is looked for where there is nothing: most accounts have neither.
            case((and_(a.lot == SLOTS, a.used != 0), a.used - freed), else_=a.used),
            case((a.held != 0, a.held - expired), else_=a.held),
            a.cap,
            a.is_opened,
            a.over_since,
        ).where(wanted, a.folded.is_not(None))

    @cached_property
    def add_account(self) -> Prepared:
        """An account to which nothing was posted yet, unless it is there."""
        blank = {"used": 0, "held": 0, "is_opened": 0}
        return Prepared(self.if_absent(self.tables.accounts, _ACCOUNT, **blank), self.dialect)

    @cached_property
    def put_account(self) -> Prepared:
        """An account that is not there."""
        return Prepared(self.whole(self.tables.accounts), self.dialect)

    @cached_property
    def set_account(self) -> Prepared:
        """What an account says that is locked; but for what was folded."""
        a = self.tables.accounts
        names = ("used", "held", "cap", "is_opened", "over_since")
        values: dict[str, Any] = {name: bindparam(f"new_{name}") for name in names}
        values["folded"] = func.coalesce(a.c.folded, 0)
        return Prepared(update(a).where(is_row(a, *_ACCOUNT)).values(values), self.dialect)

    @cached_property
    def fold(self) -> Prepared:
        """Count ``amount`` more of an account as folded."""
        a = self.tables.accounts
        folded = a.c.folded + bindparam("amount", type_=BigInteger)
        return Prepared(update(a).where(is_row(a, *_ACCOUNT)).values(folded=folded), self.dialect)

    @cached_property
    def drop_blank(self) -> Prepared:
        """Take away the accounts of a tenant to which nothing was ever posted; the one for which others wait stays."""
        a = self.tables.accounts
        is_blank = and_(is_row(a, "tenant"), a.c.folded.is_(None), a.c.lot != LOCK)
        return Prepared(delete(a).where(is_blank), self.dialect)

    # -- the row for which those wait who count rows of the host's -----------------------------------------------------

    @cached_property
    def take_lock(self) -> Prepared:
        """Lock it, and read how often somebody passed: as it is now."""
        a = self.tables.accounts
        return Prepared(self.locked(select(a.c.used).where(is_row(a, *_ACCOUNT))), self.dialect)

    @cached_property
    def see_lock(self) -> Prepared:
        """Read how often somebody passed, as the transaction sees it."""
        a = self.tables.accounts
        return Prepared(select(a.c.used).where(is_row(a, *_ACCOUNT)), self.dialect)

    @cached_property
    def pass_lock(self) -> Prepared:
        """Say that somebody passed."""
        a = self.tables.accounts
        return Prepared(update(a).where(is_row(a, *_ACCOUNT)).values(used=a.c.used + 1), self.dialect)

    # -- acts ----------------------------------------------------------------------------------------------------------

    def entries_of(self, *, is_latest: bool) -> Prepared:
        """All parts of the act ``key_operation``, as in `entries`; with *is_latest* as they are now."""
        e = self.tables.entries

        def make() -> Select[Any]:
            found = self._entries().where(is_row(e, "tenant", "operation")).order_by(e.c.part)
            return self.is_latest(found, is_latest)

        return self.prepared("entries of", is_latest, make)

    def _entries(self) -> Select[Any]:
        c = self.tables.entries.c
        return select(c.operation, c.part, c.kind, c.digest, c.recorded, c.takes, c.answer)

    @cached_property
    def entries(self) -> Prepared:
        """
        The acts of a tenant behind ``key_operation`` and ``key_part``, at most ``limit``.

        (operation, part, kind, digest, recorded, takes, answer)
        """
        e = self.tables.entries
        operation = bindparam("key_operation", type_=e.c.operation.type)
        behind = or_(e.c.operation > operation, e.c.part > bindparam("key_part", type_=Integer))
        found = self._entries().where(is_row(e, "tenant"), e.c.operation >= operation, behind)
        return Prepared(found.order_by(e.c.operation, e.c.part).limit(limit()), self.dialect)

    @cached_property
    def put_entry(self) -> Prepared:
        """An act. Its key is what makes it happen once."""
        return Prepared(self.whole(self.tables.entries), self.dialect)

    @cached_property
    def old_entries(self) -> Prepared:
        """
        All parts of acts of which none is from ``before`` or later, and no hold is open; of at most ``limit`` acts.

        (tenant, operation, part, takes)
        """
        e, h = self.tables.entries, self.tables.holds.c
        old, later = e.alias("old").c, e.alias("later").c
        before = bindparam("before", type_=BigInteger)
        is_open = select(h.tenant).where(h.tenant == old.tenant, h.operation == old.operation).exists()
        is_young = (
            select(later.tenant)
            .where(later.tenant == old.tenant, later.operation == old.operation, later.recorded >= before)
            .exists()
        )
        acts = select(old.tenant, old.operation).where(old.recorded < before, ~is_open, ~is_young)
        some = acts.distinct().limit(limit()).subquery("some")
        found = select(e.c.tenant, e.c.operation, e.c.part, e.c.takes)
        is_some = and_(e.c.tenant == some.c.tenant, e.c.operation == some.c.operation)
        return Prepared(found.join(some, is_some), self.dialect)

    @cached_property
    def drop_entry(self) -> Prepared:
        """Forget an act; the row count says whether it was there."""
        e = self.tables.entries
        return Prepared(delete(e).where(is_row(e, "tenant", "operation", "part")), self.dialect)

    @cached_property
    def tenants(self) -> Prepared:
        """Of whom anything is counted, behind ``key_tenant``, at most ``limit``."""
        c = self.tables.accounts.c
        found = select(c.tenant).where(c.tenant > bindparam("key_tenant", type_=c.tenant.type), c.folded.is_not(None))
        return Prepared(found.distinct().order_by(c.tenant).limit(limit()), self.dialect)
