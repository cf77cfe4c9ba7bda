"""
After the host's commit, and only then.

SQLAlchemy tells of it for a `Session`, and for a `Connection` nobody does; Django tells of it for each of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from sqlalchemy import Connection, event
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from payaid_entitlements.stores.sql.joining import is_django

_WAITING: Final = "payaid_entitlements.after_commit"


def after_commit(tx: object, then: Callable[[], object]) -> bool:
    """
    Call *then* once *tx* was committed; never if it is rolled back.

    Returns:
        False where nobody tells of the commit, and *then* is not called: for a `Connection`, whose event comes before
        the commit is done, and for a session within the transaction of one.
    """
    if is_django(tx):
        from payaid_entitlements.stores.django.joining import on_commit

        on_commit(tx, then)
        return True
    session = tx.sync_session if isinstance(tx, AsyncSession) else tx
    if not isinstance(session, Session) or isinstance(session.bind, Connection):
        return False
    session.info.setdefault(_WAITING, []).append(then)
    if not event.contains(session, "after_commit", _committed):
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
    return True


def _committed(session: Session) -> None:
    # Also called when a savepoint is released: nothing is committed then.
    if not session.in_nested_transaction():
        for then in session.info.pop(_WAITING, ()):
            then()


def _rolled_back(session: Session, previous: object) -> None:
    # Back to a savepoint: what was posted within is gone, what was posted before is not. Whoever looks in vain, looks
    # in vain.
    if not session.in_transaction():
        session.info.pop(_WAITING, None)
