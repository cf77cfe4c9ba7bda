"""Each place that may name a tenant: what it reads, what it passes over, what it refuses, and mistakes in naming it."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from starlette.requests import Request

from payaid_entitlements.errors import ConfigurationError, TenantConflict, TenantUnidentified
from payaid_entitlements.web.request import EnvironRequest, Incoming, ScopeRequest
from payaid_entitlements.web.tenancy import (
    Tenancy,
    api_key,
    by,
    claim,
    environ,
    header,
    mtls,
    path,
    session,
    shared_secret,
    state,
    subdomain,
    trusted_networks,
    user,
)
from payaid_entitlements.web.tenancy.certificates import attributes_of
from payaid_entitlements.web.tenancy.source import SHOWN, shown

SECRET = "x" * 22
ACME = by(lambda _: "acme")


def scope(*fields: tuple[str, str], path: str = "/", peer: str | None = None, **more: Any) -> ScopeRequest:
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return ScopeRequest({"headers": headers, "path": path, "client": None if peer is None else (peer, 1), **more})


def meta(**more: Any) -> EnvironRequest:
    return EnvironRequest({"REQUEST_METHOD": "GET", **more})


def beside(source: Any, incoming: Incoming) -> str | None:
    """Whether *source* agrees that it is acme."""
    return Tenancy(ACME, beside=[source]).find(incoming)


# Logins


@pytest.mark.parametrize(
    "native",
    [
        {"state": {"claims": {"org": "acme"}}},
        {"state": SimpleNamespace(claims={"org": "acme"})},
        SimpleNamespace(state=SimpleNamespace(claims={"org": "acme"})),
    ],
)
def test_a_claim_is_found_in_the_state_of_a_request(native: Any) -> None:
    assert Tenancy(claim("org", state("claims"))).find(ScopeRequest({}, native)) == "acme"


@pytest.mark.parametrize("native", [{}, {"state": {}}, {"state": {"claims": None}}, {"state": {"claims": {}}}])
def test_without_a_token_it_is_nobody(native: Any) -> None:
    assert Tenancy(claim("org", state("claims"))).find(ScopeRequest(native)) is None


@pytest.mark.parametrize("org", ["", "None", "null", " ", "a" * 256, "a\nb"])
def test_a_verified_id_that_identifies_nobody_is_a_request_of_nobody(org: str) -> None:
    with pytest.raises(TenantUnidentified, match="claim org"):
        Tenancy(claim("org", state("claims"))).find(scope(state={"claims": {"org": org}}))


def test_a_verified_id_that_is_no_text_is_a_mistake_of_the_host() -> None:
    with pytest.raises(TypeError, match="callable names 7, a int; a tenant's id is a str"):
        Tenancy(by(lambda _: 7)).find(scope())


@pytest.mark.parametrize(
    "native",
    [
        {"session": {"org": "acme"}},
        SimpleNamespace(session={"org": "acme"}),
        SimpleNamespace(scope={"session": {"org": "acme"}}),
    ],
)
def test_a_session_is_found_where_frameworks_keep_it(native: Any) -> None:
    assert Tenancy(session("org")).find(ScopeRequest({}, native)) == "acme"


def test_requests_of_frameworks_are_read_as_they_are() -> None:
    tenancy = Tenancy(session("org"), by(user("org")), claim("org", state("claims")))
    with_nothing = Request({"type": "http", "headers": []})
    assert tenancy.find(ScopeRequest(with_nothing.scope, with_nothing)) is None
    someone = SimpleNamespace(org="acme", is_authenticated=True)
    full = Request({"type": "http", "session": {"org": "acme"}, "user": someone, "state": {"claims": {"org": "acme"}}})
    assert tenancy.find(ScopeRequest(full.scope, full)) == "acme"
    django = SimpleNamespace(META={}, scope={"user": None}, user=someone, session={"org": "acme"})
    assert tenancy.find(EnvironRequest(django.META, django)) == "acme"
    assert tenancy.find(EnvironRequest({}, SimpleNamespace(META={}, scope={}))) is None


def test_a_session_may_be_kept_elsewhere() -> None:
    assert Tenancy(session("org", of=lambda _: {"org": "acme"})).find(meta()) == "acme"
    assert Tenancy(session("org")).find(ScopeRequest({}, SimpleNamespace(scope={}))) is None


@pytest.mark.parametrize(
    ("native", "found"),
    [
        ({"user": SimpleNamespace(org="acme", is_authenticated=True)}, "acme"),
        ({"user": SimpleNamespace(org="acme", is_authenticated=False)}, None),
        ({"user": SimpleNamespace(org="acme")}, "acme"),
        ({"user": SimpleNamespace()}, None),
        ({}, None),
        (SimpleNamespace(user=SimpleNamespace(org="acme")), "acme"),
        (SimpleNamespace(scope={"user": SimpleNamespace(org="acme")}), "acme"),
        (SimpleNamespace(scope={}), None),
    ],
)
def test_an_attribute_of_the_user_who_has_logged_in(native: Any, found: str | None) -> None:
    assert Tenancy(by(user("org"))).find(ScopeRequest({}, native)) == found


def test_what_a_login_left_in_an_environ() -> None:
    tenancy = Tenancy(claim("org", environ("myapp.claims")))
    kept = {"myapp.claims": {"org": "acme"}}
    for native in (kept, SimpleNamespace(environ=kept), SimpleNamespace(META=kept)):
        assert tenancy.find(EnvironRequest({}, native)) == "acme"


@pytest.mark.parametrize("key", ["HTTP_X_TENANT_ID", "PATH_INFO", "QUERY_STRING"])
def test_what_clients_write_into_an_environ_is_no_login(key: str) -> None:
    with pytest.raises(ConfigurationError, match="any client can write"):
        environ(key)


# API keys


def owner(key: str) -> str | None:
    return {"k-1": "acme"}.get(key)


@pytest.mark.parametrize(
    ("fields", "found"),
    [((("x-api-key", " k-1 "),), "acme"), ((("x-api-key", ""),), None), ((), None)],
)
def test_whose_a_key_is_is_looked_up(fields: Any, found: str | None) -> None:
    assert Tenancy(api_key(owner)).find(scope(*fields)) == found


def test_a_key_in_a_scheme_of_its_own() -> None:
    tenancy = Tenancy(api_key(owner, header="Authorization", scheme="ApiKey", prefix="k-"))
    assert tenancy.find(scope(("authorization", "apikey k-1"))) == "acme"
    assert tenancy.find(scope(("authorization", "Bearer k-1"))) is None
    assert tenancy.find(scope(("authorization", "ApiKey other"))) is None
    assert tenancy.find(meta(HTTP_AUTHORIZATION="ApiKey k-1")) == "acme"


@pytest.mark.parametrize(
    "fields",
    [
        [("x-api-key", "k-wrong")],
        [("x-api-key", "k-1"), ("x-api-key", "k-1")],
        [("x_api_key", "k-1")],
    ],
)
def test_a_key_that_is_none_or_two_is_nobodys_and_never_shown(fields: Any) -> None:
    with pytest.raises(TenantUnidentified) as raised:
        Tenancy(ACME, api_key(owner)).find(scope(*fields))
    assert "k-" not in str(raised.value)


def test_a_key_is_in_no_variable_that_reports_of_errors_show_where_its_lookup_fails() -> None:
    def broken(secret: str) -> str:
        raise RuntimeError("the database is away")

    with pytest.raises(RuntimeError) as raised:
        Tenancy(api_key(broken)).find(scope(("x-api-key", "k-1")))
    for frame in raised.traceback[1:]:
        shown_ = {name: repr(value) for name, value in frame.frame.f_locals.items() if name != "secret"}
        assert "k-1" not in str(shown_), frame


def test_no_secret_is_in_what_a_tenancy_says_of_itself() -> None:
    source = header("X-Tenant-Id", behind=shared_secret("X-Proof", SECRET))
    assert SECRET not in repr(source) + repr(Tenancy(source))


def test_a_key_in_authorization_must_know_its_scheme() -> None:
    with pytest.raises(ConfigurationError, match='scheme="Bearer"'):
        api_key(owner, header="authorization")


def test_a_key_may_be_looked_up_by_a_coroutine() -> None:
    async def later(key: str) -> str | None:
        return owner(key)

    tenancy = Tenancy(api_key(later))
    assert asyncio.run(tenancy.find_async(scope(("x-api-key", "k-1")))) == "acme"
    with pytest.raises(TenantUnidentified):
        asyncio.run(tenancy.find_async(scope(("x-api-key", "k-2"))))
    with pytest.raises(TypeError, match="find_async"):
        tenancy.find(scope(("x-api-key", "k-1")))


# Headers behind a proxy


@pytest.mark.parametrize(
    ("peer", "found"),
    [
        ("10.0.3.7", "acme"),
        ("::ffff:10.0.3.7", "acme"),
        ("fd00::1", "acme"),
        ("11.0.0.1", None),
        ("::ffff:11.0.0.1", None),
        ("fe80::1%eth0", None),
        ("testclient", None),
        ("", None),
        (None, None),
    ],
)
def test_a_header_is_believed_from_networks_of_proxies(peer: str | None, found: str | None) -> None:
    tenancy = Tenancy(header("X-Tenant-Id", behind=trusted_networks("10.0.0.0/8", "fd00::/8")))
    assert tenancy.find(scope(("x-tenant-id", "acme"), peer=peer)) == found


def test_in_wsgi_an_address_is_no_proof_unless_the_server_drops_underscores() -> None:
    incoming = meta(HTTP_X_TENANT_ID="acme", REMOTE_ADDR="10.0.0.1")
    with pytest.raises(ConfigurationError, match="drops_underscores=True"):
        Tenancy(header("X-Tenant-Id", behind=trusted_networks("10.0.0.1"))).find(incoming)
    sure = trusted_networks("10.0.0.1", drops_underscores=True)
    assert Tenancy(header("X-Tenant-Id", behind=sure)).find(incoming) == "acme"


def test_a_secret_may_have_to_come_from_a_network_too() -> None:
    tenancy = Tenancy(header("X-Tenant-Id", behind=shared_secret("X-Proof", SECRET, networks=["10.0.0.0/8"])))
    fields = ("x-tenant-id", "acme"), ("x-proof", SECRET)
    assert tenancy.find(scope(*fields, peer="10.0.0.1")) == "acme"
    assert tenancy.find(scope(*fields, peer="11.0.0.1")) is None
    assert tenancy.find(meta(HTTP_X_TENANT_ID="acme", HTTP_X_PROOF=SECRET, REMOTE_ADDR="10.0.0.1")) == "acme"


def test_a_secret_is_bytes_of_any_script() -> None:
    secret = "ключ-ключ-ключ-ключ-ключ"
    tenancy = Tenancy(header("X-Tenant-Id", behind=shared_secret("X-Proof", secret)))
    sent = secret.encode().decode("latin-1")
    assert tenancy.find(scope(("x-tenant-id", "acme"), ("x-proof", sent))) == "acme"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (trusted_networks, "trusts nobody"),
        (lambda: trusted_networks("10.0.0.1/8"), "a network is wrong"),
        (lambda: trusted_networks("proxy.example.com"), "a network is wrong"),
        (lambda: shared_secret("X-Proof"), "has no secret"),
        (lambda: shared_secret("X-Proof", ""), "can be guessed"),
        (lambda: shared_secret("X-Proof", None), "can be guessed"),
        (lambda: shared_secret("X-Proof", SECRET, "short"), "can be guessed"),
        (lambda: shared_secret("X_Proof", SECRET), "underscores"),
        (lambda: header("X_Tenant_Id"), "underscores"),
        (lambda: header(""), "no name of a field"),
        (lambda: header("X-Tenänt"), "no name of a field"),
        (Tenancy, "needs a place"),
        (lambda: Tenancy(header("X-Tenant-Id")), "behind="),
        (lambda: Tenancy(subdomain(of="example.com")), "beside="),
        (lambda: Tenancy(ACME, by(lambda _: None)), "give one of them a name="),
        (lambda: Tenancy(lambda _: "acme"), "by"),
        (lambda: Tenancy(ACME, beside=["example.com"]), "no place"),
        (lambda: by("acme"), "needs a callable"),
        (lambda: session("org", of={}), "needs a callable"),
        (lambda: subdomain(of="https://example.com"), "no domain"),
        (lambda: subdomain(of=""), "no domain"),
        (lambda: path(prefix="t"), "slash"),
        (lambda: path(prefix="/t"), "slash"),
        (lambda: mtls(header="X-Subject"), "need each other"),
        (lambda: mtls(behind=trusted_networks("10.0.0.1")), "need each other"),
    ],
)
def test_mistakes_are_told_at_start_up_with_the_way_out(mistake: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        mistake()


def test_a_secret_is_in_no_message() -> None:
    with pytest.raises(ConfigurationError) as raised:
        shared_secret("X-Proof", "hunter2")
    assert "hunter2" not in str(raised.value)


# Addresses


@pytest.mark.parametrize(
    "host",
    [
        "acme.example.com",
        "ACME.EXAMPLE.COM",
        "acme.example.com:8000",
        "acme.example.com.:8000",
        "acme.example.com:",
        "www.example.com",
        "example.com",
        "example.com.evil.net",
        "evilexample.com",
        "10.0.0.1:80",
        "[::1]:80",
        "localhost",
        "",
    ],
)
def test_hosts_that_say_acme_or_nobody(host: str) -> None:
    assert beside(subdomain(of="Example.com."), scope(("host", host))) == "acme"


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "a.acme.example.com",
        "acme..example.com",
        ".example.com",
        "-acme.example.com",
        "acme_1.example.com",
        "acm\u00e9.example.com",
        "xn--acm-dma.example.com",
        "acme.example.com,evil.example.com",
        "user@acme.example.com",
        f"{'a' * 64}.example.com",
    ],
)
def test_hosts_that_say_another_or_what_is_none(host: str) -> None:
    with pytest.raises(TenantConflict):
        beside(subdomain(of="example.com"), scope(("host", host)))


def test_a_domain_of_another_script_is_written_as_idna() -> None:
    source = subdomain(of="xn--bcher-kva.example")
    assert beside(source, scope(("host", "acme.xn--bcher-kva.example"))) == "acme"


def test_two_hosts_are_refused() -> None:
    with pytest.raises(TenantConflict, match="subdomain"):
        beside(subdomain(of="example.com"), scope(("host", "acme.example.com"), ("host", "acme.example.com")))


@pytest.mark.parametrize(
    "target", ["/t/acme", "/t/acme/", "/t/acme/a//b", "/t/", "/t", "/", "", "*", "/x//y", "/T/evil"]
)
def test_paths_that_say_acme_or_nobody(target: str) -> None:
    assert beside(path(prefix="/t/"), scope(path=target)) == "acme"


@pytest.mark.parametrize(
    "target",
    [
        "/t/evil",
        "/t//evil",
        "//t/evil",
        "/./t/evil",
        "/t/./evil",
        "/t/acme/../evil",
        "/x/../t/evil",
        "/t/acme/..",
        "/t/ acme",
    ],
)
def test_paths_that_say_another_or_may_be_read_so(target: str) -> None:
    with pytest.raises(TenantConflict):
        beside(path(prefix="/t/"), scope(path=target))


MOUNTED = [
    scope(path="/api/t/evil/x", root_path="/api"),
    scope(path="/t/evil/inner/x", root_path="/t/evil/inner", app_root_path=""),
    scope(path="/api/t/evil/inner/x", root_path="/api/t/evil/inner", app_root_path="/api"),
    scope(path="/t/evil/x", root_path="/api"),
    scope(path="/api//t/evil/x", root_path="/api"),
    scope(path="/t/acme/t/evil/x", root_path="/t/acme"),
    meta(SCRIPT_NAME="/api", PATH_INFO="/t/evil/x"),
    meta(SCRIPT_NAME="/t/evil", PATH_INFO="/x"),
]


@pytest.mark.parametrize("incoming", MOUNTED, ids=lambda each: " | ".join(each.paths))
def test_a_path_begins_where_an_app_is_mounted_too(incoming: Incoming) -> None:
    """Behind ``--root-path`` and inside of other apps nobody else's is passed by."""
    with pytest.raises(TenantConflict):
        beside(path(prefix="/t/"), incoming)


