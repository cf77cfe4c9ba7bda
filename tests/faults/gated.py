"""
The apps of the tests of gates behind real web servers: one of Flask here, one of FastAPI in `gated_asgi`, of the same
few routes.

    POST /few/TENANT/OPERATION, /many/TENANT/OPERATION
                          one call of the quota, under a rate limit: 200 {"pid", "used"}, 402 or 429
    GET  /sockets         {"pid", "used"}: the sockets on which this process has asked a store anything
"""

from __future__ import annotations

import os

import flask

from payaid_entitlements import Entitlements
from payaid_entitlements.web import exempt
from payaid_entitlements.web.flask import Gate
from tests.faults.apps import options, sockets, watch_sockets


def make_flask() -> flask.Flask:
    """An app made by a factory, whose views stand in blueprints; made before workers are forked."""
    watch_sockets()
    ent = Entitlements.open(os.environ["APP_URL"], **options())
    gate = Gate(ent, tenant=lambda: (flask.request.view_args or {})["tenant"])
    app = flask.Flask(__name__, static_folder=None)
    for limit in ("few", "many"):
        calls = flask.Blueprint(limit, __name__, url_prefix=f"/{limit}")
        calls.before_request(gate.require_module("crm"))
        calls.before_request(gate.rate_limit(limit))
        calls.before_request(
            gate.consume_quota("crm.calls", operation=lambda: (flask.request.view_args or {})["operation"])
        )

        @calls.post("/<tenant>/<operation>")
        def call(tenant: str, operation: str) -> dict[str, object]:
            return {"pid": os.getpid(), "used": str(gate.usage("crm.calls").used)}

        app.register_blueprint(calls)

    @app.get("/sockets")
    @exempt
    def used() -> dict[str, object]:
        return sockets(ent)

    gate.init_app(app, unguarded="refuse")
    return app
