"""
Reads what a client is told by what the standards say alone: nothing here is imported from the library.

- RFC 9457: the members of a problem document, and their types.
- RFC 9110: ``Retry-After`` (10.2.3), ``WWW-Authenticate`` (11.6.1), ``Vary`` (12.5.5); field values (5.5).
- RFC 9651: ``RateLimit`` and ``RateLimit-Policy``; RFC 5646: ``Content-Language``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from html.parser import HTMLParser
from urllib.parse import urlsplit

import http_sf


@dataclass(frozen=True, slots=True)
class Told:
    """What a client has understood."""

    status: int
    reason: str
    language: str
    is_page: bool


def read(status: int, headers: Mapping[str, str], body: bytes) -> Told:
    """
    Read a refusal.

    Raises:
        AssertionError: It breaks a rule.
    """
    fields = {name.lower(): value for name, value in headers.items()}
    for name, value in headers.items():
        assert re.fullmatch(r"[A-Za-z0-9-]+", name), name
        assert re.fullmatch(r"[!-~](?:[ -~]*[!-~])?", value), (name, value)
    assert fields["cache-control"] == "no-store"
    varies = [each.strip().lower() for each in fields["vary"].split(",")]
    assert {"accept", "accept-language", "authorization", "cookie"} <= set(varies)
    assert len(varies) == len(set(varies))
    assert re.fullmatch(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*", fields["content-language"])
    _require_fields(status, fields)
    if fields["content-type"] == "text/html; charset=utf-8":
        return Told(status, "", fields["content-language"], is_page=_require_page(body, fields["content-language"]))
    assert fields["content-type"] == "application/problem+json"
    return Told(status, _require_problem(body, status), fields["content-language"], is_page=False)


def _require_fields(status: int, fields: Mapping[str, str]) -> None:
    assert ("www-authenticate" in fields) is (status == 401)
    after = fields.get("retry-after")
    if after is not None:
        assert status in (402, 403, 429, 503)
        assert re.fullmatch(r"[1-9][0-9]*", after) or parsedate_to_datetime(after).utcoffset() is not None
    limits = {name for name in fields if name.startswith("ratelimit")}
    assert not limits or status == 429
    for name in limits:
        for item, parameters in http_sf.parse(fields[name].encode(), tltype="list"):
            assert isinstance(item, str)
            assert all(isinstance(number, int) and number >= 0 for number in dict(parameters).values())


def _require_problem(body: bytes, status: int) -> str:
    problem = json.loads(body, object_pairs_hook=_once)
    assert problem["status"] == status
    for member in ("type", "title", "detail", "reason"):
        assert isinstance(problem[member], str)
        assert problem[member]
    family, dot, word = problem["reason"].partition(".")
    assert family.isidentifier() and dot and word.isidentifier()
    own = f"urn:problem-type:payaid:{problem['reason']}"
    limited = "https://iana.org/assignments/http-problem-types#quota-exceeded"
    assert problem["type"] == (limited if problem["reason"] == "rate.limited" else own)
    assert ("violated-policies" in problem) is (status == 429)
    assert ("remedies" in problem) is ("feature" in problem)
    if "upgrade_url" in problem:
        assert urlsplit(problem["upgrade_url"]).scheme in ("", "http", "https")
        urls = [each["url"] for each in problem["remedies"] if each.get("url")]
        assert problem["upgrade_url"] == urls[0]
    return str(problem["reason"])


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    assert len(pairs) == len(dict(pairs)), "a member stands twice"
    return dict(pairs)


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def _require_page(body: bytes, language: str) -> bool:
    text = body.decode("utf-8")
    assert text.startswith("<!DOCTYPE html>\n")
    page = _Page(text)
    assert not page.open
    (html,) = (attrs for tag, attrs in page.seen if tag == "html")
    assert html["lang"] == language
    tags = [tag for tag, _ in page.seen]
    assert [tags.count(tag) for tag in ("h1", "main", "title", "body")] == [1, 1, 1, 1]
    assert not {"script", "iframe", "img", "link", "object", "form", "base"} & set(tags)
    for _, attrs in page.seen:
        assert not any(name.startswith("on") or name in ("style", "src") for name in attrs)
        assert urlsplit(attrs.get("href") or "").scheme in ("", "http", "https")
    return True
