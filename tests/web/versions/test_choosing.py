"""Which version a request is for: where it is named, when it is refused, what holds where it names none."""

from __future__ import annotations

import asyncio
import pickle
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import http_sf
import pytest
from structlog.testing import capture_logs

from payaid_entitlements.errors import ConfigurationError, UnknownApiVersion
from payaid_entitlements.web.refusing import refusal
from payaid_entitlements.web.request import EnvironRequest, ScopeRequest
from payaid_entitlements.web.versions import (
    ApiVersions,
    Place,
    Version,
    current_version,
    header,
    media_type,
    path,
    query,
)
from payaid_entitlements.web.versions.current import CURRENT_VERSION

NOW = datetime(2026, 9, 21, 14, tzinfo=UTC)
ALL = (header(), media_type("application/vnd.example"), path(), query())
V1 = Version("1", deprecated=date(2025, 1, 1), sunset=date(2026, 1, 1), notes="https://example.com/move")
V2 = Version("2", deprecated=date(2026, 1, 1), sunset=date(2027, 1, 1), notes="/docs/move")
V3 = Version("3")
NAMES = ("2", "3")


def versions(default: str = "oldest", **more: Any) -> ApiVersions:
    return ApiVersions([V1, V2, V3], default=default, now=lambda: NOW, **{"by": ALL, **more})


def request(*fields: tuple[str, str], path: str = "/", query: str = "", **more: str) -> ScopeRequest:
    headers = [(name.encode(), value.encode()) for name, value in fields]
    return ScopeRequest({"headers": headers, "path": path, "query_string": query.encode(), **more})


def vnd(accept: str) -> ScopeRequest:
    return request(("accept", accept))


@pytest.mark.parametrize(
    "incoming",
    [
        request(("x-api-version", "3")),
        request(("x-api-version", " 3 "), ("x-api-version", "3")),
        vnd("application/vnd.example.v3+json"),
        vnd("application/vnd.example+json; version=3"),
        vnd('application/vnd.example+json;q=0.9;Version="3", text/html'),
        vnd("Application/VND.Example.v3"),
        vnd("application/vnd.example.v2+json;q=0, application/vnd.example.v3+json"),
        request(path="/v3/invoices"),
        request(path="/v3"),
        request(query="api-version=3"),
        request(query="api-version=3&api-version=3"),
        request(
            ("x-api-version", "3"), ("accept", "application/vnd.example.v3+json"), path="/v3/", query="api-version=3"
        ),
        EnvironRequest({"HTTP_X_API_VERSION": "3,3", "QUERY_STRING": "", "PATH_INFO": "/v3/invoices"}),
    ],
)
def test_a_version_is_named_in_each_place(incoming: Any) -> None:
    chosen = versions().choose(incoming)
    assert (chosen.version, chosen.by) == (V3, "asked")


@pytest.mark.parametrize(
    "incoming",
    [
        request(),
        vnd("*/*"),
        vnd("application/vnd.example+json"),
        vnd("application/vnd.examples.v9+json"),
        vnd("application/vnd.example.v3+json;q=0.00"),
        request(path="/vendors"),
        request(path="/api/v3/invoices"),
        request(path="/v"),
        request(query="API-Version=3&version=3"),
        EnvironRequest({}),
    ],
)
def test_what_names_none_gets_the_default(incoming: Any) -> None:
    chosen = versions().choose(incoming)
    assert (chosen.version, chosen.by) == (V2, "default")


