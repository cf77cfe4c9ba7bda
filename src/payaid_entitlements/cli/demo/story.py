"""
The story that the demo tells: each step does something over HTTP, or at an operator's terminal, and looks.

A step says beforehand what it expects; what it got is compared, never adjusted.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from payaid_entitlements.cli.demo.calling import Caller, Reply
from payaid_entitlements.cli.demo.stage import Stage
from payaid_entitlements.cli.opening import Opened
from payaid_entitlements.cli.references import found_tenant
from payaid_entitlements.core.reference import read_reference

#: Seconds within which every process has seen a change without a channel: the promise.
SEEN_WITHIN = 5.0
#: Seconds between two looks while a change is waited for.
_LOOK_EVERY = 0.02


@dataclass(frozen=True, slots=True)
class Step:
    """
    What one step came to.

    Attributes:
        chapter: What it belongs to.
        step: What was done, in a sentence.
        ms: Of the request that decided, or how long the change took to be seen.
    """

    chapter: str
    step: str
    expected: str
    got: str
    ok: bool
    ms: float

    def as_data(self) -> dict[str, object]:
        """It as JSON data."""
        return {
            "step": f"{self.chapter}: {self.step}",
            "expected": self.expected,
            "got": self.got,
            "ok": self.ok,
            "ms": round(self.ms, 2),
        }


@dataclass(frozen=True, slots=True)
class Seen:
    """What was got, and how long it took. *ok* where equality with what was expected does not say it."""

    got: str
    ms: float
    ok: bool | None = None


@dataclass(slots=True)
class Story:
    """
    Tells the story on a stage.

    Attributes:
        operator: The store as the demo's own process has it open: a third process on the same file.
        token: What a member of a tenant sends.
        signed: What the payment provider signs with.
    """

    stage: Stage
    operator: Opened
    token: Callable[[str], str]
    signed: Callable[[str], str]
    reference: str = ""

    def tell(self) -> Iterator[Step]:
        """Tell it, step by step. A step that fails in any way is a step that is not ok; the next ones still run."""
        for chapter, title, expected, act in self._plot():
            begun = time.perf_counter()
            try:
                seen = act()
            except Exception as error:  # the demo reports whatever went wrong, and goes on
                seen = Seen(f"{type(error).__name__}: {error}", (time.perf_counter() - begun) * 1000, ok=False)
            ok = seen.got == expected if seen.ok is None else seen.ok
            yield Step(chapter, title, expected, seen.got, ok, seen.ms)

    def _plot(self) -> Iterator[tuple[str, str, str, Callable[[], Seen]]]:
        yield from self._what_is_sold()
        yield from self._money()
        yield from self._time()
        yield from self._operators()

    # -- chapters -----------------------------------------------------------------------------------------------

    def _what_is_sold(self) -> Iterator[tuple[str, str, str, Callable[[], Seen]]]:
        chapter = "what is sold"
        first = self.stage.first.call
        yield (
            chapter,
            "nobody is logged in: your login answers, before any gate",
            "401",
            lambda: _said(first.get("/crm/contacts")),
        )
        yield (
            chapter,
            "tiny-shop, free tier, opens CRM",
            "200",
            lambda: self._get("tiny-shop", "/crm/contacts"),
        )
        yield (
            chapter,
            "tiny-shop opens invoices: refused, with a way out",
            "402 plan.module_absent, try starter",
            lambda: self._refused("tiny-shop", "/invoices"),
        )
        yield chapter, "kaveri, on starter, opens invoices", "200", lambda: self._get("kaveri", "/invoices")
        yield (
            chapter,
            "kaveri exports CSV: one feature inside a module",
            "200",
            lambda: self._get("kaveri", "/crm/export"),
        )
        yield chapter, "everything, on enterprise, opens all six modules", "200 x 6", self._all_six
        yield (
            chapter,
            "old-friend keeps version 1 of starter: 3 seats, kaveri has 5",
            "3 and 5 seats",
            self._old_version,
        )

    def _money(self) -> Iterator[tuple[str, str, str, Callable[[], Seen]]]:
        chapter = "money"
        paid = datetime.fromtimestamp(self.stage.clock(), UTC)
        yield (
            chapter,
            "the second process has refused tiny-shop too, and remembers it",
            "402 plan.module_absent, try starter",
            lambda: self._refused("tiny-shop", "/invoices", self.stage.second.call),
        )
        yield (
            chapter,
            "tiny-shop pays; the webhook changes its plan",
            "applied",
            lambda: self._pay("pay-1", "starter", paid),
        )
        yield chapter, "the very next request passes", "201", lambda: self._post("tiny-shop", "/invoices")
        yield (
            chapter,
            "and so it does in the second process",
            "200",
            lambda: self._get("tiny-shop", "/invoices", self.stage.second.call),
        )
        yield (
            chapter,
            "the provider sends the webhook again: nothing happens twice",
            "change.repeated",
            lambda: self._pay("pay-1", "starter", paid),
        )
        yield (
            chapter,
            "an older message arrives late: it does not undo the newer one",
            "change.superseded",
            lambda: self._pay("pay-0", "free", paid - timedelta(hours=1)),
        )

    def _time(self) -> Iterator[tuple[str, str, str, Callable[[], Seen]]]:
        chapter = "time passes"
        yield chapter, "trial, on day 1 of 14, opens invoices", "200", lambda: self._get("trial", "/invoices")
        yield (
            chapter,
            "late-payer is 3 days overdue: in grace, it may still write",
            "201",
            lambda: self._post("late-payer", "/invoices"),
        )
        yield (
            chapter,
            "an operator grants hr to tiny-shop for 24 hours",
            "200",
            self._override,
        )
        yield chapter, "25 hours later it is over, by itself", "402 plan.module_absent", self._override_over
        yield (
            chapter,
            "5 days later late-payer may read ...",
            "200",
            lambda: self._days_later(5, lambda: self._get("late-payer", "/invoices")),
        )
        yield (
            chapter,
            "... and not write",
            "402 subscription.past_due",
            lambda: self._refused("late-payer", "/invoices", post=True),
        )
        yield (
            chapter,
            "9 days later the trial is over: no job ran, no webhook came",
            "402 subscription.trial_ended, try starter",
            lambda: self._days_later(9, lambda: self._refused("trial", "/invoices")),
        )

    def _operators(self) -> Iterator[tuple[str, str, str, Callable[[], Seen]]]:
        chapter = "operators"
        yield (
            chapter,
            "on-leave has paused: reading passes",
            "200",
            lambda: self._get("on-leave", "/invoices"),
        )
        yield (
            chapter,
            "writing is refused, and says why",
            "402 subscription.paused",
            lambda: self._refused("on-leave", "/invoices", post=True),
        )
        yield (
            chapter,
            f"everything is suspended here; another process, which had it near, sees it within {SEEN_WITHIN:.0f} s",
            "403 subscription.suspended",
            self._suspend,
        )
        yield (
            chapter,
            "reinstated: open again, at once where a refusal would be given",
            "200",
            self._reinstate,
        )
        yield (
            chapter,
            "the reference on tiny-shop's refusal tells support who, what, why",
            "tiny-shop hr plan.module_absent",
            self._explain,
        )

    # -- what steps do ------------------------------------------------------------------------------------------

    def _get(self, tenant: str, path: str, call: Caller | None = None) -> Seen:
        return _said((call or self.stage.first.call).get(path, token=self.token(tenant)))

    def _post(self, tenant: str, path: str) -> Seen:
        return _said(self.stage.first.call.post(path, token=self.token(tenant)))

    def _refused(self, tenant: str, path: str, call: Caller | None = None, *, post: bool = False) -> Seen:
        call = call or self.stage.first.call
        reply = call.post(path, token=self.token(tenant)) if post else call.get(path, token=self.token(tenant))
        self.reference = str(reply.body.get("reference", self.reference))
        plans = [remedy.get("plan") for remedy in _remedies(reply) if remedy.get("plan")]
        return Seen(f"{reply.said}, try {plans[0]}" if plans else reply.said, reply.ms)

    def _days_later(self, days: int, act: Callable[[], Seen]) -> Seen:
        self.stage.clock.advance(days=days)
        return act()

    def _all_six(self) -> Seen:
        paths = (
            "/crm/contacts",
            "/invoices",
            "/accounting/ledgers",
            "/hr/payroll-runs",
            "/analytics/dashboards",
        )
        call, token = self.stage.first.call, self.token("everything")
        replies = [
            *(call.get(path, token=token) for path in paths),
            call.post("/whatsapp/messages", token=token),
        ]
        passed = sum(reply.status < 300 for reply in replies)
        slowest = max(reply.ms for reply in replies)
        return Seen(
            f"200 x {passed}" if passed == len(replies) else ", ".join(reply.said for reply in replies),
            slowest,
        )

    def _old_version(self) -> Seen:
        replies = [self.stage.first.call.get("/billing", token=self.token(each)) for each in ("old-friend", "kaveri")]
        seats = [_at(reply.body, "features", "seats", "value", "limit") for reply in replies]
        return Seen(f"{seats[0]} and {seats[1]} seats", max(reply.ms for reply in replies))

    def _pay(self, payment: str, plan: str, paid: datetime) -> Seen:
        body = {"id": payment, "tenant": "tiny-shop", "plan": plan, "created_at": paid.isoformat()}
        headers = {"Signature": self.signed(payment)}
        reply = self.stage.first.call.post("/webhooks/payments", body=body, headers=headers)
        applied = reply.body.get("applied")
        return Seen("applied" if applied is True else str(reply.body.get("reason", reply.said)), reply.ms)

    def _override(self) -> Seen:
        until = datetime.fromtimestamp(self.stage.clock(), UTC) + timedelta(hours=24)
        admin = self.operator.ent.admin("operator", because="INC-4711: payroll is due today")
        admin.override("tiny-shop", "hr", True, until=until)
        return self._get("tiny-shop", "/hr/payroll-runs")

    def _override_over(self) -> Seen:
        self.stage.clock.advance(hours=25)
        reply = self.stage.first.call.get("/hr/payroll-runs", token=self.token("tiny-shop"))
        self.reference = str(reply.body.get("reference", ""))
        return _said(reply)

    def _suspend(self) -> Seen:
        call, token = self.stage.second.call, self.token("everything")
        before = [call.get("/hr/payroll-runs", token=token).status for _ in range(3)]
        if before != [200] * 3:
            return Seen(f"{before} before it was suspended", 0.0, ok=False)
        self.operator.ent.admin("operator", because="INC-4712: fraud is suspected").suspend("everything")
        begun = time.perf_counter()
        while True:
            reply = call.get("/hr/payroll-runs", token=token)
            took = time.perf_counter() - begun
            if reply.status != 200 or took > SEEN_WITHIN:
                return Seen(reply.said, took * 1000)
            time.sleep(_LOOK_EVERY)

    def _reinstate(self) -> Seen:
        self.operator.ent.admin("operator", because="INC-4712: a mistake").reinstate("everything")
        call, token = self.stage.second.call, self.token("everything")
        # A refusal is only given on what was true a second ago: the first answer that may refuse asks the store.
        begun = time.perf_counter()
        while True:
            reply = call.get("/hr/payroll-runs", token=token)
            took = time.perf_counter() - begun
            if reply.status == 200 or took > SEEN_WITHIN:
                return Seen(reply.said, took * 1000)
            time.sleep(_LOOK_EVERY)

    def _explain(self) -> Seen:
        begun = time.perf_counter()
        said = read_reference(self.reference)
        tenant = found_tenant(self.operator, said)
        catalog = self.operator.published().catalog
        feature = said.feature_among([*catalog.modules, *catalog.features])
        reason = None if said.reason is None else said.reason.value
        return Seen(f"{tenant} {feature} {reason}", (time.perf_counter() - begun) * 1000)


def _said(reply: Reply) -> Seen:
    return Seen(reply.said, reply.ms)


def _remedies(reply: Reply) -> list[Mapping[str, object]]:
    found = reply.body.get("remedies")
    return cast("list[Mapping[str, object]]", found) if isinstance(found, list) else []


def _at(body: Mapping[str, object], *path: str) -> object:
    found: object = body
    for part in path:
        found = found.get(part) if isinstance(found, dict) else None
    return found
