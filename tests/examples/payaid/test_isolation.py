"""
T-1: no route lets anybody see or touch what is another tenant's, whoever asks and however they ask.

The matrix is made of the app's own table of routes: a route without an entry here fails. Each is asked by five kinds of
people of each of three tenants, about what is their own, another tenant's and nobody's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import product

import pytest

from payaid_entitlements.web.fastapi.walking import all_places
from tests.examples.payaid.calling import Answer, call
from tests.examples.payaid.loading import Loaded, loaded

#: By tenant: its plan, and a word that stands in its rows and nowhere else.
TENANTS = {
    "acme": ("enterprise", "canary-of-acme-5f1d"),
    "bolt": ("enterprise", "canary-of-bolt-9c02"),
    "cosy": ("free", "canary-of-cosy-77ae"),
}
#: An id that nobody has.
MISSING = 10**9

Headers = dict[str, str]


def honest(app: Loaded, tenant: str, other: str) -> Headers:
    return app.headers(tenant)


def second(app: Loaded, tenant: str, other: str) -> Headers:
    """Another member, of the same name as one of the other tenant."""
    return app.headers(tenant, user="ravi")


def pretending(app: Loaded, tenant: str, other: str) -> Headers:
    """Logged in, and names another tenant everywhere else."""
    return app.headers(tenant) | {
        "X-Tenant": other,
        "X-Tenant-Id": other,
        "X-Forwarded-Host": f"{other}.example.com",
        "Cookie": f"tenant={other}; session={other}",
        "Host": f"{other}.example.com",
    }


def forging(app: Loaded, tenant: str, other: str) -> Headers:
    """Puts the signature of their own token below what another one says."""
    payload, _, _ = app.login.token(other).rpartition(".")
    _, _, signature = app.login.token(tenant).rpartition(".")
    return {"Authorization": f"Bearer {payload}.{signature}"}


def nobody(app: Loaded, tenant: str, other: str) -> Headers:
    return {"X-Tenant": other}


#: Kinds of people, and whether a login lets them in.
ROLES: dict[Callable[[Loaded, str, str], Headers], bool] = {
    honest: True,
    second: True,
    pretending: True,
    forging: False,
    nobody: False,
}


@dataclass(frozen=True)
class Asked:
    """
    How a route is asked.

    Attributes:
        is_open: It is asked by nobody's tenant: the load balancer, a provider that signs.
        body: What is sent.
        by_id: It is about one thing.
        done: How it answers whose thing it is.
    """

    is_open: bool = False
    body: object = None
    by_id: bool = False
    done: int = 200
    query: str = ""


ROUTES = {
    "GET /crm/contacts": Asked(),
    "POST /crm/contacts": Asked(body={"name": "somebody new"}),
    "GET /crm/contacts/{contact}": Asked(by_id=True),
    "DELETE /crm/contacts/{contact}": Asked(by_id=True, done=204),
    "GET /crm/export": Asked(),
    "GET /invoices": Asked(),
    "POST /invoices": Asked(),
    "POST /invoices/recurring": Asked(),
    "GET /accounting/ledgers": Asked(),
    "POST /accounting/gst-filings": Asked(),
    "GET /hr/payroll-runs": Asked(),
    "POST /hr/payroll-runs": Asked(),
    "GET /whatsapp/messages": Asked(),
    "GET /analytics/dashboards": Asked(),
    "GET /billing": Asked(),
    "GET /billing/usage": Asked(),
    "GET /billing/upgrade": Asked(query="feature=hr.payroll_runs"),
    "POST /webhooks/purchases": Asked(
        is_open=True,
        body={"id": "p-1", "tenant": "acme", "plan": "free", "created_at": "2026-01-01T00:00:00Z"},
    ),
    "GET /health": Asked(is_open=True),
}


@pytest.fixture(scope="module")
def app() -> Iterator[Loaded]:
    with loaded() as found:
        for tenant, (plan, word) in TENANTS.items():
            if plan != "free":
                found.inside.subscribe(tenant, plan)
            found.app.rows.add(tenant, found.app.NewContact(name=word))
        yield found


def routes(app: Loaded) -> list[str]:
    return [f"{method} {place.path}" for place in all_places(app.app.app) for method in place.methods]


def own(app: Loaded, tenant: str) -> int:
    """The id of this tenant's first row, made anew where somebody has removed it."""
    word = TENANTS[tenant][1]
    for each in app.app.rows.of(tenant):
        if each.name == word:
            return int(each.id)
    return int(app.app.rows.add(tenant, app.app.NewContact(name=word)).id)


def test_every_route_has_an_entry(app: Loaded) -> None:
    assert sorted(routes(app)) == sorted(ROUTES)


async def answer(app: Loaded, route: str, number: int, headers: Headers) -> Answer:
    asked = ROUTES[route]
    method, _, path = route.partition(" ")
    return await call(
        app.app.app,
        method,
        path.replace("{contact}", str(number)) + (f"?{asked.query}" if asked.query else ""),
        headers={"Idempotency-Key": "run-1"} | headers,
        body=asked.body,
    )


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_sees_or_touches_what_is_another_tenants(app: Loaded, route: str) -> None:
    asyncio.run(_all_roles(app, route))


async def _all_roles(app: Loaded, route: str) -> None:
    asked = ROUTES[route]
    for (role, is_let_in), tenant in product(ROLES.items(), TENANTS):
        other = next(each for each in TENANTS if each != tenant)
        theirs, ours = own(app, other), own(app, tenant)
        before = {each: app.app.rows.of(each) for each in TENANTS if each != tenant}
        headers = role(app, tenant, other)
        foreign, missing, mine = [await answer(app, route, number, headers) for number in (theirs, MISSING, ours)]

        case = f"{route} asked by {role.__name__} of {tenant}"
        for said in (mine, foreign, missing):
            for each, (_, word) in TENANTS.items():
                if each != tenant or not is_let_in:
                    assert word not in said.text(), case
            assert said.status < 500, case
            if not is_let_in and not asked.is_open:
                assert said.status == 401, case
        if asked.by_id:
            assert foreign == missing, case
            assert foreign.status == (404 if is_let_in else 401), case
            assert mine.status == (asked.done if is_let_in else 401), case
            if is_let_in and asked.done == 200:
                assert TENANTS[tenant][1] in mine.text(), case
        assert {each: app.app.rows.of(each) for each in before} == before, case
