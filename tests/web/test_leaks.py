"""Whatever goes wrong inside, and whatever it says: clients read no SQL, path, host, traceback or key."""

from __future__ import annotations

import random
import re
import traceback
from collections.abc import Callable, Iterator

import pytest

from payaid_entitlements import Decision, Reason
from payaid_entitlements.errors import (
    CatalogInvalid,
    ChangeConflict,
    ConfigurationError,
    EntitlementError,
    NoCurrentTenant,
    NotEntitled,
    OperationConflict,
    OperationUnnamed,
    OutcomeUnknown,
    ReservationExpired,
    RouteUnknown,
    SlotTaken,
    StoreDamaged,
    StoreUnavailable,
    TenantConflict,
    TenantUnidentified,
    UnknownTenant,
    ViewExpired,
)
from tests.web.across import ADAPTERS
from tests.web.golden.errors import BROWSER, furnished

#: What a scanner finds without knowing what was hidden.
LEAKS = {
    "SQL": r"(?i)\b(select|insert|update|delete|create|alter)\b[^<]{0,40}\b(from|into|table|set|where)\b|\brelation \"",
    "path": r"(?<![\w<.])(?:/(?:srv|usr|home|tmp|var|etc|opt|app|root)/|[A-Z]:\\)|\.pyc?\b|site-packages",
    "host": r"\b(?:\d{1,3}\.){3}\d{1,3}\b|\b[\w-]+\.(?:internal|local|svc|lan)\b|\b\w+://[^/\s]*:[^/\s]*@|:5432|:6379",
    "traceback": r"Traceback|File \"|line \d+|\bin <module>|0x[0-9a-f]{6,}|\b\w+Error\b|\b\w+Exception\b",
    "key": r"sk_live_|sk_test_|AKIA[A-Z0-9]|eyJ[\w-]+\.|-----BEGIN|(?i:password|secret|api[_-]?key|bearer )\s*[=:]",
    "tenant": r"umbrella|initech",
}


def scan(text: str) -> list[str]:
    """What *text* gives away."""
    return [f"{kind}: {found[0]!r}" for kind, shape in LEAKS.items() if (found := re.search(shape, text))]


def _secret(chance: random.Random) -> str:
    number = chance.randrange(1_000_000)
    return chance.choice(
        [
            f'psycopg.errors.UndefinedTable: relation "payaid_tenants_{number}" does not exist',
            f"SELECT facts FROM payaid_facts WHERE tenant = 'umbrella' AND revision > {number}",
            f"INSERT INTO payaid_usage VALUES ({number})",
            f"postgresql://payaid:hunter{number}@db-{number}.internal:5432/app",
            f"could not connect to 10.0.{number % 256}.7:6379",
            f"/srv/app/billing/views_{number}.py",
            rf"C:\apps\billing\{number}.py",
            f"sk_live_{number}abcdef",
            f"AKIA{number}EXAMPLE",
            f"eyJhbGciOiJIUzI1NiJ9.{number}.x",
            f"password={number}",
            "-----BEGIN PRIVATE KEY-----",
            f"<Row object at 0x7f{number:08x}>",
            f"KeyError: '{number}'",
            f"initech's invoice {number}",
        ]
    )


def _made(chance: random.Random) -> EntitlementError:
    """An error of any kind, with a message and a cause that say too much, and with a traceback."""
    said = _secret(chance)
    feature = chance.choice(["hr", "crm.export", "nothing.of.it"])
    kinds: list[Callable[[], EntitlementError]] = [
        lambda: StoreUnavailable(said),
        lambda: StoreDamaged(said),
        lambda: OutcomeUnknown(said, operation=said),
        lambda: OperationConflict(said),
        lambda: OperationUnnamed(said),
        lambda: ReservationExpired(said, operation=said),
        lambda: ChangeConflict(said, expected=1, found=2),
        lambda: SlotTaken(said),
        lambda: RouteUnknown(said),
        lambda: TenantUnidentified(said),
        lambda: TenantConflict({said: "umbrella", "host": said}),
        lambda: NotEntitled(Decision(False, chance.choice(list(Reason)), feature, said, said), tenant="umbrella"),
        lambda: NotEntitled(Decision(False, Reason.PLAN_MODULE_ABSENT, feature, said), tenant="free"),
        # Mistakes of the host: a 500, of which clients learn nothing.
        lambda: UnknownTenant(said),
        lambda: ConfigurationError(said),
        lambda: NoCurrentTenant(said),
        lambda: ViewExpired(said),
        lambda: CatalogInvalid([]),
    ]
    return chance.choice(kinds)()


def _raise(seed: str) -> None:
    chance = random.Random(seed)
    try:
        raise RuntimeError(_secret(chance))
    except RuntimeError as cause:
        raise _made(chance) from cause


def test_the_scanner_finds_what_is_hidden():
    """
    Else it would find nothing in answers either.
    """
    chance = random.Random(7)

    assert all(scan(_secret(chance)) for _ in range(200))
    try:
        _raise("7")
    except EntitlementError as error:
        assert scan("".join(traceback.format_exception(error)))


def _bodies(name: str, count: int) -> Iterator[tuple[str, str]]:
    chance = random.Random(name)
    with furnished() as ent, ADAPTERS[name](ent, _raise) as ask:
        for number in range(count):
            fields = {
                "X-Tenant": chance.choice(["free", "pro", "denied"]),
                "Accept": chance.choice(["*/*", BROWSER, "application/json"]),
                "Accept-Language": chance.choice(["en", "de", "hi", "fr"]),
            }
            answer = ask(f"{name}{number}", fields)
            assert answer.status >= 400
            fields = "\n".join(f"{field}: {value}" for field, value in answer.headers if field != "date")
            yield f"{name}{number}", f"{fields}\n\n{answer.body.decode()}"


@pytest.mark.parametrize("name", ADAPTERS)
@pytest.mark.parametrize("count", [34, pytest.param(834, marks=pytest.mark.soak)])
def test_no_error_tells_what_is_inside(name, count):
    """
    Some 200 bodies over all frameworks, and some 5,000 in the long version.
    """
    found = {seed: leaks for seed, text in _bodies(name, count) if (leaks := scan(text))}

    assert found == {}
