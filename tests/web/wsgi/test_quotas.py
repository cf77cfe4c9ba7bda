"""Quotas of a table of routes, in a WSGI app: used up before it runs, given back where it fails."""

import pytest
from werkzeug.test import Client

from payaid_entitlements import Entitlements
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.testing import sandbox
from payaid_entitlements.web.routing import Routes, needs
from payaid_entitlements.web.wsgi import EntitlementsMiddleware
from tests.holding.conftest import CATALOG


def printer(environ, start_response):
    failed = environ["PATH_INFO"] == "/contradicts"
    start_response("409 Conflict" if failed else "201 Created", [])
    return [b"printed"]


def test_units_are_used_up_and_given_back(clock):
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=clock) as inside:
        inside.subscribe("acme", "pro")
        routes = Routes({"/*": needs("crm", quotas={"crm.pages": 4})})
        client = Client(EntitlementsMiddleware(printer, inside.client, tenant=lambda environ: "acme", routes=routes))

        def printed(path, key=None):
            fields = {} if key is None else {"Idempotency-Key": key}
            return client.post(path, headers=fields).status_code, inside.usage("acme", "crm.pages").used

        assert printed("/") == (400, 0)
        assert printed("/contradicts", "a") == (409, 0)
        assert [printed("/", "b") for _ in range(2)] == [(201, 4), (201, 4)]
        with pytest.raises(ConfigurationError, match=r"no feature 'crm\.pagse'"):
            EntitlementsMiddleware(
                printer,
                inside.client,
                tenant=lambda environ: "acme",
                routes=Routes({"/": needs(quotas={"crm.pagse": 1})}),
            )
