"""
The story that the demo tells: each step does something over HTTP, or at an operator's terminal, and looks.

A step says beforehand what it expects; what it got is compared, never adjusted.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Literal, cast

from payaid_entitlements.cli.demo.calling import Caller, Reply
from payaid_entitlements.cli.demo.stage import Stage
from payaid_entitlements.cli.opening import Opened
from payaid_entitlements.cli.references import found_tenant
from payaid_entitlements.core.flags.forecasting import Forecast
from payaid_entitlements.core.reference import read_reference

#: Seconds within which every process has seen a change without a channel: the promise.
SEEN_WITHIN = 5.0
#: Seconds between two looks while a change is waited for.
_LOOK_EVERY = 0.02
#: Requests that want the same thing at once.
CROWD = 20
#: Requests of the closing measurement.
REQUESTS = 400

#: What each tenant may read right after the seeding, of the modules in `_MODULES`.
HOLDS = {
    "tiny-shop": "crm",
    "crm-only": "crm",
    "kaveri": "crm invoicing",
    "everything": "crm invoicing accounting hr whatsapp analytics",
    "lapsed": "crm",
    "trial": "crm invoicing",
    "late-payer": "crm invoicing accounting hr analytics",
    "very-late": "crm invoicing accounting hr analytics",
    "on-leave": "crm invoicing",
    "favoured": "crm invoicing hr",
    "old-friend": "crm invoicing",
    "growing": "crm invoicing",
}
_MODULES = {
    "crm": "/crm/contacts",
    "invoicing": "/invoices",
    "accounting": "/accounting/ledgers",
    "hr": "/hr/payroll-runs",
    "whatsapp": "/whatsapp/messages",
    "analytics": "/analytics/dashboards",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """
    What was got.

    Attributes:
        ms: Of the request that decided, or how long the change took to be seen.
        ok: Where equality with what was expected does not say it.
        exhibit: To be shown below the step: what came over the wire.
    """

    got: str
    ms: float
    ok: bool | None = None
    exhibit: str = ""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step came to; *ms* and *exhibit* as in `Seen`."""

    chapter: str
    step: str
    expected: str
    got: str
    ok: bool
    ms: float
    exhibit: str = ""

    def as_data(self) -> dict[str, object]:
        """It as JSON data."""
        return {
            "step": f"{self.chapter}: {self.step}",
            "expected": self.expected,
            "got": self.got,
            "ok": self.ok,
            "ms": round(self.ms, 2),
        }


#: A step as it is planned: what is done, what is expected, and the doing.
Plan = tuple[str, str, Callable[[], Seen]]


