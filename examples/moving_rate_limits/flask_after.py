"""The same app: all processes count together, what is let through is in the catalog, and plans say it too."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask, request

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.web import exempt
from payaid_entitlements.web.flask import Gate


def account() -> str:
    """Who has logged in; a header stands in for your login."""
    return request.headers["x-account"]


catalog = Catalog.load(Path(__file__).with_name("catalog.yaml"))
ent = Entitlements.open(os.environ["PAYAID_URL"], catalog=catalog)
gate = Gate(ent, tenant=account, proxies=0)

app = Flask(__name__)


@app.post("/sign-in")
@gate.rate_limit("sign_in", before_login=True)
@exempt
def sign_in() -> str:
    return "signed in"


@app.get("/reports")
@gate.rate_limit("reports")
def reports() -> str:
    return "reports"


@app.get("/export")
@gate.rate_limit("heavy")
def export() -> str:
    return "exported"


@app.get("/print")
@gate.rate_limit("heavy")
def print_all() -> str:
    return "printed"


@app.post("/bulk")
@gate.rate_limit("bulk", cost=4)
def bulk() -> str:
    return "done"


gate.init_app(app)