def test_a_path_that_is_mounted_may_agree_or_name_nobody() -> None:
    assert beside(path(prefix="/t/"), scope(path="/api/t/acme/x", root_path="/api")) == "acme"
    assert beside(path(prefix="/t/"), scope(path="/apit/t/evil", root_path="/apit/t/evil")) == "acme"
    assert beside(path(prefix="/t/"), scope(path="/apis/t/evil", root_path="/api")) == "acme"
    assert beside(path(prefix="/t/"), meta(SCRIPT_NAME="/\xc3\xa9", PATH_INFO="/t/acme")) == "acme"


def slug(text: str) -> str | None:
    return {"acme-gmbh": "acme"}.get(text)


def test_what_stands_in_an_address_may_be_a_name_that_is_looked_up() -> None:
    source = subdomain(of="example.com", tenant=slug)
    assert beside(source, scope(("host", "acme-gmbh.example.com"))) == "acme"
    with pytest.raises(TenantConflict) as raised:
        beside(source, scope(("host", "acme.example.com")))
    assert raised.value.found == {"callable": "acme", "subdomain": "Unknown(said='acme')"}


def test_who_has_not_logged_in_does_not_learn_whose_names_exist() -> None:
    tenancy = Tenancy(session("org"), beside=[subdomain(of="example.com", tenant=slug)])
    for host in ("acme-gmbh.example.com", "unknown.example.com"):
        assert tenancy.find(scope(("host", host))) is None


