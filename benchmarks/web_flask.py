"""
What a gate adds to a whole request of Flask, and the middleware to a bare WSGI app; flask-limiter's beside it.

Requests are called as a server calls them, each with an environ of its own, and read to their end; nothing goes over a
network. One app of Flask answers "ok" and does nothing else: there, what a gate adds is as large a part as can be. The
other one is as small as people have them: who has logged in is in a signed session, a template shows fifty rows.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from typing import Any, Final

from flask import Blueprint, Flask, render_template, session
from jinja2 import DictLoader

from benchmarks.limiting import PLENTY, SOLD
from benchmarks.measuring import UNIT, Timed, alternate, looped, measure
from benchmarks.reporting import Row, row_of
from benchmarks.stage import Absent, Benchmark, Stage
from payaid_entitlements.core.catalog import Catalog
from payaid_entitlements.entitlements import Entitlements
from payaid_entitlements.web.flask import Gate
from payaid_entitlements.web.routing import Routes
from payaid_entitlements.web.wsgi import EntitlementsMiddleware

App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]

#: What is promised of a blueprint behind a module, of a tenant who is near: of Flask with a page.
BUDGET: Final = 1.08
#: The same, of Flask that does nothing. Some 16 microseconds more than 45, half of them for the view of the tenant.
#: Measured, not promised beforehand: it is not to become worse unseen.
EMPTY_BUDGET: Final = 1.4
#: Units above a bare WSGI callable: where nothing is asked, and with a table that asks for a module. Measured, not
#: promised beforehand: it is not to become worse unseen.
IDLE_BUDGET, ASKED_BUDGET = 45.0, 220.0
#: A request that is counted by ours may take so much of what one takes that flask-limiter counts.
BESIDE_BUDGET: Final = 1.0
TENANT: Final = "acme"


def environ() -> dict[str, Any]:
    """As a server makes it for a request of a browser."""
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/deals/7",
        "QUERY_STRING": "",
        "SERVER_NAME": "app.example",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "203.0.113.9",
        "HTTP_HOST": "app.example",
        "HTTP_ACCEPT": "*/*",
        "HTTP_USER_AGENT": "Mozilla/5.0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": BytesIO(),
        "wsgi.errors": None,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


def bare(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The app."""
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def request(app: App, **more: str) -> Callable[[], None]:
    """Make what asks *app* once, as a server does, with *more* in its environ."""
    begun: list[str] = []

    def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        begun[:] = [status]
        return lambda piece: None

    def ask() -> None:
        body = app(prepared.copy(), start)
        for _ in body:
            pass
        if hasattr(body, "close"):
            body.close()

    prepared = environ() | more
    ask()
    assert begun == ["200 OK"], begun
    return ask


def requests(app: App) -> Timed:
    """Requests to *app*, one after the other."""
    return looped("ask()", ask=request(app))


def deal(number: int) -> str:
    """The view that does nothing."""
    return "ok"


def page(number: int) -> str:
    """The view that shows something."""
    return render_template("page.html", tenant=session["tenant"], rows=ROWS)


ROWS: Final = [{"name": f"Deal {number}", "worth": number * 100, "is_won": number % 3 == 0} for number in range(50)]
TEMPLATE: Final = """<title>{{ tenant }}</title><table>{% for row in rows %}
<tr class="{{ 'won' if row.is_won else 'open' }}"><td>{{ loop.index }}<td>{{ row.name }}<td>{{ row.worth }}
{%- endfor %}</table>"""


def flask_app(*before: Callable[..., Any], view: Callable[[int], str] = deal) -> Flask:
    """An app of one blueprint with one view, before which *before* runs."""
    app = Flask(__name__, static_folder=None)
    app.secret_key = "not a secret"
    app.jinja_loader = DictLoader({"page.html": TEMPLATE})
    deals = Blueprint("deals", __name__, url_prefix="/deals")
    deals.get("/<int:number>")(view)
    for each in before:
        deals.before_request(each)
    app.register_blueprint(deals)
    return app


