"""All places together: the verified id that nothing contradicts, nobody, or a refusal. Never the first one."""

import asyncio
import pickle
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI, Request
from fastapi.testclient import TestClient
from hypothesis import example, given, settings
from hypothesis import strategies as st

from payaid_entitlements.errors import TenantConflict
from payaid_entitlements.web.request import EnvironRequest, ScopeRequest
from payaid_entitlements.web.tenancy import Source, Tenancy, by, finder_of, state, subdomain

IDS = st.sampled_from(["acme", "evil", "Acme", None])
#: Whom a place names, whether anything proves it, and whether it must be awaited.
PLACES = st.lists(st.tuples(IDS, st.sampled_from([True, False, None]), st.booleans()), max_size=5)


def place(index: int, named: str | None, proven: bool | None, awaited: bool) -> Source:
    async def later() -> str | None:
        return named

    return Source(
        f"place {index}", lambda _: later() if awaited else named, None if proven is None else lambda _: proven
    )


@given(PLACES)
@example([("evil", None, False)])
@example([("acme", True, True), ("evil", None, True)])
@settings(max_examples=80, deadline=None)
def test_out_comes_what_is_verified_and_uncontradicted_and_nothing_else(places: Any) -> None:
    sources = [place(index, *each) for index, each in enumerate(places)]
    beside = [source for source in sources if source.proof is None]
    verified = [source for source in sources if source.proof is not None]
    tenancy = Tenancy(by(lambda _: None), *verified, beside=beside)
    named = {who for who, _, _ in places if who is not None}
    proven = {who for who, proof, _ in places if who is not None and proof}
    try:
        found = asyncio.run(tenancy.find_async(ScopeRequest({})))
    except TenantConflict as conflict:
        assert proven
        assert len(named) > 1
        assert set(conflict.found.values()) == named
    else:
        assert found is None if not proven else {found} == proven == named


def test_where_nothing_is_awaited_nothing_must_be() -> None:
    tenancy = Tenancy(by(lambda _: "acme"), beside=[subdomain(of="example.com")])
    assert tenancy.seek(ScopeRequest({})) == "acme"


def test_what_cannot_be_awaited_says_so_and_leaves_no_coroutine_behind(recwarn: pytest.WarningsRecorder) -> None:
    async def later(_: Any) -> str:
        return "acme"

    with pytest.raises(TypeError, match="coroutine function"):
        Tenancy(by(later)).find(ScopeRequest({}))
    assert asyncio.run(Tenancy(by(later), by(lambda _: "acme", name="other")).find_async(ScopeRequest({}))) == "acme"


def test_a_conflict_says_who_said_what_and_survives_a_queue() -> None:
    tenancy = Tenancy(by(lambda _: "acme"), beside=[subdomain(of="example.com")])
    with pytest.raises(TenantConflict, match="callable, subdomain") as raised:
        tenancy.find(ScopeRequest({"headers": [(b"host", b"evil.example.com")]}))
    assert pickle.loads(pickle.dumps(raised.value)).found == {"callable": "acme", "subdomain": "evil"}


def test_adapters_take_a_tenancy_or_a_callable_of_their_framework() -> None:
    tenancy = Tenancy(by(lambda native: native["org"]))
    assert finder_of(tenancy, EnvironRequest)({"org": "acme"}) == "acme"
    assert finder_of(tenancy, lambda: EnvironRequest({"org": "acme"}))() == "acme"
    assert finder_of(lambda native: native["org"], EnvironRequest)({"org": "acme"}) == "acme"


def test_it_is_a_dependency_of_fastapi() -> None:
    tenancy = Tenancy(by(state("org")), beside=[subdomain(of="example.com")])
    app = FastAPI()

    @app.middleware("http")
    async def login(request: Request, call_next: Any) -> Any:
        request.state.org = "acme"
        return await call_next(request)

    @app.get("/")
    async def whose(tenant: Annotated[str | None, Depends(tenancy.dependency)]) -> str | None:
        return tenant

    with TestClient(app) as client:
        assert client.get("/").json() == "acme"
        with pytest.raises(TenantConflict):
            client.get("/", headers={"Host": "evil.example.com"})