def test_names_may_be_looked_up_by_a_coroutine() -> None:
    async def later(text: str) -> str | None:
        return slug(text)

    tenancy = Tenancy(ACME, beside=[path(tenant=later)])
    assert asyncio.run(tenancy.find_async(scope(path="/t/acme-gmbh/x"))) == "acme"
    with pytest.raises(TenantConflict):
        asyncio.run(tenancy.find_async(scope(path="/t/evil/x")))


def test_claims_may_be_found_by_a_coroutine() -> None:
    async def claims(_: Any) -> dict[str, str]:
        return {"org": "acme"}

    assert asyncio.run(Tenancy(claim("org", claims)).find_async(scope())) == "acme"


# Certificates


def tls(subject: str | None, error: str | None = None) -> ScopeRequest:
    return scope(extensions={"tls": {"client_cert_name": subject, "client_cert_error": error}})


def test_the_server_says_the_subject_of_a_certificate() -> None:
    assert Tenancy(mtls()).find(tls("CN=acme,O=Acme\\, Ltd,C=IN")) == "acme"
    assert Tenancy(mtls("O")).find(tls("CN=acme+O=Acme\\2C Ltd")) == "Acme, Ltd"
    assert Tenancy(mtls("UID")).find(tls("CN=acme")) is None
    assert Tenancy(mtls()).find(tls(None)) is None
    assert Tenancy(mtls()).find(scope()) is None
    assert Tenancy(mtls(tenant=slug)).find(tls("cn=acme-gmbh")) == "acme"
    with pytest.raises(TenantUnidentified):
        Tenancy(mtls(tenant=slug)).find(tls("CN=evil"))