@contextmanager
def opened() -> Iterator[Entitlements]:
    """A client that has everything near."""
    with Entitlements.open("memory://", catalog=Catalog.load(SOLD)) as ent:
        ent.tenant(TENANT)
        yield ent


def gated(ent: Entitlements, verb: str, *, is_page: bool = False) -> Flask:
    """The app behind a gate that asks *verb*."""
    gate = Gate(ent, tenant=lambda: session["tenant"] if is_page else TENANT)
    asked = gate.require_module("crm") if verb == "module" else gate.rate_limit("api")
    app = flask_app(asked, view=page if is_page else deal)
    gate.init_app(app)
    return app


def flask(stage: Stage) -> list[Row]:
    """Flask behind the gate over Flask alone."""
    with opened() as ent:
        rows = []
        for what, is_page, budget in (
            ("a page of fifty rows", True, BUDGET),
            ("a view of one word", False, EMPTY_BUDGET),
        ):
            bare_app = flask_app(view=page if is_page else deal)
            cookies = {"HTTP_COOKIE": signed_in(bare_app)} if is_page else {}
            ours = request(gated(ent, "module", is_page=is_page).wsgi_app, **cookies)
            # Each in its turn, as nobody asks the same app in a tight loop.
            measured = alternate(ours, request(bare_app.wsgi_app, **cookies), stage.effort, stage.tick)
            rows.append(row_of(f"Flask, {what}: a blueprint behind a module, over bare Flask", measured, budget))
        return rows


def signed_in(app: Flask) -> str:
    """The cookie of somebody who has logged in."""
    signer = app.session_interface.get_signing_serializer(app)  # type: ignore[attr-defined] # the default interface has one
    return f"{app.config['SESSION_COOKIE_NAME']}={signer.dumps({'tenant': TENANT})}"


def wsgi(stage: Stage) -> list[Row]:
    """The middleware above a bare app, in units."""
    with opened() as ent:
        plain = measure(requests(bare), UNIT, stage.effort, stage.tick)
        rows = []
        for what, routes, budget in (
            ("nothing asked", None, IDLE_BUDGET),
            ("a table asks for a module", Routes({"/deals/{id}": "crm"}), ASKED_BUDGET),
        ):
            app = EntitlementsMiddleware(bare, ent, tenant=lambda environ: TENANT, routes=routes)
            measured = measure(requests(app), UNIT, stage.effort, stage.tick)
            rows.append(
                Row(
                    f"units above a bare WSGI app: the middleware, {what}",
                    measured.ratio - plain.ratio,
                    budget,
                    noise=max(measured.noise, plain.noise),
                )
            )
        return rows


def limited(strategy: str) -> Flask:
    """The app with a limit of flask-limiter in memory."""
    try:
        from flask_limiter import Limiter
    except ImportError:
        raise Absent("flask-limiter is not installed") from None
    app = Flask(__name__, static_folder=None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        limiter = Limiter(
            lambda: TENANT, app=app, strategy=strategy, headers_enabled=True, storage_uri="memory://", key_prefix="b"
        )

    @app.get("/deals/<int:number>")
    @limiter.limit(f"{PLENTY} per hour")
    def deal(number: int) -> str:
        return "ok"

    return app


def _beside(strategy: str) -> Benchmark:
    def rows(stage: Stage) -> list[Row]:
        with opened() as ent:
            ours, theirs = requests(gated(ent, "limit").wsgi_app), requests(limited(strategy).wsgi_app)
            measured = measure(ours, theirs, stage.effort, stage.tick)
        return [row_of(f"Flask, a limit in memory: ours over flask-limiter, {strategy}", measured, BESIDE_BUDGET)]

    return Benchmark(f"web.flask-limiter.{strategy}", rows)


BENCHMARKS: Final = (
    Benchmark("web.flask", flask),
    Benchmark("web.wsgi", wsgi),
    _beside("fixed-window"),
    _beside("moving-window"),
)