@dataclass(slots=True)
class Story:
    """
    Tells the story on a stage.

    Attributes:
        operator: The store as the demo's own process has it open: a third process on the same file.
        tenants: What each of them is, by its id.
        token: What a member of a tenant sends.
        signed: What the payment provider signs with.
        reference: Of the refusal that support is asked about.
    """

    stage: Stage
    operator: Opened
    tenants: Mapping[str, str]
    token: Callable[[str], str]
    signed: Callable[[bytes], str]
    reference: str = ""

    def tell(self) -> Iterator[Step]:
        """Tell it, step by step. A step that fails in any way is a step that is not ok; the next ones still run."""
        for chapter, steps in (
            ("twelve tenants, six modules", self._who_holds_what()),
            ("one request", self._one_request()),
            ("what is used up", self._usage()),
            ("money", self._money()),
            ("a rollout", self._rollout()),
            ("time passes", self._time()),
            ("operators", self._operators()),
            ("speed", self._speed()),
        ):
            for title, expected, act in steps:
                begun = time.perf_counter()
                try:
                    seen = act()
                except Exception as error:  # the demo reports whatever went wrong, and goes on
                    seen = Seen(f"{type(error).__name__}: {error}", (time.perf_counter() - begun) * 1000, ok=False)
                ok = seen.got == expected if seen.ok is None else seen.ok
                yield Step(chapter, title, expected, seen.got, ok, seen.ms, seen.exhibit)

    # -- chapters -----------------------------------------------------------------------------------------------

    def _who_holds_what(self) -> Iterator[Plan]:
        for tenant, what in self.tenants.items():
            yield f"{tenant}: {what}", HOLDS.get(tenant, ""), partial(self._opens, tenant)

    def _one_request(self) -> Iterator[Plan]:
        first = self.stage.first.call
        yield "nobody is logged in: your login answers, before any gate", "401", lambda: _said(first.get("/invoices"))
        yield (
            "crm-only opens invoices: refused, and the body says what would open them",
            "402 plan.module_absent, try starter",
            lambda: self._refused("crm-only", "/invoices", is_shown=True),
        )
        yield "kaveri exports CSV: a feature inside a module", "200", lambda: self._get("kaveri", "/crm/export")
        yield (
            "crm-only does not: its plan has the module, not the feature",
            "402 plan.feature_absent, try starter",
            lambda: self._refused("crm-only", "/crm/export"),
        )
        yield "old-friend keeps 3 seats; kaveri, who bought later, has 5", "3 and 5 seats", self._old_version

    def _usage(self) -> Iterator[Plan]:
        yield "everything runs payroll: 2 runs a month are sold", "201, 1 left", lambda: self._payroll("run-1")
        yield "the browser sends it again: counted once", "201, 1 left, seen before", lambda: self._payroll("run-1")
        yield f"{CROWD} more at once, in both processes: the last one is had once", f"1 of {CROWD}", self._crowd
        yield (
            "and after that it is refused, with what would help",
            "402 quota.exhausted, wait_until",
            lambda: self._payroll("run-2"),
        )

    def _money(self) -> Iterator[Plan]:
        paid = datetime.fromtimestamp(self.stage.clock(), UTC)
        second = self.stage.second.call
        yield (
            "tiny-shop opens invoices in the second process: refused, and remembered there",
            "402 plan.module_absent, try starter",
            lambda: self._refused("tiny-shop", "/invoices", second),
        )
        yield (
            "tiny-shop buys starter: the webhook arrives in the first process",
            "applied",
            lambda: self._buys("pay-1", "starter", paid),
        )
        yield "the very next request passes", "201", lambda: self._post("tiny-shop", "/invoices")
        yield (
            "and soon in the second process: no refusal is older than a second",
            "200",
            lambda: self._awaited(200, "tiny-shop", "/invoices", second),
        )
        yield (
            "the provider sends the webhook again: nothing happens twice",
            "change.repeated",
            lambda: self._buys("pay-1", "starter", paid),
        )
        yield (
            "an older one arrives late: it does not undo the newer one",
            "change.superseded",
            lambda: self._buys("pay-0", "free", paid - timedelta(hours=1)),
        )

    def _rollout(self) -> Iterator[Plan]:
        path = "/invoices/recurring"
        yield (
            "new-checkout is on for nobody yet: not even everything may use what it narrows",
            "403 flag.rollout_excluded",
            lambda: self._post("everything", path),
        )
        yield "10 % of tenants get it; who enters is counted before", _entering(2), lambda: self._grow(10)
        yield "50 %: who was in stays in", _entering(6), lambda: self._grow(50)
        yield "100 %", _entering(4), lambda: self._grow(100)
        yield (
            "everything may now, in the process that was not told",
            "201",
            lambda: self._awaited(201, "everything", path, self.stage.second.call, is_write=True),
        )
        yield (
            "it loses orders: killed for everybody, no deployment",
            "403 flag.off",
            lambda: self._turn("kill", 403),
        )
        yield "mended: restored to the 100 % that it had", "201", lambda: self._turn("restore", 201)

    def _time(self) -> Iterator[Plan]:
        yield "trial, on day 1 of 14, writes an invoice", "201", lambda: self._post("trial", "/invoices")
        yield (
            "late-payer is 3 days overdue: in grace, it may still write",
            "201",
            lambda: self._post("late-payer", "/invoices"),
        )
        yield "an operator opens hr to tiny-shop for 24 hours", "200", self._override
        yield "25 hours later that is over, by itself", "402 plan.module_absent", self._override_over
        yield (
            "5 days later late-payer may read ...",
            "200",
            lambda: self._days_later(5, lambda: self._get("late-payer", "/invoices")),
        )
        yield (
            "... and not write",
            "402 subscription.past_due",
            lambda: self._refused("late-payer", "/invoices", is_write=True),
        )
        yield (
            "9 days later the trial is over: no job ran, no webhook came",
            "402 subscription.trial_ended, try starter",
            lambda: self._days_later(9, lambda: self._refused("trial", "/invoices")),
        )

    def _operators(self) -> Iterator[Plan]:
        yield (
            "on-leave has paused: reading passed above, writing is refused",
            "403 subscription.paused",
            lambda: self._refused("on-leave", "/invoices", is_write=True),
        )
        yield (
            f"everything is suspended: a process that has it near sees it within {SEEN_WITHIN:.0f} s",
            "403 subscription.suspended",
            self._suspend,
        )
        yield "it is reinstated: open again within a second", "200", self._reinstate
        yield (
            "support reads the reference on tiny-shop's refusal: who, what, why",
            "tiny-shop hr plan.module_absent",
            self._explain,
        )

    def _speed(self) -> Iterator[Plan]:
        yield f"{REQUESTS} more requests, one after the other", f"200 x {REQUESTS}", self._many

    # -- what steps do ------------------------------------------------------------------------------------------

    def _opens(self, tenant: str) -> Seen:
        token = self.token(tenant)
        replies = {key: self.stage.first.call.get(path, token=token) for key, path in _MODULES.items()}
        odd = [f"{key} {reply.said}" for key, reply in replies.items() if reply.status not in (200, 402)]
        opened = " ".join(key for key, reply in replies.items() if reply.status == 200)
        return Seen(", ".join(odd) or opened, max(reply.ms for reply in replies.values()))

    def _get(self, tenant: str, path: str, call: Caller | None = None) -> Seen:
        return _said((call or self.stage.first.call).get(path, token=self.token(tenant)))

    def _post(self, tenant: str, path: str) -> Seen:
        return _said(self.stage.first.call.post(path, token=self.token(tenant)))

    def _refused(
        self, tenant: str, path: str, call: Caller | None = None, *, is_write: bool = False, is_shown: bool = False
    ) -> Seen:
        call = call or self.stage.first.call
        reply = call.post(path, token=self.token(tenant)) if is_write else call.get(path, token=self.token(tenant))
        plans = [remedy.get("plan") for remedy in _remedies(reply) if remedy.get("plan")]
        got = f"{reply.said}, try {plans[0]}" if plans else reply.said
        return Seen(got, reply.ms, exhibit=_exhibit(path, reply) if is_shown else "")

    def _payroll(self, key: str) -> Seen:
        return _run(self.stage.first.call, self.token("everything"), key)

    def _crowd(self) -> Seen:
        token, begun = self.token("everything"), time.perf_counter()
        processes = (self.stage.first, self.stage.second)

        def run(number: int) -> str:
            call = processes[number % 2].caller()
            try:
                return _run(call, token, f"crowd-{number}").got
            finally:
                call.close()

        with ThreadPoolExecutor(CROWD) as crowd:
            said = list(crowd.map(run, range(CROWD)))
        odd = [each for each in said if not each.startswith(("201, ", "402 quota.exhausted"))]
        passed = sum(each.startswith("201, ") for each in said)
        return Seen(", ".join(odd) or f"{passed} of {CROWD}", (time.perf_counter() - begun) * 1000)

    def _days_later(self, days: int, act: Callable[[], Seen]) -> Seen:
        self.stage.clock.advance(days=days)
        return act()

    def _old_version(self) -> Seen:
        replies = [self.stage.first.call.get("/billing", token=self.token(each)) for each in ("old-friend", "kaveri")]
        seats = [_at(reply.body, "features", "seats", "value", "limit") for reply in replies]
        return Seen(f"{seats[0]} and {seats[1]} seats", max(reply.ms for reply in replies))

    def _buys(self, payment: str, plan: str, paid: datetime) -> Seen:
        purchase = {"id": payment, "tenant": "tiny-shop", "plan": plan, "created_at": paid.isoformat()}
        body = json.dumps(purchase).encode()
        headers = {"Signature": self.signed(body)}
        reply = self.stage.first.call.post("/webhooks/purchases", body=body, headers=headers)
        return Seen(
            "applied" if reply.body.get("applied") is True else str(reply.body.get("reason", reply.said)), reply.ms
        )

    def _override(self) -> Seen:
        until = datetime.fromtimestamp(self.stage.clock(), UTC) + timedelta(hours=24)
        admin = self.operator.ent.admin("operator", because="INC-4711: payroll is due today")
        admin.override("tiny-shop", "hr", True, until=until)
        return self._awaited(200, "tiny-shop", "/hr/payroll-runs", self.stage.first.call)

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
        return self._awaited(403, "everything", "/hr/payroll-runs", call)

    def _reinstate(self) -> Seen:
        self.operator.ent.admin("operator", because="INC-4712: a mistake").reinstate("everything")
        return self._awaited(200, "everything", "/hr/payroll-runs", self.stage.second.call)

    def _grow(self, percent: int) -> Seen:
        admin, begun = self.operator.ent.admin("operator", because=f"{percent} %"), time.perf_counter()
        told = admin.forecast("new-checkout", percent)
        admin.rollout("new-checkout", percent)
        return Seen(str(told), (time.perf_counter() - begun) * 1000)

    def _turn(self, verb: Literal["kill", "restore"], status: int) -> Seen:
        admin = self.operator.ent.admin("operator", because="INC-4713: orders are lost")
        (admin.kill if verb == "kill" else admin.restore)("new-checkout")
        return self._awaited(status, "everything", "/invoices/recurring", self.stage.second.call, is_write=True)

    def _awaited(self, status: int, tenant: str, path: str, call: Caller, *, is_write: bool = False) -> Seen:
        """Ask again and again until the answer is *status*, or the promise is broken."""
        token = self.token(tenant)
        begun = time.perf_counter()
        while True:
            reply = call.post(path, token=token) if is_write else call.get(path, token=token)
            took = time.perf_counter() - begun
            if reply.status == status or took > SEEN_WITHIN:
                return Seen(reply.said, took * 1000)
            time.sleep(_LOOK_EVERY)

    def _explain(self) -> Seen:
        begun = time.perf_counter()
        said = read_reference(self.reference)
        tenant = found_tenant(self.operator, said)
        catalog = self.operator.published().catalog
        feature = said.feature_among([*catalog.modules, *catalog.features])
        reason = None if said.reason is None else said.reason.value
        ms = (time.perf_counter() - begun) * 1000
        return Seen(f"{tenant} {feature} {reason}", ms, exhibit=f"payaid explain --reference {self.reference}")

    def _many(self) -> Seen:
        self.stage.timings.clear()
        token = self.token("kaveri")
        replies = [self.stage.first.call.get("/crm/contacts", token=token) for _ in range(REQUESTS)]
        passed = sum(reply.status == 200 for reply in replies)
        return Seen(f"200 x {passed}", percentile(self.stage.timings, 50))