@pytest.mark.parametrize(
    "subject", ["CN=acme,CN=evil", "/C=IN/CN=acme", 'CN="acme"', "CN=acme,", "CN=#0403", "acme", "CN=a;CN=b"]
)
def test_a_subject_with_two_names_or_written_otherwise_is_refused(subject: str) -> None:
    with pytest.raises(TenantConflict):
        Tenancy(mtls()).find(tls(subject))


def test_a_certificate_that_was_not_verified_is_nobodys() -> None:
    with pytest.raises(TenantUnidentified):
        Tenancy(ACME, mtls()).find(tls("CN=acme", "expired"))
    with pytest.raises(TenantUnidentified):
        Tenancy(ACME, mtls()).find(meta(SSL_CLIENT_VERIFY="FAILED:expired", SSL_CLIENT_S_DN_CN="acme"))


def test_an_environ_says_the_subject_of_a_certificate() -> None:
    assert Tenancy(mtls()).find(meta(SSL_CLIENT_VERIFY="SUCCESS", SSL_CLIENT_S_DN_CN="acme")) == "acme"
    assert Tenancy(mtls()).find(meta(SSL_CLIENT_VERIFY="NONE")) is None
    assert Tenancy(mtls()).find(meta(HTTP_SSL_CLIENT_VERIFY="SUCCESS", HTTP_SSL_CLIENT_S_DN_CN="acme")) is None
    with pytest.raises(TenantConflict):
        Tenancy(mtls()).find(meta(SSL_CLIENT_VERIFY="SUCCESS", SSL_CLIENT_S_DN_CN="acme", SSL_CLIENT_S_DN_CN_1="evil"))


