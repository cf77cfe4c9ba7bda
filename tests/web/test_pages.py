"""The page that browsers get: what it says, that it runs nothing, and templates of a host's own."""

from __future__ import annotations

import base64
import hashlib
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import Page, Pages
from payaid_entitlements.web.pages import VALUES
from payaid_entitlements.web.problems import followable

EVIL = "\"'><script>alert(1)</script>&amp;<!--\x00${title} $options"
REMEDIES = (
    {"kind": "change_plan", "title": "Pro", "url": "https://shop.example/pro?a=1&b=2", "verb": "change_plan"},
    {"kind": "change_plan", "title": "Team", "url": None, "verb": "subscribe"},
    {"kind": "add_add_on", "title": "Seats", "url": "/seats"},
    {"kind": "wait_until", "at": "2026-10-01T14:00:00+05:30"},
    {"kind": "release_slots", "feature": "crm.seats", "amount": 2},
    {"kind": "contact", "title": "Talk to us", "url": "https://shop.example/contact"},
    {"kind": "contact", "title": "Pay what is due", "url": None},
)


def page(**more):
    told = {"status": 402, "reason": "plan.module_absent", "title": "Not held", "detail": "Change.", "language": "en"}
    return Page(**told | more)


class Read(HTMLParser):
    """What a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.text, self.open = [], "", []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "br", "img", "link", "input"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data

    def all(self, tag):
        return [attrs for each, attrs in self.tags if each == tag]


def test_a_page_says_what_a_document_says():
    read = Read(Pages()(page(reference="G8NK-788M", remedies=REMEDIES, feature="hr")))

    assert read.open == []
    assert read.all("html") == [{"lang": "en", "dir": "ltr"}]
    assert len(read.all("h1")) == len(read.all("main")) == len(read.all("title")) == 1
    for said in (
        "Not held",
        "Change.",
        "Change to Pro",
        "Subscribe to Team",
        "Add Seats",
        "Available from 2026-10-01 08:30 UTC",
        "Slots to free: 2",
        "Contact us",
        "Reference for support: G8NK-788M",
    ):
        assert said in read.text
    assert [each["href"] for each in read.all("a")] == [
        "https://shop.example/pro?a=1&b=2",
        "/seats",
        "https://shop.example/contact",
    ]
    assert read.all("time") == [{"datetime": "2026-10-01T08:30:00+00:00"}]


@pytest.mark.parametrize(
    ("at", "shown"),
    [
        ("2026-12-31T23:59:00+00:00", "2026-12-31 23:59 UTC"),
        ("2026-12-31T23:59:00.000001+00:00", "2027-01-01 00:00 UTC"),
        ("2026-12-31T23:58:59+00:00", "2026-12-31 23:59 UTC"),
        # For good, as hosts write it.
        ("9999-12-31T23:59:59+00:00", "9999-12-31 23:59 UTC"),
        ("9999-12-31T23:59:59.999999+00:00", "9999-12-31 23:59 UTC"),
    ],
)
def test_a_time_is_never_too_early(at, shown):
    assert f">{shown}</time>" in Pages()(page(remedies=({"kind": "wait_until", "at": at},)))


def test_a_long_word_breaks():
    """
    Seen in a browser 320 wide, where it made all else unreadable; and under a zoom of 400 %, which is the same.
    """
    assert re.search(r"body\{[^}]*overflow-wrap:anywhere", Pages()(page()))


def test_a_page_names_the_versions_that_there_are():
    """
    Its words send people to what is named here: a page has no members.
    """
    text = Pages()(page(reason="version.unknown", status=400, versions=("2026-01-01", "<2>")))

    assert Read(text).text.count("Versions: 2026-01-01, <2>") == 1
    assert "Versions" not in Pages()(page())


def test_who_can_only_talk_to_us_is_told_so_once():
    """
    Plans without a price and without an address: the way out says that there are plans, and not how to get one.
    """
    asked = [{"kind": "contact", "title": "Talk", "plan": plan, "url": None} for plan in ("big", "bigger")]

    assert Read(Pages()(page(remedies=tuple(asked)))).text.count("Contact us") == 1


def test_what_there_is_not_is_not_said():
    text = Pages()(page(remedies=({"kind": "contact", "title": "Pay what is due", "url": None},)))

    assert not re.search(r"<ul>|<li>|<a |<small>", text)


def test_a_page_runs_nothing_and_loads_nothing():
    """
    It reads well under any Content-Security-Policy: its style is allowed by its own hash, or left out.
    """
    read = Read(Pages()(page(remedies=REMEDIES)))
    (policy,) = (each["content"] for each in read.all("meta") if "http-equiv" in each)
    style = re.search(r"<style>(.*?)</style>", Pages()(page()), re.DOTALL)[1]
    hashed = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()

    assert policy == f"default-src 'none'; base-uri 'none'; form-action 'none'; style-src 'sha256-{hashed}'"
    assert {tag for tag, _ in read.tags} <= {
        *("html", "head", "meta", "title", "style", "body", "main", "h1", "p", "ul", "li", "a", "time", "small", "code")
    }
    assert not any(name.startswith("on") or name in ("style", "src") for _, attrs in read.tags for name in attrs)
    assert "url(" not in style


@pytest.mark.parametrize("field", ["title", "detail", "feature", "reference", "retry_after", "reason", "language"])
def test_everything_is_escaped(field):
    template = '<p title="$FIELD">$FIELD</p>'.replace("FIELD", field)
    evil = page(**{field: EVIL})

    for pages in (Pages(), Pages({"default": template})):
        read = Read(pages(evil))
        assert read.open == []
        assert not read.all("script")


def test_remedies_are_escaped():
    evil = [dict.fromkeys(each, EVIL) | {"kind": each["kind"]} for each in REMEDIES if each["kind"] != "wait_until"]
    read = Read(Pages()(page(remedies=tuple(evil), reference=EVIL)))

    assert not read.all("script")
    assert not read.all("a")
    assert read.text.count("<script>alert(1)</script>") >= 3


@given(st.text())
def test_no_text_opens_a_tag(text):
    plain = Read(Pages()(page(title="", detail="", reference="x")))
    read = Read(Pages()(page(title=text, detail=text, reference=text or "x")))

    assert read.tags == plain.tags


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/a?b=c&d=e#f",
        "HTTP://shop.example",
        "/billing",
        "billing?plan=pro",
        "?plan=pro",
        "#plans",
        "//shop.example/billing",
        "/über/₹",
    ],
)
def test_links_lead_to_pages(url):
    assert followable(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "",
        None,
        7,
        "javascript:alert(1)",
        "JaVaScRiPt:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "java\tscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "mailto:us@shop.example",
        "https:/\\evil",
        "/\\evil",
        "https://shop.example/\r\nx",
        "https://shop.example/ x",
        "https://shop.example/\x85x",
        "https://shop.example/\ud800",
        "http:relative",
        "blob:https://shop.example",
    ],
)
def test_links_lead_to_nothing_that_runs(url):
    assert followable(url) is None


@pytest.mark.parametrize(
    ("language", "direction"), [("ar", "rtl"), ("he-IL", "rtl"), ("UR", "rtl"), ("de", "ltr"), ("arn", "ltr")]
)
def test_a_language_has_its_direction(language, direction):
    assert f'lang="{language}" dir="{direction}"' in Pages()(page(language=language))


# -- templates of a host's own ----------------------------------------------------------------------------------------


def test_the_most_specific_template_is_taken():
    names = ["plan.module_absent", "plan", "402", "default"]
    given = {name: f"{name} $$" for name in names}

    for name in names:
        assert Pages(given)(page()) == f"{name} $"
        del given[name]
    assert "<h1>Not held</h1>" in Pages({})(page())


def test_a_template_of_a_language_is_for_its_readers():
    pages = Pages({"de/402": "deutsch", "de-AT/402": "österreichisch", "402": "any", "plan": "plan"})

    assert pages(page(language="de-AT", reason="quota.exhausted")) == "österreichisch"
    assert pages(page(language="de-CH", reason="quota.exhausted")) == "deutsch"
    assert pages(page(language="hi", reason="quota.exhausted")) == "any"
    assert pages(page(language="de")) == "plan"


def test_a_template_may_say_all_that_a_page_knows():
    template = "|".join(f"${{{name}}}" for name in VALUES) + "$options$quotable"
    told = page(feature="hr", reference="R", upgrade_url="/u", retry_after="2")

    assert Pages({"402": template})(told).startswith(
        "402|plan.module_absent|plan|Not held|Change.|hr|R|/u|2|en|ltr<p><small>Reference for support: <code>R</code>"
    )


def test_templates_are_read_from_files(tmp_path):
    (tmp_path / "de").mkdir()
    (tmp_path / "402.html").write_text("ours", encoding="utf-8")
    (tmp_path / "de" / "402.html").write_text("unseré", encoding="utf-8")

    assert Pages(tmp_path)(page()) == "ours"
    assert Pages(str(tmp_path))(page(language="de")) == "unseré"


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("402", "$tilte", "did you mean 'title'"),
        ("402", "costs 5 $ only", "write $$"),
        ("402", "${title", "write $$"),
        ("402", 7, "is no text"),
        ("plan.module_absnt", "x", "did you mean 'plan.module_absent'"),
        ("200", "x", "named by a reason"),
        ("page", "x", "named by a reason"),
        ("de_DE/402", "x", "no language tag"),
        ("../402", "x", "no language tag"),
        ("402", "<script>let t = '$title'</script>", "inside <script>"),
        ("402", "<style>p{content:'$title'}</style>", "inside <style>"),
        ("402", "<p onclick=\"go('$feature')\">x</p>", "nothing escapes it"),
        ("402", '<p style="color:$feature">x</p>', "nothing escapes it"),
        ("402", '<iframe srcdoc="$detail"></iframe>', "nothing escapes it"),
        ("402", '<meta http-equiv="refresh" content="0;url=$upgrade_url">', "nothing escapes it"),
        ("402", "<p title=$title>x</p>", "put quotes"),
        ("402", "<p title = a$title>x</p>", "put quotes"),
        ("402", "<p $title>x</p>", "no name of a tag"),
        ("402", '<a href="$feature">x</a>', "only $upgrade_url"),
        ("402", '<a href="/buy?for=$feature">x</a>', "only $upgrade_url"),
        ("402", '<a href="https://x/$upgrade_url">x</a>', "only $upgrade_url"),
        ("402", '<img src="$title"/>', "only $upgrade_url"),
        ("402", '<p title="$options">x</p>', "it is HTML"),
    ],
)
def test_a_broken_template_fails_at_start_up(name, text, said):
    with pytest.raises(ConfigurationError) as error:
        Pages({name: text})

    assert said in str(error.value)
    assert name in str(error.value)


@pytest.mark.parametrize(
    "text",
    [
        '<a href="$upgrade_url">$title</a>',
        '<a href="${upgrade_url}">$title</a>',
        '<a href="mailto:help@shop.example?subject=$reference%20$reason">x</a>',
        '<script src="/static/app.js"></script><p>$title</p>',
        "<script>let price = '$$5'</script>$title",
        '<p title="$title" class="a b" data-reason="$reason" hidden>x</p>',
        "<style>p{color:red}</style><p>$detail</p><br/>",
        '<meta name="description" content="$title">',
        "<!-- $title --><textarea>$title</textarea>",
        "a = $title",
        '<a href="/buy?price=$$title">$$title</a>',
        "<script>let title = '$$title'</script>",
    ],
)
def test_a_sound_template_starts(text):
    Pages({"402": text})(page())


def test_files_that_cannot_be_read_fail_at_start_up(tmp_path):
    with pytest.raises(ConfigurationError, match="is none"):
        Pages(tmp_path / "nowhere")
    (tmp_path / "402.html").write_bytes(b"\xff")
    with pytest.raises(ConfigurationError, match=r"402\.html cannot be read"):
        Pages(tmp_path)