def _entering(count: int) -> str:
    return str(Forecast("new-checkout", enter=count))


def percentile(values: Sequence[float], percent: int) -> float:
    """The smallest of *values* that at least *percent* of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _exhibit(path: str, reply: Reply) -> str:
    """What came over the wire, a line a member, without what is long."""
    remedies = _remedies(reply)
    body = {**reply.body, "remedies": [remedies[0], "..."] if len(remedies) > 1 else remedies}
    members = ("title", "detail", "reason", "remedies", "reference")
    lines = (f"  {json.dumps(key)}: {json.dumps(body[key], ensure_ascii=False)}" for key in members if key in body)
    return "\n".join((f"GET {path} -> {reply.status}", "{", ",\n".join(lines), "}"))


def _run(call: Caller, token: str, key: str) -> Seen:
    """Run payroll, under the name *key*."""
    reply = call.post("/hr/payroll-runs", token=token, headers={"Idempotency-Key": key})
    if reply.status != 201:
        kinds = [str(remedy.get("kind")) for remedy in _remedies(reply)]
        return Seen(f"{reply.said}, {kinds[0]}" if kinds else reply.said, reply.ms)
    seen = ", seen before" if reply.body.get("seen_before") else ""
    return Seen(f"201, {reply.body.get('left')} left{seen}", reply.ms)


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