@pytest.mark.parametrize(
    ("kind", "status", "incoming"),
    [
        ("unknown", 400, request(("x-api-version", "9"))),
        ("unknown", 400, request(("x-api-version", ""))),
        ("unknown", 400, request(("x-api-version", "v3"))),
        ("unknown", 400, request(path="/v3.1/x")),
        ("unknown", 400, request(path="/v3\r\nX: y")),
        ("unknown", 400, request(query="api-version=")),
        ("unknown", 400, vnd("application/vnd.example.v9+json")),
        ("conflict", 400, request(("x-api-version", "2"), ("x-api-version", "3"))),
        ("conflict", 400, request(("x-api-version", "2,3"))),
        ("conflict", 400, request(("x-api-version", "2"), path="/v3/x")),
        ("conflict", 400, request(query="api-version=2&api-version=3")),
        ("conflict", 400, vnd("application/vnd.example.v2+json;version=3")),
        ("conflict", 400, vnd("application/vnd.example.v2+json, application/vnd.example.v3+json")),
        ("conflict", 400, EnvironRequest({"HTTP_X_API_VERSION": "2,9"})),
        ("retired", 410, request(("x-api-version", "1"))),
    ],
)
def test_what_cannot_be_had_is_refused_with_the_list(kind: str, status: int, incoming: Any) -> None:
    with pytest.raises(UnknownApiVersion) as raised:
        versions().choose(incoming)
    said = refusal(raised.value)
    assert (raised.value.kind, said.status, said.body["versions"]) == (kind, status, list(NAMES))
    assert said.body["reason"] == f"version.{kind}"
    assert pickle.loads(pickle.dumps(raised.value)).versions == NAMES


def test_what_has_ended_still_says_where_to_go() -> None:
    with pytest.raises(UnknownApiVersion) as raised:
        versions().choose(request(path="/v1/x"))
    said = refusal(raised.value).headers
    assert said["Sunset"] == "Thu, 01 Jan 2026 00:00:00 GMT"
    assert said["Link"].startswith('<https://example.com/move>; rel="deprecation"')


def test_it_ends_in_the_second_that_was_said() -> None:
    now = [NOW]
    api = ApiVersions([V2, V3], default="newest", now=lambda: now[0])
    now[0] = datetime(2027, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)
    assert api.choose(request(("x-api-version", "2"))).version == V2
    now[0] += timedelta(microseconds=1)
    with pytest.raises(UnknownApiVersion, match="retired"):
        api.choose(request(("x-api-version", "2")))


@pytest.mark.parametrize(("default", "version"), [("oldest", V2), ("newest", V3), ("2", V2)])
def test_the_default_is_a_policy(default: str, version: Version) -> None:
    assert versions(default).choose(request()).version == version


def test_a_version_may_have_to_be_named() -> None:
    with pytest.raises(UnknownApiVersion) as raised:
        versions("required").choose(request())
    assert (raised.value.kind, refusal(raised.value).status) == ("missing", 400)


def test_a_default_that_ends_later_is_refused_from_then_on() -> None:
    now = [NOW]
    for default in ("2", "oldest"):
        now[0] = NOW
        api = ApiVersions([V1, V2], default=default, now=lambda: now[0])
        now[0] = datetime(2028, 1, 1, tzinfo=UTC)
        with pytest.raises(UnknownApiVersion, match="retired"):
            api.choose(request())


# Pins


def test_a_tenant_gets_what_it_is_pinned_to_unless_it_asks() -> None:
    api = versions(pinned={"acme": "3"}.get)
    assert (api.choose(request(), "acme").version, api.choose(request(), "acme").by) == (V3, "pinned")
    assert api.choose(request(path="/v2/x"), "acme").by == "asked"
    assert api.choose(request(), "other").by == "default"
    assert api.choose(request(), None).by == "default"


@pytest.mark.parametrize("pin", ["1", "9", 3])
def test_a_pin_to_none_that_there_is_harms_nobody_and_is_logged(pin: Any) -> None:
    api = versions(pinned=lambda _: pin)
    with capture_logs() as lines:
        assert api.choose(request(), "acme").by == "default"
    assert [line["event"] for line in lines] == ["api_version.pin_ignored"]


def test_a_pin_may_be_found_by_a_coroutine() -> None:
    async def pinned(_: str) -> str:
        return "3"

    async def whose() -> str:
        return "acme"

    async def seek() -> Any:
        return await versions(pinned=pinned).seek(request(), whose)

    assert asyncio.run(seek()).version == V3
    with pytest.raises(TypeError, match="pinned="):
        versions(pinned=pinned).choose(request(), "acme")


# Ranges


