"""What happens in a database while a limiter is at work: others come in between, it fails, it ends transactions."""

from __future__ import annotations

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError

from payaid_entitlements.stores.sql.limiter.sending import Alone, Sending
from tests.stores.conftest import driven


def rows(url):
    """Owners and states of all counters."""
    engine = create_engine(driven(url))
    with engine.connect() as connection:
        found = connection.execute(text("SELECT owner, state FROM payaid_rates")).all()
    engine.dispose()
    return found


def meanwhile(monkeypatch, act):
    """Let *act* happen once, after a limiter has read and before it writes."""
    read, acts = Alone.read, [act]

    def early(self, asked):
        found = read(self, asked)
        while acts:
            acts.pop()()
        return found

    monkeypatch.setattr(Alone, "read", early)


def before_locking(monkeypatch, act, times=1):
    """Let *act* happen so many times before a limiter begins a transaction."""
    together, left_over = Sending.together, [act] * times

    def late(self, flow):
        if left_over:
            left_over.pop()()
        return together(self, flow)

    monkeypatch.setattr(Sending, "together", late)


def lost_race():
    """A deadlock, as MySQL tells of it."""
    return OperationalError("update", {}, Exception(1213, "Deadlock found when trying to get lock"))


def fail(error):
    """Raise it."""
    raise error
