"""
A Flask app with a login, two blueprints and a quota. What is sold, and to whom, stands in `catalog.yaml`.

    flask --app examples/flask_app/app.py run

`acme` has subscribed to the plan "team", whoever else logs in has the free one:

    curl -c jar -d tenant=acme -d password=demo localhost:5000/login
    curl -b jar localhost:5000/contacts/export
    curl -b jar -X POST -H "Idempotency-Key: 1" localhost:5000/invoices/
"""

from __future__ import annotations

import os
from pathlib import Path

from flask import Blueprint, Flask, abort, g, request, session

from payaid_entitlements import Entitlements, current_tenant, require_feature
from payaid_entitlements.web import exempt
from payaid_entitlements.web.flask import Gate

HERE = Path(__file__).parent


def create_app(url: str | None = None) -> Flask:
    """Make the app; *url* says where subscriptions and usage are kept."""
    app = Flask(__name__, static_folder=None)
    app.secret_key = os.environ.get("SECRET_KEY", "everybody can read this one")
    ent = Entitlements.open(url or os.environ.get("PAYAID_URL", "memory://"), catalog=HERE / "catalog.yaml")
    ent.admin("example").subscribe("acme", "team", operation="the example's customer")
    gate = Gate(ent, tenant=lambda: g.tenant, proxies=0)

    # -- the host's own: a login. NOT A LOGIN: yours knows passwords -----------------------------------------------

    @app.before_request
    def who_is_it() -> None:
        g.tenant = session.get("tenant")

    @app.post("/login")
    @exempt
    @gate.rate_limit("sign_in", before_login=True)
    def login() -> dict[str, str]:
        if request.form["password"] != "demo":
            abort(403)
        session["tenant"] = request.form["tenant"]
        return {"tenant": session["tenant"]}

    # -- the modules -------------------------------------------------------------------------------------------------

    contacts = Blueprint("contacts", __name__, url_prefix="/contacts")
    contacts.before_request(gate.require_module("crm"))
    contacts.before_request(gate.rate_limit("api"))

    @contacts.get("/")
    def listed() -> dict[str, object]:
        return {"contacts": ["Kaveri Traders"], "can_export": current_tenant().check("crm.export").allowed}

    @contacts.get("/export")
    @require_feature("crm.export")
    def export() -> str:
        return "name\nKaveri Traders\n"

    invoices = Blueprint("invoices", __name__, url_prefix="/invoices")
    invoices.before_request(gate.require_module("invoicing"))

    @invoices.post("/")
    @gate.consume_quota("invoicing.invoices", operation=None)
    def create() -> tuple[dict[str, object], int]:
        usage = gate.usage("invoicing.invoices")
        # Asked for again with the same Idempotency-Key: it is there already, and was paid for.
        return {"used": int(usage.used), "left": int(usage.remaining or 0)}, 200 if usage.replayed else 201

    app.register_blueprint(contacts)
    app.register_blueprint(invoices)
    gate.init_app(app, unguarded="refuse")
    return app