def test_ranges_begin_with_the_first_and_end_before_the_last() -> None:
    api = versions()
    assert api.since("2").versions == ("2", "3")
    assert api.until("3").versions == ("1", "2")
    assert api.between("1", "3").versions == ("1", "2")
    assert "2" in api.since("2")
    assert V1 not in api.since("2")
    assert repr(api.since("2")) == "Range(2, 3)"


def test_what_is_not_in_a_range_is_not_there() -> None:
    api = versions()

    @api.since("3")
    def plain(value: int) -> int:
        return value

    @api.since("3")
    async def later(value: int) -> int:
        return value

    token = CURRENT_VERSION.set(V3)
    assert (plain(1), asyncio.run(later(2)), api.since("3").is_current) == (1, 2, True)
    assert current_version() is V3
    CURRENT_VERSION.reset(token)
    token = CURRENT_VERSION.set(V2)
    for call in (lambda: plain(1), lambda: asyncio.run(later(1)), lambda: asyncio.run(api.since("3").dependency())):
        with pytest.raises(UnknownApiVersion) as raised:
            call()
        assert (raised.value.kind, raised.value.versions, refusal(raised.value).status) == ("absent", ("3",), 404)
    assert not api.since("3").is_current
    CURRENT_VERSION.reset(token)
    with pytest.raises(ConfigurationError, match="VersionsMiddleware"):
        plain(1)


# Fields


def told(version: Version) -> dict[str, str]:
    return dict(version.fields)


def test_the_fields_of_a_version_can_be_parsed() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    version = Version(
        "2",
        deprecated=datetime(2026, 1, 1, 5, 30, 0, 999999, tzinfo=india),
        sunset=date(2026, 7, 1),
        notes="https://example.com/a;b?c=d",
        successor="https://example.com/v3",
    )
    fields = told(version)
    # RFC 9745 section 2: an item of RFC 9651 section 3.3.7.
    at, parameters = http_sf.parse(fields["Deprecation"].encode(), tltype="item")
    assert (at, parameters) == (datetime(2026, 1, 1, tzinfo=UTC), {})
    assert datetime.strptime(fields["Sunset"], "%a, %d %b %Y %H:%M:%S GMT").date() == date(2026, 7, 1)
    assert fields["Link"].split(", ") == [
        '<https://example.com/a;b?c=d>; rel="deprecation"; type="text/html"',
        '<https://example.com/a;b?c=d>; rel="sunset"; type="text/html"',
        '<https://example.com/v3>; rel="successor-version"',
    ]


def test_nothing_is_said_of_a_version_that_goes_on() -> None:
    assert told(V3) == {}
    assert told(Version("3", notes="/new")) == {}
    assert list(told(Version("3", sunset=date(2030, 1, 1)))) == ["Sunset"]


def test_two_hundred_dates_can_be_parsed_and_no_end_comes_first() -> None:
    for days in range(200):
        start, end = date(2026, 1, 1) + timedelta(days=days), date(2026, 1, 1) + timedelta(days=3 * days)
        fields = told(Version("2", deprecated=start, sunset=end))
        at, _ = http_sf.parse(fields["Deprecation"].encode(), tltype="item")
        until = datetime.strptime(fields["Sunset"], "%a, %d %b %Y %H:%M:%S GMT")
        assert (at.date(), until.date()) == (start, end)
        if days:
            with pytest.raises(ConfigurationError):
                Version("2", deprecated=end, sunset=start)


def test_where_versions_stand_in_the_path_the_newest_is_named() -> None:
    api = versions()
    incoming = request(path="/v2/a b\r\n<x>", query='q=1"&r=<')
    fields = api.fields(api.choose(incoming), incoming)
    assert fields == [
        ("X-API-Version", "2"),
        *V2.fields,
        ("Vary", "X-API-Version, Accept"),
        ("Link", '</v3/a%20b%0D%0A%3Cx%3E?q=1%22&r=%3C>; rel="successor-version"'),
    ]
    plain = request(query="api-version=2")
    assert len(api.fields(api.choose(plain), plain)) == len(fields) - 1
    newest = request(path="/v3/x")
    assert api.fields(api.choose(newest), newest) == [("X-API-Version", "3"), ("Vary", "X-API-Version, Accept")]


