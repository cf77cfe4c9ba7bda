"""Whatever bytes a request is made of, it is one of somebody, one of nobody, or refused: never an error of ours."""

from __future__ import annotations

from datetime import date
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from payaid_entitlements.errors import TenantConflict, TenantUnidentified, UnknownApiVersion
from payaid_entitlements.web.request import EnvironRequest, Incoming, ScopeRequest
from payaid_entitlements.web.tenancy import Tenancy, api_key, by, header, mtls, path, shared_secret, subdomain
from payaid_entitlements.web.versions import ApiVersions, Version, media_type, query
from payaid_entitlements.web.versions import header as version_header
from payaid_entitlements.web.versions import path as version_path

SECRET = "s" * 22
PROOF = shared_secret("X-Proof", SECRET)
TENANCY = Tenancy(
    by(lambda _: "acme"),
    api_key(lambda _: "acme", header="Authorization", scheme="Bearer"),
    header("X-Tenant-Id", behind=PROOF),
    mtls(header="X-Subject", behind=PROOF),
    beside=[subdomain(of="example.com"), path(prefix="/t/")],
)
VERSIONS = ApiVersions(
    [Version("1", deprecated=date(2026, 1, 1)), Version("2")],
    default="oldest",
    by=[version_header(), media_type("application/vnd.example"), version_path(), query("v")],
)
NAMES = ["host", "x-tenant-id", "x_tenant_id", "x-subject", "x-client-verify", "x-proof", "authorization", "accept"]
BYTES = st.one_of(
    st.binary(max_size=24),
    st.sampled_from(
        [b"acme", b"acme.example.com", SECRET.encode(), b"CN=acme", b"SUCCESS", b"Bearer k", b"2", b"\xff"]
    ),
)
PATHS = st.one_of(st.text(max_size=12), st.sampled_from(["/t/acme", "/v2/x", "/t/\udcff", "/v2\udcff", "/t//", "/.."]))


def judge(incoming: Incoming) -> None:
    try:
        assert TENANCY.find(incoming) == "acme"
    except TenantConflict as refused:
        assert all(said.isprintable() and said.isascii() for said in refused.found.values())
    except TenantUnidentified:
        pass
    try:
        chosen = VERSIONS.choose(incoming)
        for name, value in VERSIONS.fields(chosen, incoming):
            (name + value).encode("latin-1")
            assert (name + value).isprintable()
    except UnknownApiVersion as unknown:
        assert unknown.versions == ("1", "2")


@given(st.lists(st.tuples(st.sampled_from([*NAMES, "x-api-version"]), BYTES), max_size=5), PATHS, BYTES)
@settings(max_examples=60, deadline=None)
def test_it_is_found_or_refused(fields: Any, at: str, asked: bytes) -> None:
    headers = [(name.encode(), value) for name, value in fields]
    judge(ScopeRequest({"headers": headers, "path": at, "query_string": asked}))
    environ = {f"HTTP_{name.upper().replace('-', '_')}": value.decode("latin-1") for name, value in fields}
    raw = at.encode("utf-8", "surrogateescape" if at.isprintable() else "replace").decode("latin-1")
    judge(EnvironRequest({**environ, "PATH_INFO": raw, "QUERY_STRING": asked.decode("latin-1")}))