class Connection:
    """As gunicorn hands it on, where it ends TLS itself."""

    def __init__(self, *subject: tuple[tuple[str, str], ...], is_sent: bool = True) -> None:
        self._certificate = {"subject": subject} if is_sent else None

    def getpeercert(self) -> Any:
        return self._certificate


def test_a_connection_says_the_subject_of_a_certificate() -> None:
    """And its attributes by their whole names."""
    acme = Connection((("countryName", "IN"),), (("organizationName", "Acme, Ltd"), ("commonName", "acme")))
    connection = {"gunicorn.socket": acme}
    assert Tenancy(mtls()).find(meta(**connection)) == "acme"
    assert Tenancy(mtls("O")).find(meta(**connection)) == "Acme, Ltd"
    assert Tenancy(mtls("UID")).find(meta(**connection)) is None
    assert Tenancy(mtls()).find(meta(**{"gunicorn.socket": Connection(is_sent=False)})) is None
    # One without TLS, or of which nobody looked at the certificate.
    assert Tenancy(mtls()).find(meta(**{"gunicorn.socket": object()})) is None
    unseen = Connection()
    unseen._certificate = {}
    assert Tenancy(mtls()).find(meta(**{"gunicorn.socket": unseen})) is None
    two = Connection((("commonName", "acme"),), (("commonName", "evil"),))
    with pytest.raises(TenantConflict):
        Tenancy(mtls()).find(meta(**{"gunicorn.socket": two}))


