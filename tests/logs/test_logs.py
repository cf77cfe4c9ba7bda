"""The parts for the host's own logging."""

from __future__ import annotations

import io
import logging

import pytest
import structlog

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.logs import Redact, add_tenant, redact
from payaid_entitlements.web.finding import LazyBinding

CATALOG = Catalog.load(
    {"catalog": 1, "default_plan": "free", "modules": {"crm": {}}, "plans": {"free": {"modules": ["crm"]}}}
)


@pytest.fixture
def ent():
    """A client that knows nobody yet."""
    with Entitlements.open("memory://", catalog=CATALOG) as opened:
        yield opened


def processed(**event):
    return redact(None, "info", add_tenant(None, "info", {"event": "paid", **event}))


def test_a_line_says_whose_request_it_was(ent):
    """Where that is bound; what the line says itself stays."""
    assert processed() == {"event": "paid"}
    with ent.bind("acme"):
        assert processed() == {"event": "paid", "tenant": "acme"}
    with ent.bind("acme", user="u1"):
        assert processed(tenant="globex") == {"event": "paid", "tenant": "globex", "user": "u1"}


def test_nobody_is_looked_for_by_a_line_of_a_log(ent):
    """It would ask a store, or fail where nobody is to be found."""

    def find():
        pytest.fail("somebody was looked for")

    with bound_lazily(ent, find):
        assert processed() == {"event": "paid"}
        assert text_of("%(message)s %(tenant)s", "paid") == "paid -"


def bound_lazily(ent, find):
    from payaid_entitlements.binding import CURRENT

    class Bound:
        def __enter__(self):
            self.token = CURRENT.set(LazyBinding(ent, find))

        def __exit__(self, *error):
            CURRENT.reset(self.token)

    return Bound()


def test_secrets_are_masked_and_an_exception_keeps_its_lines():
    """What is not text is left for those behind."""
    error = ValueError()
    assert processed(password="x", exc_info=error, exception="a\n  at redis://:pw@h\n", n=1) == {
        "event": "paid",
        "password": "***",
        "exc_info": error,
        "exception": "a\n  at redis://***@h",
        "n": 1,
    }


def test_it_works_among_the_processors_of_structlog():
    """As a host puts it there."""
    out = io.StringIO()
    logger = structlog.wrap_logger(
        structlog.PrintLogger(out), processors=[add_tenant, redact, structlog.processors.JSONRenderer(sort_keys=True)]
    )
    logger.info("paid", token="abc", note="mail to asha@example.com")
    assert out.getvalue() == '{"event": "paid", "note": "mail to a***@example.com", "token": "***"}\n'


def text_of(layout, message, *args, **more):
    """What a handler with the filter writes."""
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    handler.addFilter(Redact())
    handler.setFormatter(logging.Formatter(layout))
    logger = logging.getLogger("tests.logs")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        logger.warning(message, *args, **more)
    finally:
        logger.removeHandler(handler)
    return out.getvalue().rstrip("\n")


def test_the_standard_library_is_filtered_too(ent):
    """Its arguments, what was added, and the traceback."""
    assert text_of("%(message)s", "key %s\nfor %s", "sk_live_abcdefgh", "acme") == "key ***\\nfor acme"
    assert text_of("%(message)s %(api_key)s", "paid", extra={"api_key": "abc"}) == "paid ***"
    with ent.bind("acme", user="u1"):
        assert text_of("%(message)s %(tenant)s %(user)s", "paid") == "paid acme u1"
        assert text_of("%(tenant)s", "paid", extra={"tenant": "globex"}) == "globex"
    try:
        raise ConnectionError("redis://:pw@cache is gone")
    except ConnectionError:
        text = text_of("%(message)s", "failed", exc_info=True)
    assert "redis://***@cache is gone" in text
    assert ":pw" not in text
    assert len(text.splitlines()) > 2


def test_an_unbound_tenant_is_a_dash():
    """So that a format that names it always works."""
    assert text_of("%(message)s %(tenant)s %(user)s", "paid") == "paid - -"