def test_a_field_of_another_name_is_said_again_under_it() -> None:
    api = ApiVersions([V3], default="3", by=[header("Acme-Version")])
    assert api.fields(api.choose(request()), request()) == [("Acme-Version", "3"), ("Vary", "Acme-Version")]
    api = ApiVersions([V3], default="3", by=[query("v")])
    assert api.fields(api.choose(request()), request()) == [("X-API-Version", "3")]


# Mistakes


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: Version("2", deprecated=date(2026, 2, 1), sunset=date(2026, 1, 1)), "before it is deprecated"),
        (lambda: Version("2", sunset=datetime(2026, 1, 1)), "time zone"),
        (lambda: Version("2", notes="javascript:x"), "no address"),
        (lambda: Version("2", notes="https://a>b"), "no address"),
        (lambda: Version("2", successor="/a b"), "no address"),
        (lambda: Version(""), "cannot be called"),
        (lambda: Version("a/b"), "cannot be called"),
        (lambda: Version("2\n"), "cannot be called"),
        (lambda: Version("oldest"), "cannot be called"),
        (lambda: ApiVersions([], default="oldest"), "needs versions"),
        (lambda: ApiVersions(["1"], default="oldest"), "write Version\\('1'\\)"),
        (lambda: ApiVersions([V3, Version("3")], default="3"), "needs versions"),
        (lambda: ApiVersions([V3], default="3", by=()), "no place"),
        (lambda: ApiVersions([V3], default="3", by=["X-API-Version"]), "no place for a version"),
        (lambda: ApiVersions([V3], default="4"), "there is no version '4'"),
        (lambda: ApiVersions([V1], default="newest", now=lambda: NOW), "has ended"),
        (lambda: ApiVersions([V1, V3], default="1", now=lambda: NOW), "has ended"),
        (lambda: versions().since("2.0"), "no version"),
        (lambda: versions().until("1"), "none in it"),
        (lambda: versions().between("2", "2"), "none in it"),
        (lambda: header("X_Version"), "no name of a field"),
        (lambda: media_type("vnd.example"), "no media type"),
        (lambda: path("v{version}"), "begins with a slash"),
        (lambda: path("/v{version}/x"), "begins with a slash"),
        (lambda: path("/v"), "begins with a slash"),
    ],
)
def test_mistakes_are_told_at_start_up_with_the_way_out(mistake: Any, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        mistake()


def test_a_place_of_ones_own() -> None:
    cookie = Place("cookie", lambda incoming: [value.removeprefix("v=") for value in incoming.header("cookie")])
    assert ApiVersions([V2, V3], default="2", by=[cookie]).choose(request(("cookie", "v=3"))).version == V3


@pytest.mark.parametrize(
    "incoming",
    [
        request(path="/api/v1/x", root_path="/api"),
        request(path="/v1/x", root_path="/api"),
        request(path="/shop/v1/x", root_path="/shop", app_root_path=""),
        request(path="/api/v1/inner/x", root_path="/api/v1/inner", app_root_path="/api"),
        EnvironRequest({"SCRIPT_NAME": "/api", "PATH_INFO": "/v1/x"}),
    ],
)
def test_what_has_ended_has_ended_wherever_the_app_is_mounted(incoming: Any) -> None:
    """Not that some other version is answered there, as to who names none."""
    with pytest.raises(UnknownApiVersion) as raised:
        versions().choose(incoming)
    assert raised.value.kind == "retired"


def test_where_the_app_is_mounted_the_newest_is_there_too() -> None:
    for incoming in (
        request(path="/a b/v2/x", root_path="/a b", query="q=1"),
        EnvironRequest({"SCRIPT_NAME": "/a b", "PATH_INFO": "/v2/x", "QUERY_STRING": "q=1"}),
    ):
        fields = versions().fields(versions().choose(incoming), incoming)
        assert fields[-1] == ("Link", '</a%20b/v3/x?q=1>; rel="successor-version"')
    with pytest.raises(UnknownApiVersion) as raised:
        versions().choose(request(path="/v2/v3/x", root_path="/v2"))
    assert raised.value.kind == "conflict"
