"""Statements about what is open: holds and slots; and about events, until they are told."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from sqlalchemy import BigInteger, Select, bindparam, delete, literal, null, or_, select, union_all, update

from payaid_entitlements.stores.sql.ledger.making import Making, is_among, is_row, limit
from payaid_entitlements.stores.sql.ledger.prepared import Prepared


class Holding(Making):
    """Statements about `holds`, `slots` and `events`."""

    def hold(self, *, is_latest: bool) -> Prepared:
        """All rows of the hold ``key_operation``, as in `expired`; with *is_latest* as they are now."""
        h = self.tables.holds

        def make() -> Select[Any]:
            found = self._holds().where(is_row(h, "tenant", "operation")).order_by(h.c.place)
            return self.is_latest(found, is_latest)

        return self.prepared("hold", is_latest, make)

    def expired(self, count: int, *, is_latest: bool) -> Prepared:
        """
        All rows of the holds that have expired by ``key_expires`` and hold something on one of *count* accounts; of
        at most ``limit`` holds, the same ones each time; with *is_latest* as they are now.

        (operation, place, meter, lot, held, cost, since, expires, debit)
        """
        h = self.tables.holds

        def make() -> Select[Any]:
            touching = (
                select(h.c.operation)
                .where(is_among(h, ("meter", "lot"), count), h.c.expires <= bindparam("key_expires", type_=BigInteger))
                .distinct()
                .order_by(h.c.operation)
                .limit(limit())
                .subquery("touching")
            )
            found = self._holds().join(touching, h.c.operation == touching.c.operation)
            return self.is_latest(found.where(is_row(h, "tenant")).order_by(h.c.operation, h.c.place), is_latest)

        return self.prepared("expired", (count, is_latest), make)

    def _holds(self) -> Select[Any]:
        c = self.tables.holds.c
        return select(c.operation, c.place, c.meter, c.lot, c.held, c.cost, c.since, c.expires, c.debit)

    @cached_property
    def open_hold(self) -> Prepared:
        """All rows of the hold ``key_operation``, as in `expired`, unless it has expired."""
        h = self.tables.holds
        found = self._holds().where(is_row(h, "tenant", "operation"), h.c.expires > self.now)
        return Prepared(found.order_by(h.c.place), self.dialect)

    @cached_property
    def put_hold(self) -> Prepared:
        """A row of a hold."""
        return Prepared(self.whole(self.tables.holds), self.dialect)

    @cached_property
    def drop_hold(self) -> Prepared:
        """Take a hold away."""
        h = self.tables.holds
        return Prepared(delete(h).where(is_row(h, "tenant", "operation")), self.dialect)

    # -- slots ---------------------------------------------------------------------------------------------------------

    def slots_of(self, count: int, *, is_latest: bool) -> Prepared:
        """
        The slots of *count* holders of ``key_feature``, and all that have expired by ``key_expires``.

        (feature, holder, since, expires); with *is_latest* as they are now.
        """
        s = self.tables.slots

        def make() -> Select[Any]:
            holders = [s.c.holder == bindparam(f"holder{i}", type_=s.c.holder.type) for i in range(count)]
            has_expired = s.c.expires <= bindparam("key_expires", type_=BigInteger)
            found = self._slots().where(is_row(s, "tenant", "feature"), or_(*holders, has_expired))
            return self.is_latest(found, is_latest)

        return self.prepared("slots of", (count, is_latest), make)

    def next_slot(self, *, is_latest: bool) -> Prepared:
        """The slot of ``key_feature`` that expires next behind ``key_expires``, as in `slots_of`."""
        s = self.tables.slots

        def make() -> Select[Any]:
            later = s.c.expires > bindparam("key_expires", type_=BigInteger)
            found = self._slots().where(is_row(s, "tenant", "feature"), later)
            return self.is_latest(found.order_by(s.c.expires).limit(1), is_latest)

        return self.prepared("next slot", is_latest, make)

    def _slots(self) -> Select[Any]:
        c = self.tables.slots.c
        return select(c.feature, c.holder, c.since, c.expires)

    def slots(self, *, of_one: bool) -> Prepared:
        """The slots of ``key_feature``, or all, that have not expired, by feature, since and holder."""
        s = self.tables.slots

        def make() -> Select[Any]:
            found = self._slots().where(is_row(s, "tenant", *(("feature",) if of_one else ())))
            found = found.where(or_(s.c.expires.is_(None), s.c.expires > self.now))
            return found.order_by(s.c.feature, s.c.since, s.c.holder)

        return self.prepared("slots", of_one, make)

    @cached_property
    def put_slot(self) -> Prepared:
        """A slot that is not there."""
        return Prepared(self.whole(self.tables.slots), self.dialect)

    @cached_property
    def drop_slot(self) -> Prepared:
        """Take a slot away."""
        s = self.tables.slots
        return Prepared(delete(s).where(is_row(s, "tenant", "feature", "holder")), self.dialect)

    # -- events --------------------------------------------------------------------------------------------------------

    @cached_property
    def put_event(self) -> Prepared:
        """A mark that was reached."""
        return Prepared(self.whole(self.tables.events), self.dialect)

    @cached_property
    def free_events(self) -> Prepared:
        """
        Lock the oldest events that nobody is telling or has locked, at most ``limit``.

        (id, tenant, operation, meter, mark, used, recorded, now)
        """
        c = self.tables.events.c
        found = select(c.id, c.tenant, c.operation, c.meter, c.mark, c.used, c.recorded, self.now)
        return Prepared(
            self.free(found.where(c.claimed <= self.now).order_by(c.id).limit(limit())),
            self.dialect,
        )

    @cached_property
    def claim_event(self) -> Prepared:
        """Say until when somebody is telling of an event."""
        v = self.tables.events
        return Prepared(update(v).where(is_row(v, "id")).values(claimed=bindparam("new_claimed")), self.dialect)

    @cached_property
    def drop_event(self) -> Prepared:
        """Forget an event."""
        v = self.tables.events
        return Prepared(delete(v).where(is_row(v, "id")), self.dialect)

    # -- a tenant ------------------------------------------------------------------------------------------------------

    @cached_property
    def book(self) -> Prepared:
        """
        All of a tenant but the acts, in one statement, so that it is of one moment; in no order.

        (``account``, meter, lot, None, used, held, cap, is_opened, over_since, folded, None),
        (``hold``, operation, meter, lot, place, held, cost, since, expires, None, debit) or
        (``slot``, feature, holder, None, since, expires, None ...)
        """
        t, none = self.tables, null()
        a, h, s = t.accounts.c, t.holds.c, t.slots.c
        accounts = (a.meter, a.lot, none, a.used, a.held, a.cap, a.is_opened, a.over_since, a.folded, none)
        holds = (h.operation, h.meter, h.lot, h.place, h.held, h.cost, h.since, h.expires, none, h.debit)
        slots = (s.feature, s.holder, none, s.since, s.expires, none, none, none, none, none)
        parts = [
            select(literal("account"), *accounts).where(is_row(t.accounts, "tenant"), a.folded.is_not(None)),
            select(literal("hold"), *holds).where(is_row(t.holds, "tenant")),
            select(literal("slot"), *slots).where(is_row(t.slots, "tenant")),
        ]
        return Prepared(union_all(*parts), self.dialect)

    @cached_property
    def forget(self) -> list[Prepared]:
        """Forget all of a tenant: accounts first, for which everybody waits."""
        t = self.tables
        tables = (t.accounts, t.entries, t.holds, t.slots, t.events)
        return [Prepared(delete(each).where(is_row(each, "tenant")), self.dialect) for each in tables]

    @cached_property
    def keep_account(self) -> Prepared:
        """An account, unless it is there."""
        return Prepared(self.whole_if_absent(self.tables.accounts), self.dialect)

    @cached_property
    def keep_entry(self) -> Prepared:
        """An act, unless it is there."""
        return Prepared(self.whole_if_absent(self.tables.entries), self.dialect)

    @cached_property
    def keep_hold(self) -> Prepared:
        """A row of a hold, unless it is there."""
        return Prepared(self.whole_if_absent(self.tables.holds), self.dialect)

    @cached_property
    def keep_slot(self) -> Prepared:
        """A slot, unless it is there."""
        return Prepared(self.whole_if_absent(self.tables.slots), self.dialect)