def test_a_proxy_says_the_subject_of_a_certificate() -> None:
    tenancy = Tenancy(mtls(header="X-Subject", behind=shared_secret("X-Proof", SECRET)))
    proof, verified, subject = ("x-proof", SECRET), ("x-client-verify", "SUCCESS"), ("x-subject", "CN=acme,O=Ltd")
    assert tenancy.find(scope(proof, verified, subject)) == "acme"
    assert tenancy.find(scope(verified, subject)) is None
    assert tenancy.find(scope(proof, ("x-client-verify", "NONE"), ("x-subject", ""))) is None
    assert tenancy.find(scope(proof)) is None
    assert tenancy.find(scope(proof, verified, ("x-subject", "O=Ltd"))) is None
    for refused in ([proof, subject], [proof, ("x-client-verify", "FAILED"), subject]):
        with pytest.raises(TenantUnidentified):
            tenancy.find(scope(*refused))
    with pytest.raises(TenantConflict):
        tenancy.find(meta(HTTP_X_PROOF=SECRET, HTTP_X_CLIENT_VERIFY="SUCCESS", HTTP_X_SUBJECT="CN=acme,CN=evil"))


def test_names_of_rfc_4514_are_read() -> None:
    said = "UID=jsmith,DC=example, DC=net+OU=A\\+B,CN=Lu\\C4\\8Di\\C4\\87"
    assert list(attributes_of(said)) == [
        ("UID", "jsmith"),
        ("DC", "example"),
        ("DC", "net"),
        ("OU", "A+B"),
        ("CN", "Lučić"),
    ]


# Logs


def test_what_a_client_sent_is_shown_in_one_short_line() -> None:
    text = shown("a\r\nlevel=error" + "x" * 500)
    assert text.startswith("a\\r\\nlevel")
    assert len(text) == SHOWN
    assert shown("ácme") == "\\xe1cme"
