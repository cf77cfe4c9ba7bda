"""The same app: all processes count together, what is let through is in the catalog, and plans say it too."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path

from flask import Flask, Response, g, request

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.errors import EntitlementError
from payaid_entitlements.web import client_address, rate_fields, refusal


def account() -> str:
    """Who has logged in; a header stands in for your login."""
    return request.headers["x-account"]


catalog = Catalog.load(Path(__file__).with_name("catalog.yaml"))
ent = Entitlements.open(os.environ["PAYAID_URL"], catalog=catalog)

app = Flask(__name__)


# -- once for all routes: Flask has no gate, so these lines are yours -----------------------------------------------


def limited(limit: str, *, cost: int = 1, by: Callable[[], str] | None = account) -> Callable[..., Callable[..., str]]:
    """Count each call of a view on *limit*; *by* None for what counts by address, before anybody has logged in."""

    def decorate(view: Callable[..., str]) -> Callable[..., str]:
        @wraps(view)
        def counted(*args: object, **kwargs: object) -> str:
            address = client_address(request.remote_addr, request.headers.getlist("X-Forwarded-For"), proxies=0)
            outcome = ent.rate_limit(None if by is None else by(), limit, cost=cost, address=address)
            g.setdefault("outcomes", []).append(outcome)
            return view(*args, **kwargs)

        return counted

    return decorate


@app.after_request
def say_what_is_left(response: Response) -> Response:
    """Tell clients how the limits stand."""
    if response.status_code != 429:  # which says it already
        response.headers.update(rate_fields(g.get("outcomes", [])))
    return response


@app.errorhandler(EntitlementError)
def say_why(error: EntitlementError) -> Response:
    """Refuse with a problem document; mistakes of ours stay a 500."""
    said = refusal(error)
    return Response(said.content, said.status, said.headers)


# -- the routes -----------------------------------------------------------------------------------------------------


@app.post("/sign-in")
@limited("sign_in", by=None)
def sign_in() -> str:
    return "signed in"


@app.get("/reports")
@limited("reports")
def reports() -> str:
    return "reports"


@app.get("/export")
@limited("heavy")
def export() -> str:
    return "exported"


@app.get("/print")
@limited("heavy")
def print_all() -> str:
    return "printed"


@app.post("/bulk")
@limited("bulk", cost=4)
def bulk() -> str:
    return "done"
