"""
Attempts to get past a guard by the way a request is written. Every adapter is tried with all of them.

The app that is tried has ``/hr/{what}`` for GET and POST, which needs the module ``hr``, as has ``/inner/pay`` of an
app that is mounted; ``/open`` and all below ``/static`` are open. Whoever asks holds no ``hr``. An attempt has failed
when nothing that is guarded has run, and the answer is no success.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, unquote_to_bytes


@dataclass(frozen=True)
class Attempt:
    """
    A request.

    Attributes:
        target: As in the request line, without the query; ASCII.
        method: As it is sent.
        headers: Fields that it has besides.
    """

    target: str
    method: str = "GET"
    headers: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return " ".join((self.method, self.target, *map(str, self.headers)))

    @property
    def path(self) -> str:
        """As servers of ASGI decode it: uvicorn, hypercorn, granian."""
        return unquote(self.target)

    @property
    def path_info(self) -> str:
        """As servers of WSGI decode it (PEP 3333): bytes as latin-1."""
        return unquote_to_bytes(self.target).decode("latin-1")

    def scope(self, **more: Any) -> dict[str, Any]:
        """As a server of ASGI gives it."""
        return {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": self.method,
            "scheme": "http",
            "path": self.path,
            "raw_path": self.target.encode(),
            "root_path": "",
            "query_string": b"",
            "server": ("app.example", 80),
            "client": ("203.0.113.9", 5000),
            "headers": [(name.lower().encode(), value.encode()) for name, value in self.headers.items()],
            **more,
        }


_PREFLIGHT = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

PREFLIGHT = Attempt("/hr/pay", "OPTIONS", _PREFLIGHT)
ATTEMPTS = [
    *map(
        Attempt,
        (
            # As it is meant, and the slash at its end.
            "/hr/pay",
            "/hr/pay/",
            "/hr/",
            # Empty and dotted segments.
            "//hr/pay",
            "///hr/pay",
            "/hr//pay",
            "/hr/pay//",
            "/./hr/pay",
            "/hr/./pay",
            "/hr/pay/.",
            "/hr/pay/..",
            "/hr/pay/../pay",
            "/hr/../hr/pay",
            "/open/../hr/pay",
            "/static/../hr/pay",
            "/static/x/../../hr/pay",
            "/static//../hr/pay",
            "/../hr/pay",
            "/static/.../hr/pay",
            # Encoded ones.
            "/static/%2e%2e/hr/pay",
            "/static/%2e./hr/pay",
            "/static/..%2fhr/pay",
            "/static/%2e%2e%2fhr%2fpay",
            "/hr%2fpay",
            "/hr%2Fpay",
            "/%2fhr/pay",
            "/hr/pay%2f",
            "/hr/%2fpay",
            "/%68r/pay",
            "/%48%52/pay",
            "/hr/p%61y",
            # Encoded twice, and in other ways.
            "/static/%252e%252e/hr/pay",
            "/hr%252fpay",
            "/hr/pay%252f",
            "/hr%25252fpay",
            "/%u0068r/pay",
            # Bytes that are no UTF-8, forms of it that are too long, and what looks alike.
            "/static/%c0%ae%c0%ae/hr/pay",
            "/hr%c0%afpay",
            "/hr/pay%ff",
            "/%ef%bd%88r/pay",
            "/hr%ef%bc%8fpay",
            "/hr%e2%81%84pay",
            "/hr/pay%e2%80%a8",
            "/hr/%f0%9f%92%b0",
            # Backslashes, blanks, control characters.
            "/hr\\pay",
            "/hr%5cpay",
            "/static\\..\\hr\\pay",
            "/static/..%5chr%5cpay",
            "/hr/pay%20",
            "/hr%20/pay",
            "/hr/pay%09",
            "/hr/pay%0a",
            "/hr/pay%0d%0a",
            "/%0a/hr/pay",
            "/hr/pay%00",
            "/hr/pay%00.css",
            "/open%00/../hr/pay",
            "/hr/pay%7f",
            "/hr/pay%c2%85",
            # Case.
            "/HR/pay",
            "/Hr/Pay",
            "/hr/PAY",
            # Parameters, queries and fragments in the path.
            "/hr;x=1/pay",
            "/hr/pay;x=1",
            "/static/..;/hr/pay",
            "/open;/../hr/pay",
            "/hr/pay%3fx=1",
            "/hr/pay%23x",
            "/hr/pay#x",
            "/hr/pay.css",
            "/hr/pay%2ecss",
            # What a proxy gets, HTTP/2 pseudo-paths of other forms, and paths that are none.
            "http://app.example/hr/pay",
            "http://app.example/open/../hr/pay",
            "app.example/hr/pay",
            "hr/pay",
            "*",
            "",
            # Open and guarded ones that begin alike, and what is mounted.
            "/hrpay",
            "/static",
            "/staticpay",
            "/open/hr/pay",
            "/inner/pay",
            "/inner/pay/",
            "/inner//pay",
            "//inner/pay",
            "/Inner/pay",
            "/inner%2fpay",
            "/static/../inner/pay",
            "/inner/../hr/pay",
        ),
    ),
    # Methods.
    *(Attempt("/hr/pay", method) for method in ("HEAD", "POST", "OPTIONS", "PUT", "TRACE", "PROPFIND", "QUERY")),
    *(Attempt("/hr/pay", method) for method in ("get", "Get", "pOST", "head")),
    Attempt("/inner/pay", "HEAD"),
    PREFLIGHT,
    Attempt("/hr/pay", "GET", _PREFLIGHT),
    Attempt("/hr/pay", "POST", {"X-HTTP-Method-Override": "OPTIONS"}),
    Attempt("/hr/pay", "GET", {"X-HTTP-Method-Override": "OPTIONS", "X-HTTP-Method": "OPTIONS"}),
    # Fields in which proxies say another path.
    Attempt("/hr/pay", "GET", {"X-Original-URL": "/open", "X-Rewrite-URL": "/open"}),
    Attempt("/open/", "GET", {"X-Original-URL": "/hr/pay", "X-Rewrite-URL": "/hr/pay"}),
    Attempt("/hr/pay", "GET", {"X-Forwarded-Prefix": "/hr", "X-Script-Name": "/hr", "Script-Name": "/hr"}),
    Attempt("/hr/pay", "GET", {"Upgrade": "websocket", "Connection": "Upgrade"}),
]
