"""What clients would rather read, by RFC 9110 section 12.5 and RFC 4647 section 3.4."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.web.negotiating import lookup, prefers_page, ranges

FIREFOX = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8,"
    "application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    "accept",
    [
        FIREFOX,
        CHROME,
        "text/html",
        "TEXT/HTML",
        "text/*",
        "text/html;charset=utf-8",
        'text/html; charset="UTF-8"',
        "text/html;q=0.5",
        "text/html;Q=0.5",
        "text/html;q=1.000, application/json;q=0.999",
        "application/json;q=0, text/html;q=0.001",
        "*/*;q=0.5, text/html",
        # What is named counts, not what stands beside it.
        "application/problem+json;q=0.1, application/json, text/html;q=0.2",
        "application/json;q=2, text/html",
        # Said twice, the greater weight counts.
        "text/html, application/json;q=0.5, text/html;q=0.1",
        " text/html \t; q=0.3 , */*;q=0.2",
    ],
)
def test_browsers_get_a_page(accept):
    assert prefers_page(accept)


@pytest.mark.parametrize(
    "accept",
    [
        "",
        "*/*",
        "application/json",
        "application/problem+json",
        "application/*",
        # Ties: programs that did not say which they want are more often wrong with a page than people with a document.
        "text/html, application/json",
        "application/json, text/html",
        "text/html, */*",
        "text/*, */*",
        "text/html;q=0.8, application/json;q=0.9",
        "text/html;q=0",
        "text/html;q=0.000, text/*",
        "text/plain",
        "text/event-stream",
        "text/html;level=1",
        "text/html;charset=iso-8859-1",
        "text/html;q=nonsense",
        "text/html;q=1.1",
        "text/html;q=-1",
        "text/html;q=0.1234",
        "text/html;q=٠.٥",
        "application/xhtml+xml",
        "image/webp, video/text/html",
        ",;,;q=1,;;,",
    ],
)
def test_programs_get_a_document(accept):
    assert not prefers_page(accept)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("", []),
        ("de", ["de"]),
        ("de-CH, en;q=0.8, fr;q=0.9, *;q=0.1", ["de-ch", "fr", "en", "*"]),
        ("en;q=0.5,de;q=0.5", ["en", "de"]),
        ("de;q=0, en", ["en"]),
        ("zh-Hant-TW", ["zh-hant-tw"]),
        ("de_DE, toolongasubtag, e n, 1de, <script>", []),
        ("de\r\nSet-Cookie: a=b", []),
    ],
)
def test_languages_come_in_the_order_of_their_weights(header, expected):
    assert ranges(header) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (["de"], "de"),
        (["de-ch-1996"], "de"),
        (["fr", "de"], "de"),
        (["pt-br"], "pt-br"),
        (["pt-br-x-rio"], "pt-br"),
        (["pt"], None),
        (["zh-hant-cn-x-private1-private2"], "zh-hant"),
        (["de-x-en"], "de"),
        (["x-de"], None),
        (["*"], None),
        (["*", "de"], "de"),
        ([], None),
    ],
)
def test_a_language_is_looked_up_as_rfc_4647_says(wanted, expected):
    assert lookup(wanted, {"de", "en", "pt-br", "zh-hant"}) == expected


@given(st.text())
def test_nonsense_is_nothing(text):
    assert prefers_page(text) in (True, False)
    assert lookup(ranges(text), {"de"}) in ("de", None)


@pytest.mark.parametrize("part", ["text/html,", "a;", "a,", "text/html;q=0.1;", '"', "x-", 'text/html;a="b,', "-"])
def test_long_fields_cost_no_more_than_short_ones(part):
    """
    A megabyte of it is not looked at beyond what browsers send: the items are bounded, not only the time.
    """
    assert len(ranges(part * 300_000)) <= 2_048
    prefers_page(part * 300_000)


def test_what_stands_beyond_the_bound_was_not_said():
    assert not prefers_page("a/b, " * 1_000 + "text/html")
    assert prefers_page("text/html, " + "a/b, " * 1_000 + "text/html;q=0")
