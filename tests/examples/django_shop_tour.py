"""
Serve the shop over HTTP, walk through it as two customers and as two who work there, and say what came of it. Run in
the shop's folder.
"""

from __future__ import annotations

import os
import re
import sys
import threading
from html import unescape
from http.cookiejar import CookieJar
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, Request, build_opener
from wsgiref.simple_server import WSGIRequestHandler, make_server

sys.path.insert(0, os.getcwd())
os.environ["DJANGO_SETTINGS_MODULE"] = "project.settings"

from django.core.management import call_command
from project.wsgi import application  # the folder is on the path now

from django.contrib.auth.models import User  # isort: skip # Django is set up now

PASSWORD = "of a test, and of nobody"


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None: ...


class Browser:
    def __init__(self, site: str) -> None:
        self.site = site
        self.opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def ask(self, path: str, data: dict[str, str] | None = None, **headers: str) -> tuple[int, str, str]:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        body = None if data is None else urlencode(data).encode()
        try:
            with self.opener.open(Request(self.site + path, body, fields)) as response:
                return response.status, response.headers["Content-Type"], response.read().decode()
        except HTTPError as error:
            with error:
                return error.code, error.headers["Content-Type"], error.read().decode()

    def send(self, page: str, path: str, **fields: str) -> tuple[int, str, str]:
        """Send a form of *page*, with the token that it has."""
        token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', self.ask(page)[2])[1]
        return self.ask(path, fields | {"csrfmiddlewaretoken": token})

    def log_in(self, org: str) -> None:
        assert self.send("/", "/login", org=org)[0] == 200

    def work(self, name: str) -> int:
        return self.send("/admin/", "/admin/login/?next=/admin/", username=name, password=PASSWORD)[0]


def tour(site: str) -> None:
    nobody = Browser(site)
    print("nobody", *(nobody.ask(path)[0] for path in ("/", "/orders", "/analytics/", "/nowhere")))
    for org in ("asha", "bina"):
        browser = Browser(site)
        browser.log_in(org)
        page = browser.ask("/orders")[2]
        seen = [word for word in ("Export<", "Analytics<", "new cart", "pro has it", "0 invoices") if word in page]
        print(org, "sees", *seen, sep=" | ")
        for path in ("/orders/export", "/analytics/", *(f"/invoices/{number}" for number in (1, 2, 13, 3))):
            print(org, path, browser.ask(path)[0])
        status, kind, text = browser.ask("/orders/export", accept="text/html")
        print(org, status, kind, "Your plan does not include" in text)
        key = {"x-api-key": f"key-of-{org}"}
        print(org, "api", *(nobody.ask(path, **key)[0] for path in ("/api/orders/", "/api/orders/export/")))
        print(org, "cookie", *(browser.ask("/api/orders/export/", **say)[0] for say in ({}, {"x-api-key": "wrong"})))
    print("api", nobody.ask("/api/orders/")[:2], [nobody.ask("/api/orders/", **key)[0] for _ in range(3)])


def office(site: str) -> None:
    """Give bina an export by hand, and take it back: as staff who may not, and as somebody who may."""
    of, change, because = "/admin/payaid/tenant/of/?tenant=bina", "/admin/payaid/tenant/change/", "ticket 7"
    staff, boss, bina = Browser(site), Browser(site), Browser(site)
    bina.log_in("bina")
    print("staff", staff.work("staff"), staff.ask(of)[0], staff.send("/admin/password_change/", change)[0])
    print("boss", boss.work("boss"), boss.ask(of)[0])
    given = {"act": "override", "tenant": "bina", "feature": "orders.export", "to": "true", "because": because}
    review = boss.send(of, change, **given, forever="on")[2]
    print("reviewed", bina.ask("/orders/export")[0])
    confirmed = dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', review))
    boss.ask(change, {name: unescape(value) for name, value in confirmed.items()})
    print("confirmed", bina.ask("/orders/export")[0], f"django:boss: {because}" in boss.ask(of)[2])
    boss.send(of, change, act="clear", tenant="bina", feature="orders.export", because="over", confirmed="yes")
    print("cleared", bina.ask("/orders/export")[0])


if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    call_command("check", stdout=sys.stdout)
    call_command("seed", stdout=sys.stdout)
    User.objects.create_superuser("boss", password=PASSWORD)
    User.objects.create_user("staff", password=PASSWORD, is_staff=True)
    with make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tour(f"http://127.0.0.1:{server.server_port}")
        office(f"http://127.0.0.1:{server.server_port}")
        server.shutdown()
