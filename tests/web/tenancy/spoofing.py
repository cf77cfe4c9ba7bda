"""
Requests that try to be somebody else's, byte by byte, and what must come of them: one table for every server.

The app believes a token (``Bearer acme``, of which only the test knows that it is signed) and a header behind a proxy's
secret; a subdomain and a path may only agree with those.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from payaid_entitlements.errors import TenantConflict, TenantUnidentified
from payaid_entitlements.web.request import EnvironRequest, Incoming, ScopeRequest
from payaid_entitlements.web.tenancy import Tenancy, claim, header, path, shared_secret, subdomain

SECRET = "s" * 32
OLD = "o" * 32

#: What is answered instead of an id.
NOBODY, CONFLICT = "401", "403"


def _claims(native: Any) -> dict[str, str] | None:
    native = getattr(native, "META", getattr(native, "scope", native))
    incoming: Incoming = EnvironRequest(native) if "REQUEST_METHOD" in native else ScopeRequest(native)
    values = incoming.header("authorization")
    return {"org": values[0].removeprefix("Bearer ")} if len(values) == 1 and "," not in values[0] else None


TENANCY = Tenancy(
    claim("org", _claims),
    header("X-Tenant-Id", behind=shared_secret("X-Proxy-Secret", SECRET, OLD)),
    beside=[subdomain(of="example.com"), path(prefix="/t/")],
)


def answer(incoming: Incoming) -> str:
    """Say whose request it is, or how it is refused."""
    try:
        return TENANCY.find(incoming) or NOBODY
    except TenantConflict:
        return CONFLICT
    except TenantUnidentified:
        return NOBODY


@dataclass(frozen=True, slots=True)
class Attempt:
    """
    A request.

    Attributes:
        name: What it tries.
        lines: Fields as they go over the wire, without ``Host`` where *host* says one.
        expected: What must come of it: an id, `NOBODY` or `CONFLICT`.
        dropping: The same where the server drops fields with underscores in their names.
        joining: The same where the server cannot tell hyphens from underscores, and joins fields by commas.
    """

    name: str
    lines: tuple[str, ...] = ()
    expected: str = NOBODY
    target: str = "/"
    host: str = "localhost"
    dropping: str | None = None
    joining: str | None = None

    @property
    def raw(self) -> bytes:
        """As HTTP/1.1 writes it (RFC 9112)."""
        fields = "".join(f"{line}\r\n" for line in (f"Host: {self.host}", *self.lines, "Connection: close"))
        return f"GET {self.target} HTTP/1.1\r\n{fields}\r\n".encode("latin-1")

    def outcome(self, kind: str) -> str:
        """What must come of it on a server that is *asgi*, *dropping* or *joining*."""
        other = {"asgi": None, "dropping": self.dropping, "joining": self.joining}[kind]
        return self.expected if other is None else other


TOKEN = "Authorization: Bearer acme"
PROVEN = f"X-Proxy-Secret: {SECRET}"

ATTEMPTS = (
    # What is right.
    Attempt("a token", (TOKEN,), "acme"),
    Attempt("a proxy", (PROVEN, "X-Tenant-Id: acme"), "acme"),
    Attempt("a proxy with the secret of before", (f"X-Proxy-Secret: {OLD}", "X-Tenant-Id: acme"), "acme"),
    Attempt("both agree", (TOKEN, PROVEN, "X-Tenant-Id: acme"), "acme"),
    Attempt("all agree", (TOKEN, PROVEN, "X-Tenant-Id: acme"), "acme", "/t/acme/x", "acme.example.com"),
    Attempt("a header without proof agrees", (TOKEN, "X-Tenant-Id: acme"), "acme"),
    Attempt("letters of any size in names of fields", (PROVEN, "x-TENANT-id: acme"), "acme"),
    # What only some client says.
    Attempt("nothing"),
    Attempt("a header alone", ("X-Tenant-Id: evil",)),
    Attempt("a wrong secret", ("X-Proxy-Secret: wrong", "X-Tenant-Id: evil")),
    Attempt("an empty secret", ("X-Proxy-Secret:", "X-Tenant-Id: evil")),
    Attempt("a secret that only begins well", (f"X-Proxy-Secret: {SECRET[:-1]}", "X-Tenant-Id: evil")),
    Attempt("two secrets", (PROVEN, "X-Proxy-Secret: wrong", "X-Tenant-Id: evil")),
    Attempt("two secrets in one", (f"{PROVEN}, {OLD}", "X-Tenant-Id: evil")),
    Attempt("a subdomain alone", host="evil.example.com"),
    Attempt("a path alone", target="/t/evil/x"),
    Attempt("a subdomain and a path that agree", target="/t/evil/x", host="evil.example.com"),
    Attempt("a query", target="/?tenant=evil&X-Tenant-Id=evil&tenant_id=evil"),
    Attempt("a cookie", ("Cookie: tenant=evil; X-Tenant-Id=evil; session=evil",)),
    Attempt("a forwarded host", ("X-Forwarded-Host: evil.example.com", "Forwarded: host=evil.example.com")),
    Attempt("a rewritten path", ("X-Original-URL: /t/evil/x", "X-Rewrite-URL: /t/evil/x")),
    # A token, and something that contradicts it.
    Attempt("a header besides the token", (TOKEN, "X-Tenant-Id: evil"), CONFLICT),
    Attempt("a proxy besides the token", (TOKEN, PROVEN, "X-Tenant-Id: evil"), CONFLICT),
    Attempt("another size of letters", (TOKEN, "X-Tenant-Id: Acme"), CONFLICT),
    Attempt("an empty header", (TOKEN, "X-Tenant-Id:"), CONFLICT),
    Attempt("a subdomain besides the token", (TOKEN,), CONFLICT, host="evil.example.com"),
    Attempt("a path besides the token", (TOKEN,), CONFLICT, "/t/evil/x"),
    Attempt("an encoded path", (TOKEN,), CONFLICT, "/t/%65vil/x"),
    Attempt("an encoded slash", (TOKEN,), CONFLICT, "/t%2Fevil/x"),
    Attempt("a path that goes back", (TOKEN,), CONFLICT, "/t/acme/../evil/x"),
    Attempt("a forwarded host besides the token", (TOKEN, "X-Forwarded-Host: evil.example.com"), "acme"),
    Attempt("a query besides the token", (TOKEN,), "acme", "/?tenant=evil"),
    # Twice.
    Attempt("two headers", (PROVEN, "X-Tenant-Id: acme", "X-Tenant-Id: evil"), CONFLICT),
    Attempt("two headers that agree", (PROVEN, "X-Tenant-Id: acme", "X-Tenant-Id: acme"), CONFLICT),
    Attempt("two in one", (PROVEN, "X-Tenant-Id: acme,evil"), CONFLICT),
    Attempt("two headers besides the token", (TOKEN, "X-Tenant-Id: evil", "X-Tenant-Id: acme"), CONFLICT),
    # Names that others take for the same.
    Attempt(
        "underscores beside what is right",
        (PROVEN, "X-Tenant-Id: acme", "X_Tenant_Id: evil"),
        CONFLICT,
        dropping="acme",
    ),
    Attempt("underscores besides the token", (TOKEN, "X_Tenant_Id: evil"), CONFLICT, dropping="acme"),
    Attempt("one underscore besides the token", (TOKEN, "X-Tenant_Id: evil"), CONFLICT, dropping="acme"),
    Attempt("underscores alone", ("X_Tenant_Id: evil",), CONFLICT, dropping=NOBODY, joining=NOBODY),
    Attempt("a secret with underscores", (f"X_Proxy_Secret: {OLD}x", "X-Tenant-Id: evil")),
    # Addresses.
    Attempt("a port, a dot and large letters", (TOKEN,), "acme", host="ACME.Example.COM.:8443"),
    Attempt("a subdomain of a subdomain", (TOKEN,), CONFLICT, host="acme.evil.example.com"),
    Attempt("a domain that only ends alike", (TOKEN,), "acme", host="evilexample.com"),
    Attempt("a domain before ours", (TOKEN,), "acme", host="evil.example.com.attacker.net"),
    Attempt("a label that is none", (TOKEN,), CONFLICT, host="acme_.example.com"),
)
