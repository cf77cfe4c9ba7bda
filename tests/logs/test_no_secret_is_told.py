"""
T-5: whatever is handed to the library, or quoted by a driver, no secret in it reaches a log or a client.

As somebody has it who took an id for a place to put a token, or whose driver quotes the URL that it could not reach.
"""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import structlog
from structlog.testing import capture_logs

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.errors import EntitlementError, ModuleFailed, StoreUnavailable, TenantConflict
from payaid_entitlements.logs import redact
from payaid_entitlements.stores.memory import MemoryStore
from payaid_entitlements.testing import FaultyStore
from payaid_entitlements.web import Answers, module_boundary
from payaid_entitlements.web.answers import ANSWERED
from payaid_entitlements.web.boundary import MODULES
from tests.core.test_redacting import SHAPES

CATALOG = Catalog.load(
    {
        "catalog": 1,
        "default_plan": "free",
        "modules": {"crm": {"features": {"contacts": {"kind": "quota"}}}, "hr": {}},
        "plans": {"free": {"modules": ["crm"], "features": {"crm.contacts": "2/month"}}},
        "rate_limits": {"export": {"per": "user", "default": "1/minute"}},
        "flags": {"beta": {}},
    }
)

#: By the numbers of the shapes that cannot be ids: they are refused before anything is done with them.
Call = Callable[[Entitlements, str], object]
CALLS: dict[str, Call] = {
    "tenant": lambda ent, text: ent.require(text, "hr"),
    "user": lambda ent, text: ent.tenant("acme", user=text).require("hr"),
    "feature": lambda ent, text: ent.check("acme", text),
    "value": lambda ent, text: ent.value("acme", text, int),
    "flag": lambda ent, text: ent.tenant("acme").flag(text),
    "attributes": lambda ent, text: ent.tenant("acme").flag("beta", attributes={"note": text}),
    "consume": lambda ent, text: [ent.consume(text, "crm.contacts", 2, operation=(text, n)) for n in range(2)],
    "refund": lambda ent, text: ent.refund("acme", operation=text),
    "rate limit": lambda ent, text: [ent.rate_limit("acme", "export", user=text) for _ in range(2)],
    "unknown limit": lambda ent, text: ent.rate_limit("acme", text),
    "plan": lambda ent, text: ent.admin("tests", because="T-5").subscribe("acme", text),
    "because": lambda ent, text: ent.admin(text, because=text).override("acme", "hr", True),
    "explain": lambda ent, text: ent.explain(text, "hr").to_text(),
}


@pytest.fixture(params=["structlog", "logging"])
def log(request) -> Iterator[Callable[[], str]]:
    """Everything that is logged, at the lowest level, by either way."""
    if request.param == "structlog":
        with capture_logs() as said:
            yield lambda: repr(said)
        structlog.reset_defaults()
        return
    structlog.reset_defaults()
    out = io.StringIO()
    handler, logger = logging.StreamHandler(out), logging.getLogger("payaid_entitlements")
    handler.setFormatter(logging.Formatter("%(message)s %(payaid)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    yield out.getvalue
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


def told(error: Exception) -> bytes:
    """What a client is told of *error*."""
    return Answers().say(error).content if isinstance(error, ANSWERED) else b""


def test_no_public_call_tells_a_secret(log):
    """Neither to the log nor, of what was not the key that the host's own code asked for, to the client."""
    answers = []
    with Entitlements.open("memory://", catalog=CATALOG, strict=False) as ent:
        for text, secret in SHAPES:
            for name, call in CALLS.items():
                try:
                    call(ent, text)
                except (EntitlementError, TypeError, ValueError) as error:
                    answers.append(told(error))
                    if name not in ("feature", "value"):
                        assert secret.encode() not in answers[-1], name
    said = log()
    assert "refused" in said
    assert any(answers)
    assert [secret for _, secret in SHAPES if secret in said] == []


def test_no_failure_tells_a_secret(log):
    """Of a store that cannot be reached, of a module, of a request that names two tenants."""
    store = FaultyStore(MemoryStore())
    for text, secret in SHAPES:
        MODULES.forget()
        errors: list[Exception] = [TenantConflict({"token": text, "host": "acme"}), StoreUnavailable(text)]
        with suppress(ModuleFailed), module_boundary("crm"):
            errors.append(ModuleFailed("crm", reference="0"))
        for error in errors:
            assert secret.encode() not in told(error)
    with Entitlements(store, catalog=CATALOG) as ent:
        store.faults.is_down = True
        for text, _ in SHAPES[:5]:
            with suppress(StoreUnavailable, TypeError):
                ent.require(text, "crm")
    said = log()
    assert "tenant.conflict" in said
    assert [secret for _, secret in SHAPES if secret in said] == []


def test_no_traceback_tells_a_secret():
    """As `logging` writes it; structlog has a processor for it, and whoever is to debug gets the error itself."""
    structlog.reset_defaults()
    out, records = io.StringIO(), []
    handler, logger = logging.StreamHandler(out), logging.getLogger("payaid_entitlements")
    handler.addFilter(lambda record: records.append(record) or True)
    logger.addHandler(handler)
    try:
        for text, _ in SHAPES:
            MODULES.forget()
            with suppress(ModuleFailed), module_boundary("crm"):
                raise OSError(f"cannot go on: {text}") from ValueError(text)
    finally:
        logger.removeHandler(handler)
    said = out.getvalue()
    assert said.count("module.failed") == said.count("OSError: cannot go on: ") == len(SHAPES)
    assert "in test_no_traceback_tells_a_secret\n" in said
    assert [secret for _, secret in SHAPES if secret in said] == []
    assert {type(each.exc_info[1]) for each in records} == {OSError}


def test_structlog_tells_none_either_as_the_how_to_sets_it_up():
    """Text is made of an error before it is masked; a renderer would show what is left of it as it is."""
    out = io.StringIO()
    processors = [structlog.processors.format_exc_info, redact, structlog.processors.KeyValueRenderer()]
    structlog.configure(processors=processors, logger_factory=structlog.PrintLoggerFactory(out))
    try:
        for text, _ in SHAPES:
            MODULES.forget()
            with suppress(ModuleFailed), module_boundary("crm"):
                raise OSError(f"cannot go on: {text}")
    finally:
        structlog.reset_defaults()
    said = out.getvalue()
    assert said.count("OSError: cannot go on: ") == len(SHAPES)
    assert [secret for _, secret in SHAPES if secret in said] == []
