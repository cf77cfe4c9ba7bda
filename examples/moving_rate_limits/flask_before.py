"""An app that limits its routes with flask-limiter: each process counts on its own, and plans are asked by hand."""

from __future__ import annotations

from flask import Flask, request
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address


def account() -> str:
    """Who has logged in; a header stands in for your login."""
    return request.headers["x-account"]


def reports_of() -> str:
    """What the plan of an account lets through."""
    return "50/hour" if account() == "rich" else "5/hour"


app = Flask(__name__)
limiter = Limiter(get_remote_address, app=app, storage_uri="memory://")
heavy = limiter.shared_limit("4/hour", scope="heavy", key_func=account)


@app.post("/sign-in")
@limiter.limit("3/hour")
def sign_in() -> str:
    return "signed in"


@app.get("/reports")
@limiter.limit(reports_of, key_func=account)
def reports() -> str:
    return "reports"


@app.get("/export")
@heavy
def export() -> str:
    return "exported"


@app.get("/print")
@heavy
def print_all() -> str:
    return "printed"


@app.post("/bulk")
@limiter.limit("10/hour", key_func=account, cost=4)
def bulk() -> str:
    return "done"
