"""
Counting what is used: all policy of `consume`, `consume_many` and `reserve`.

Facts say what is allowed, at the instant of a view, and the ledger says what was used. Before anybody is turned away on
facts that were last known to be true more than a second ago, the store is asked and it is posted again: who has just
paid consumes at once. Refused is only who is not sold the feature, or has used it up, where that is enforced; elsewhere
it is counted too, and said what would have been.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, cast

from payaid_entitlements.answering import confirm, look, near_view
from payaid_entitlements.cache.counting import Post, ReadBalances
from payaid_entitlements.cache.loading import SURE_WITHIN
from payaid_entitlements.core.metering.lots import debit
from payaid_entitlements.core.metering.posting import Debit, Hold, Line, Posted, Posting, Short
from payaid_entitlements.errors import OutcomeUnknown, StoreUnavailable
from payaid_entitlements.metering.act import require_recent
from payaid_entitlements.metering.counted import Counted, counted, is_short
from payaid_entitlements.metering.judging import Want, judge, may_be_old, unavailable
from payaid_entitlements.metering.posting import post
from payaid_entitlements.metering.telling import tell

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from payaid_entitlements.cache.setting import Setting
    from payaid_entitlements.cache.steps import Flow
    from payaid_entitlements.core.decision import Decision
    from payaid_entitlements.core.metering.posting import AccountId, Balance
    from payaid_entitlements.metering.act import Act
    from payaid_entitlements.metering.hearing import Handlers
    from payaid_entitlements.view import TenantView


#: A lot of which there is never a unit, not even after a correction downwards.
_NOTHING: Final = "nothing"


def count(setting: Setting, handlers: Handlers, act: Act) -> Flow[Counted]:
    """
    Count all that *act* wants, or nothing.

    Raises:
        UnknownFeature: A key is in no catalog, and the client is strict.
        TypeError: What is wanted is not used up, or its amount no number.
        ConfigurationError: An amount is not possible, or there is no ledger.
        OperationConflict: The operation was something else before.
        StoreUnavailable: The ledger gave no answer, and nothing was counted.
        OutcomeUnknown: It may have been counted; repeated with the same operation, it is counted once.
    """
    if act.occurred_at is not None:
        require_recent(act.occurred_at, setting.now())
    view = near_view(setting, act.tenant, act.user) or (yield from look(setting, act.tenant, user=act.user))
    wants, refusal = judge(view, act)
    is_confirmed = False
    if refusal is not None and may_be_old(view, refusal):
        view, is_confirmed = (yield from confirm(setting, view)), True
        wants, refusal = judge(view, act)
    if refusal is not None:
        return (yield from _not_allowed(setting, view, act, wants, refusal))
    #: Of what is not enforced: what the ledger found short.
    overflowing: set[str] = set()
    while True:
        postings = _postings(act, wants, overflowing)
        posted = yield from post(setting, view, postings, act.operation, _asked(act, wants), act.tx)
        if posted.short is None:
            break
        short = wants[posted.short.index]
        if not short.is_enforced and short.key not in overflowing:
            overflowing.add(short.key)
        elif is_confirmed or view.is_sure(SURE_WITHIN):
            return is_short(setting, view, short, posted.short)
        else:
            view, is_confirmed = (yield from confirm(setting, view)), True
            wants, refusal = judge(view, act)
            if refusal is not None:
                return (yield from _not_allowed(setting, view, act, wants, refusal))
    balances = None
    if posted.replayed:
        balances = yield from _balances(setting, act, wants)
    outcome = counted(setting, view, wants, posted, overflowing, balances)
    view.used(want.key for want in wants)
    yield from tell(setting, handlers, crossed=bool(posted.crossings), tx=act.tx)
    return outcome


def trying(setting: Setting, handlers: Handlers, act: Act) -> Flow[Decision]:
    """
    Same as `count`, for one feature: a refusal, and an outage, are decisions.

    Raises:
        OutcomeUnknown: That it may have been counted is no answer.
        StoreUnavailable: In a transaction of the host's, which has failed with it.
    """
    try:
        outcome = yield from count(setting, handlers, act)
    except OutcomeUnknown:
        raise
    except StoreUnavailable:
        if act.tx is not None:
            raise
        return unavailable(act.wants[0][0])
    return outcome.decisions()[act.wants[0][0]]


def _asked(act: Act, wants: Sequence[Want]) -> str:
    return act.digest([(want.key, want.units) for want in wants])


def _postings(act: Act, wants: Sequence[Want], overflowing: Collection[str]) -> tuple[Posting, ...]:
    return tuple(
        _held(
            act,
            debit(
                want.metered,
                want.units,
                Short.OVERFLOW if want.is_let_pass or want.key in overflowing else act.short,
            ),
        )
        for want in wants
    )


def _held(act: Act, made: Debit) -> Debit | Hold:
    return made if act.expires_in is None else Hold(made, act.expires_in)


def _balances(setting: Setting, act: Act, wants: Sequence[Want]) -> Flow[Mapping[AccountId, Balance]]:
    """What is used now: what a repetition gets back was counted in windows and lots of then."""
    accounts = tuple(dict.fromkeys(account for want in wants for account in want.metered.accounts))
    read = yield ReadBalances(act.tenant, accounts, setting.told_time(), act.tx)
    return cast("Mapping[AccountId, Balance]", read)


def _not_allowed(
    setting: Setting, view: TenantView, act: Act, wants: Sequence[Want], refusal: Decision
) -> Flow[Counted]:
    """Refuse by the facts, unless it was counted before: who repeats it after a lost reply must learn that it was."""
    if refusal.noteworthy:
        view.note(refusal)
    if len(wants) < len(act.wants):
        # The store gave no answer, or it is no feature at all.
        return Counted(view, refusal)
    nothing = tuple(_held(act, Debit(want.key, want.units, (Line(want.key, _NOTHING, 0),))) for want in wants)
    try:
        posted = cast(
            "Posted",
            (yield Post(act.tenant, nothing, act.operation, _asked(act, wants), setting.told_time(), act.tx)),
        )
    except StoreUnavailable:
        if act.tx is not None:
            raise
        return Counted(view, refusal)
    if not posted.replayed:
        return Counted(view, refusal)
    return counted(setting, view, wants, posted, (), (yield from _balances(setting, act, wants)))
