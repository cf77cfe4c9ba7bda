"""Pages about tenants in Django's admin site: what they show, what they change, and what nobody can do by them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from html import escape, unescape

import pytest
from django.contrib import admin
from django.contrib.auth.models import Permission, User
from django.core.management import call_command
from django.test import Client, override_settings
from django.urls import path

from payaid_entitlements import UNLIMITED, Entitlements, Reason
from payaid_entitlements.core.instant import instant
from payaid_entitlements.core.reference import make_reference
from payaid_entitlements.errors import Refused, StoreUnavailable
from payaid_entitlements.web.django.models import Tenant
from payaid_entitlements.web.django.tenants.pages import TenantPages
from tests.project.databases import databases, settings_for
from tests.web.conftest import NOW
from tests.web.django.conftest import tenant_of

LIST, OF, WHY, CHANGE = (f"/admin/payaid/tenant/{each}" for each in ("", "of/", "why/", "change/"))
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
EVIL = "<script>alert('x')</script>"


@pytest.fixture(scope="module")
def users(tmp_path_factory):
    """A database with Django's users: who may look, who may change, and who may do neither."""
    url = f"sqlite:///{tmp_path_factory.mktemp('users')}/users.db"
    with databases(default=settings_for(url)):
        from django.db import connections

        call_command("migrate", verbosity=0)
        User.objects.create_superuser("root")
        for name in ("viewer", "changer", "staff"):
            User.objects.create(username=name, is_staff=True)
        for name, verb in (("viewer", "view"), ("changer", "change")):
            User.objects.get(username=name).user_permissions.add(Permission.objects.get(codename=f"{verb}_tenant"))
        User.objects.create(username="guest")
        User.objects.get(username="guest").user_permissions.add(Permission.objects.get(codename="change_tenant"))
        yield
        connections["default"].close()


@pytest.fixture
def site(users, inside):
    """The admin site; returns a function that logs somebody in."""
    inside.client.admin("asha", because="a test").subscribe("acme", "pro")

    def enter(name: str | None = "changer", **named) -> Client:
        client = Client(**named)
        if name is not None:
            client.force_login(User.objects.get(username=name))
        return client

    patterns = (path("admin/", admin.site.urls),)
    payaid = {"CLIENT": inside.client, "TENANT": tenant_of}
    with override_settings(ROOT_URLCONF=patterns, PAYAID=payaid, MIDDLEWARE=MIDDLEWARE):
        yield enter


def text_of(response) -> str:
    """What a page says, without its marks."""
    content = re.sub(r"<style.*?</style>", "", response.content.decode(), flags=re.DOTALL)
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", content)).split())


def fields_of(response) -> dict[str, str]:
    """The fields of the form that confirms."""
    form = response.content.decode().rpartition("<form")[2]
    found = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', form)
    return {name: unescape(value) for name, value in found if name != "csrfmiddlewaretoken"}


OVERRIDE = {"act": "override", "tenant": "acme", "feature": "crm.mails", "to": "50/month", "because": "ticket 7"}
UNTIL = {"until": "2031-01-01T12:00"}


# -- what they show -------------------------------------------------------------------------------------------------


def test_a_tenant_is_found_and_shown(site, inside):
    inside.client.consume("acme", "crm.mails", 2, operation="one")
    client = site("viewer")
    assert "acme" in text_of(client.get(LIST))
    found = client.get(LIST, {"tenant": " acme "}, follow=True)
    text = text_of(found)
    assert "Plan pro , active" in text or "Plan pro , trialing" in text
    assert re.search(
        r"crm\.mails .*allowed 3/month 2 of 3 used resets at 2026-10-01 05:45:00 \+0545 plan\.granted", text
    )
    assert "rate_limits.api" in text
    assert "subscribe" in text and "asha" in text
    assert "Set an override" not in text


def test_an_override_that_is_to_come_is_shown(site, inside):
    begins = datetime(2031, 1, 1, tzinfo=UTC)
    inside.client.admin("asha", because="a deal").override("acme", "books", True, from_=begins)
    text = text_of(site("viewer").get(OF, {"tenant": "acme"}))
    assert "books yes from 2031-01-01 05:45:00 +0545 without an end asha: a deal" in text


def test_why_shows_every_rule(site):
    text = text_of(site("viewer").get(WHY, {"tenant": "acme", "key": "books"}))
    assert "refused" in text and "plan.module_absent" in text
    assert "Every rule that was asked" in text


def test_what_a_customer_quotes_is_read(site, inside, clock):
    """A page tells people to quote a reference to support: here is where support puts it."""
    with pytest.raises(Refused) as refused:
        inside.client.require("acme", "books")
    clock.advance(timedelta(hours=1))
    inside.client.admin("asha", because="a deal").override("acme", "books", True)
    client, reference = site("viewer"), refused.value.reference
    assert 'name="reference"' in client.get(OF, {"tenant": "acme"}).content.decode()
    text = text_of(client.get(WHY, {"tenant": "acme", "reference": f" {reference.lower()} "}))
    assert "Said at 2026-09-21 19:45:00 +0545: plan.module_absent . What the tenant holds" in text
    assert "From a copy of revision 1, just read." in text
    assert "What is known today about that second: refused , plan.module_absent" in text
    assert "Now: allowed : override.granted" in text


@pytest.mark.parametrize(
    ("reference", "says"),
    [
        ("G8NK", "a reference has 26 letters and digits"),
        ("<script>", "a reference has 26 letters and digits"),
        ("U" * 26, ""),
    ],
)
def test_a_reference_that_is_none_is_said(site, reference, says):
    page = site("viewer").get(WHY, {"tenant": "acme", "reference": reference})
    assert page.status_code == 400
    assert says in text_of(page)
    assert f'value="{escape(reference)}"' in page.content.decode()


@pytest.mark.parametrize(
    ("tenant", "feature", "says"),
    [("globex", "crm", "is not about acme"), ("acme", "crm.gone", "the catalog has no module or feature")],
)
def test_a_reference_of_another_or_of_nothing_that_is_sold_is_said(site, tenant, feature, says):
    named = {"reason": Reason.PLAN_FEATURE_ABSENT, "at": instant(NOW), "revision": 1, "age": 3, "catalog_hash": ""}
    reference = make_reference(tenant=tenant, feature=feature, **named)
    page = site("viewer").get(WHY, {"tenant": "acme", "reference": reference})
    assert (page.status_code, says in text_of(page)) == (400, True)


def test_one_of_whom_nothing_is_recorded_holds_the_default_plan(site):
    text = text_of(site("viewer").get(OF, {"tenant": "nobody-yet"}))
    assert "Nothing was ever recorded about this tenant" in text and "Plan free" in text


def test_the_beginning_of_an_id_finds_those_that_begin_so(site, inside):
    boss = inside.client.admin("asha", because="a test")
    for tenant in ("north-1", "north-2", "nothing"):
        boss.subscribe(tenant, "free")
    page = site("viewer").get(OF, {"tenant": "north"})
    assert "Ids that begin with this: north-1 , north-2 Plan" in text_of(page)
    assert f'href="{OF}?tenant=north-1"' in page.content.decode()
    assert "begin with this" not in text_of(site("viewer").get(OF, {"tenant": "nobody"}))


def test_what_can_still_be_read_is_not_called_refused(site, inside):
    """Somebody who is paused reads on: an operator who is asked has to know."""
    inside.client.admin("asha", because="a test").pause("acme")
    client = site("viewer")
    assert re.search(r"crm\.export .*?read only", text_of(client.get(OF, {"tenant": "acme"})))
    assert "read only : subscription.paused" in text_of(client.get(WHY, {"tenant": "acme", "key": "crm.export"}))
    assert re.search(r"books .*?refused", text_of(client.get(OF, {"tenant": "acme"})))


def test_what_has_no_limit_is_not_compared_with_one(site, inside):
    inside.client.consume("acme", "crm.mails", 2, operation="one")
    inside.client.admin("asha", because="a test").override("acme", "crm.mails", UNLIMITED)
    assert "allowed unlimited 2 used" in text_of(site("viewer").get(OF, {"tenant": "acme"}))


def test_pages_look_as_the_site_does_and_fit_a_telephone(site):
    """
    Seen in a browser: without Django's style of forms labels and fields ran together, and a table was wider than a
    telephone and took the whole page with it.
    """
    client = site()
    pages = [client.get(LIST), client.get(OF, {"tenant": "acme"}), client.get(WHY, {"tenant": "acme", "key": "crm"})]
    for page in (*pages, client.post(CHANGE, OVERRIDE | UNTIL)):
        text = page.content.decode()
        assert "admin/css/forms.css" in text and "admin/css/changelists.css" in text
        _, _, text = text.partition('id="content-main"')  # before it is what Django shows beside each page
        assert 0 < text.count("<table>") == text.count('<div class="module results"><table>')


def test_older_changes_are_said_not_to_be_shown(site, inside, monkeypatch):
    monkeypatch.setattr("payaid_entitlements.web.django.tenants.showing.NEWEST", 2)
    boss = inside.client.admin("asha", because="a test")
    boss.override("acme", "books", True, because="the second")
    assert "Older changes" not in text_of(site("viewer").get(OF, {"tenant": "acme"}))
    boss.override("acme", "crm.mails", 5, because="the third")
    text = text_of(site("viewer").get(OF, {"tenant": "acme"}))
    assert "the third" in text and "Older changes are not shown" in text and "subscribe" not in text


def test_the_list_has_pages(site, inside, monkeypatch):
    monkeypatch.setattr("payaid_entitlements.web.django.tenants.pages.LISTED", 2)
    admin = inside.client.admin("asha", because="a test")
    for number in range(4):
        admin.subscribe(f"t&{number}", "free")
    client, seen = site("viewer"), []
    page = client.get(LIST)
    while True:
        seen += re.findall(r'scope="row"><a[^>]*>([^<]+)<', page.content.decode())
        more = re.search(r'href="([^"]*after=[^"]*)"', page.content.decode())
        if more is None:
            break
        page = client.get(unescape(more[1]))
    assert {"acme", *(f"t&amp;{number}" for number in range(4))} <= set(seen)
    assert len(seen) == len(set(seen))


def test_links_lead_into_the_site_that_has_them(site):
    """Also where a project has several: home is the one that somebody came from."""
    office = admin.AdminSite(name="office")
    office.register(Tenant, TenantPages)
    with override_settings(ROOT_URLCONF=(path("admin/", admin.site.urls), path("office/", office.urls))):
        page = site("root").get("/office/payaid/tenant/of/", {"tenant": "acme"}).content.decode()
    assert 'href="/office/"' in page
    assert '"/admin/' not in page


def test_the_index_of_the_site_names_them(site):
    assert LIST in site("root").get("/admin/").content.decode()
    assert LIST not in site("staff").get("/admin/").content.decode()


# -- what they change -----------------------------------------------------------------------------------------------


def test_an_override_is_shown_before_and_after_and_then_set_once(site, inside):
    client = site()
    review = client.post(CHANGE, OVERRIDE | UNTIL)
    assert "override of crm.mails none 50 until 2031-01-01 06:15" in text_of(review) and "until" in text_of(review)
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 3
    said = fields_of(review)
    for _ in range(2):  # a double click
        assert client.post(CHANGE, said).url == f"{OF}?tenant=acme"
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 50
    changes = [each for each in inside.client.admin("x").audit("acme") if each.verb == "override"]
    assert [(each.actor, each.because) for each in changes] == [("django:changer", "ticket 7")]
    text = text_of(client.get(OF, {"tenant": "acme"}))
    assert "Set an override: override of crm.mails" in text and "nothing was changed (change.repeated)" in text
    # In the zone of the project, which is not UTC.
    assert "50/month 2031-01-01 12:00:00 +0545" in text and "django:changer: ticket 7" in text


def test_an_override_is_cleared_and_that_is_undone(site, inside):
    client = site("root")
    client.post(CHANGE, fields_of(client.post(CHANGE, OVERRIDE | {"forever": "on"})))
    assert "without an end" in text_of(client.get(OF, {"tenant": "acme"}))
    clear = {"act": "clear", "tenant": "acme", "feature": "crm.mails", "user": "", "because": "over"}
    client.post(CHANGE, fields_of(client.post(CHANGE, clear)))
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 3
    *_, cleared = inside.client.admin("x").audit("acme")
    undo = {"act": "undo", "tenant": "acme", "change": cleared.id, "because": "not yet"}
    client.post(CHANGE, fields_of(client.post(CHANGE, undo)))
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 50


def test_an_override_of_one_user_is_only_that_users(site, inside):
    client = site()
    act = OVERRIDE | {"feature": "books", "to": "true", "user": "u1"} | UNTIL
    client.post(CHANGE, fields_of(client.post(CHANGE, act)))
    assert inside.client.check("acme", "books", user="u1").allowed
    assert "books for user u1 yes 2031-01-01 " in text_of(client.get(OF, {"tenant": "acme"}))
    assert not inside.client.check("acme", "books").allowed


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"because": ""}, "This field is required"),
        ({"because": "   "}, "This field is required"),
        ({"until": ""}, "Say when it ends, or that it has no end."),
        ({"until": "2031-01-01T12:00", "forever": "on"}, "Say when it ends, or that it has no end."),
        ({"until": "2001-01-01T12:00"}, "is over already"),
        ({"until": "soon"}, "Enter a valid date/time"),
        ({"feature": "crm.mail"}, "did you mean"),
        ({"to": "many"}, "crm.mails"),
        ({"feature": "books", "to": "5"}, "write true, false or deny"),
        ({"feature": "rate_limits.api", "to": "fast"}, "rate_limits.api"),
        ({"operation": "x"}, "Enter a valid UUID"),
        ({"user": "None"}, "identifies nobody"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(site, inside, said, says):
    before = inside.client.tenant("acme").revision
    refused = site().post(CHANGE, OVERRIDE | UNTIL | {"confirmed": "yes"} | said)
    assert refused.status_code == 400
    assert says in text_of(refused)
    assert inside.client.tenant("acme", fresh=True).revision == before


@pytest.mark.parametrize("said", [{"until": "2001-01-01T12:00"}, {"user": "None"}, {"to": "many"}, {"because": " "}])
def test_nothing_that_was_written_is_lost(site, said):
    """Whether the form refuses it, or the library."""
    act = OVERRIDE | UNTIL | {"because": "<ticket> 7", "user": "u1"} | said
    page = site().post(CHANGE, act).content.decode()
    for name in ("feature", "to", "until", "user", "because"):
        (field,) = (each for each in re.findall(r"<input[^>]*>", page) if f'id="id_{name}"' in each)
        assert unescape(re.search(r'value="([^"]*)"', field)[1]) == act[name]


def test_what_was_reviewed_can_be_corrected(site, inside):
    """A browser that goes back may have forgotten the form: pages about tenants are to be stored nowhere."""
    client = site()
    before = inside.client.tenant("acme").revision
    page = client.post(CHANGE, fields_of(client.post(CHANGE, OVERRIDE | UNTIL)) | {"edit": "Correct it"})
    assert 'value="2031-01-01T12:00"' in page.content.decode()
    assert 'value="ticket 7"' in page.content.decode()
    assert inside.client.tenant("acme", fresh=True).revision == before


def test_what_was_overtaken_is_reviewed_again(site, inside):
    """Of two operators who mend the same thing the second sees what the first has done, before doing it again."""
    client = site()
    review = client.post(CHANGE, OVERRIDE | UNTIL)
    inside.client.admin("asha", because="the same ticket").override("acme", "crm.mails", "9/month")
    again = client.post(CHANGE, fields_of(review))
    assert "Somebody has changed this tenant since." in text_of(again) and "9 50 until 2031" in text_of(again)
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 9
    assert client.post(CHANGE, fields_of(again)).status_code == 302
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 50


@pytest.mark.parametrize("act", [OVERRIDE | UNTIL, OVERRIDE | {"act": "clear", "user": ""}])
def test_what_is_overtaken_in_the_same_moment_is_not_done(site, inside, act):
    """Nor is what was written lost."""
    boss, client = inside.client.admin("asha", because="the same ticket"), site()
    boss.override("acme", "crm.mails", "7/month")
    review = client.post(CHANGE, act)

    def before(name):
        if name == "apply":
            inside.faults.before = None
            boss.override("acme", "crm.mails", "9/month")

    inside.faults.before = before
    refused = client.post(CHANGE, fields_of(review))
    assert refused.status_code == 409
    assert re.search(r"at revision \d+, and you looked at \d+; look again", text_of(refused))
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 9
    assert 'value="ticket 7"' in refused.content.decode()


def test_the_reason_of_a_change_that_is_refused_is_not_lost(site, inside):
    boss = inside.client.admin("asha", because="a test")
    first = boss.override("acme", "crm.mails", "9/month")
    boss.override("acme", "crm.mails", "8/month")
    undo = {"act": "undo", "tenant": "acme", "change": first.id, "because": "<a> wrong one"}
    clear = {"act": "clear", "tenant": "acme", "feature": "crm.mails", "user": "", "because": "x" * 501}
    undone, cleared = (site().post(CHANGE, act).content.decode() for act in (undo, clear))
    assert undone.count('value="&lt;a&gt; wrong one"') == 1
    assert cleared.count(f'value="{"x" * 501}"') == 1 and "at most 500 characters" in cleared


def test_whoever_writes_a_time_is_told_whose(site):
    client = site()
    assert "Time of Asia/Kathmandu" in text_of(client.get(OF, {"tenant": "acme"}))
    assert "Until: 2031-01-01 12:00:00 +0545" in text_of(client.post(CHANGE, OVERRIDE | UNTIL))
    assert "Until: without an end" in text_of(client.post(CHANGE, OVERRIDE | {"forever": "on"}))
    with override_settings(USE_TZ=False):
        assert "Time of Asia/Kathmandu" in text_of(client.get(OF, {"tenant": "acme"}))
        assert "Until: 2031-01-01 12:00:00 +0545" in text_of(client.post(CHANGE, OVERRIDE | UNTIL))


def test_what_somebody_has_changed_meanwhile_is_a_conflict(site, inside):
    boss = inside.client.admin("asha", because="a test")
    first = boss.override("acme", "crm.mails", "9/month")
    boss.override("acme", "crm.mails", "8/month")
    undo = {"act": "undo", "tenant": "acme", "change": first.id, "because": "no"}
    assert site().post(CHANGE, undo).status_code == 409


def test_without_an_answer_of_the_store_the_pages_say_so(site, inside):
    with inside.outage():
        page = site("viewer").get(OF, {"tenant": "acme"})
        assert page.status_code == 503
        assert 'value="acme"' in page.content.decode()
        assert site("viewer").get(LIST).status_code == 503
        assert site("viewer").get(WHY, {"tenant": "acme", "key": "crm"}).status_code == 503
        assert site().post(CHANGE, OVERRIDE | UNTIL).status_code == 503


def test_in_an_outage_what_was_written_is_kept_and_sent_again_once(site, inside):
    client = site()
    with inside.outage():
        kept = client.post(CHANGE, OVERRIDE | UNTIL)
    assert "Nothing was changed. What you wrote is here, to be sent again." in text_of(kept)
    assert "Key crm.mails To 50/month Until 2031-01-01T12:00 Because ticket 7" in text_of(kept)
    review = client.post(CHANGE, fields_of(kept))
    with inside.outage():
        kept = client.post(CHANGE, fields_of(review))
    assert fields_of(kept) == fields_of(review)
    client.post(CHANGE, fields_of(kept))
    assert inside.client.usage("acme", "crm.mails")["crm.mails"].limit == 50


def test_what_may_have_been_done_is_sent_again_to_find_out(site, inside):
    client = site()
    review = client.post(CHANGE, OVERRIDE | UNTIL)
    inside.faults.loses_replies = True
    kept = client.post(CHANGE, fields_of(review))
    inside.faults.loses_replies = False
    assert kept.status_code == 503 and "It may have been done, or not" in text_of(kept)
    assert "nothing was changed (change.repeated)" in text_of(client.post(CHANGE, fields_of(kept), follow=True))
    changes = [each for each in inside.client.admin("x").audit("acme") if each.verb == "override"]
    assert len(changes) == 1


def test_what_may_have_been_done_is_found_out_also_when_its_end_is_over(site, inside, clock):
    client = site()
    reviews = [client.post(CHANGE, OVERRIDE | UNTIL) for _ in range(2)]
    inside.faults.loses_replies = True
    kept = client.post(CHANGE, fields_of(reviews[0]))
    inside.faults.loses_replies = False
    clock.travel_to(datetime(2031, 1, 2, tzinfo=UTC))
    assert "nothing was changed (change.repeated)" in text_of(client.post(CHANGE, fields_of(kept), follow=True))
    late = client.post(CHANGE, fields_of(reviews[1]))
    assert (late.status_code, "is over already" in text_of(late)) == (400, True)


def test_an_end_is_over_by_the_clock_that_decides_it(site, clock):
    """That of the client, whatever the machine's says."""
    clock.travel_to(datetime(2031, 1, 2, tzinfo=UTC))
    refused = site().post(CHANGE, OVERRIDE | UNTIL)
    assert "That is over already: it is 2031-01-02 05:45 +0545 now." in text_of(refused)
    assert site().post(CHANGE, OVERRIDE | {"until": "2031-01-02T06:00"}).status_code == 200


# -- what nobody can do by them -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "looks", "changes"),
    [(None, 302, 302), ("guest", 302, 302), ("staff", 403, 403), ("viewer", 200, 403), ("changer", 200, 200)],
)
def test_who_may_look_and_who_may_change(site, inside, name, looks, changes):
    """Staff with the permission, and nobody else: a guest who was given it is no staff."""
    client, before = site(name), inside.client.tenant("acme").revision
    assert client.get(LIST).status_code == looks
    assert client.get(OF, {"tenant": "acme"}).status_code == looks
    assert client.get(WHY, {"tenant": "acme", "key": "crm"}).status_code == looks
    assert client.post(CHANGE, OVERRIDE | UNTIL).status_code == changes
    if changes != 200:
        client.post(CHANGE, OVERRIDE | UNTIL | {"confirmed": "yes"})
        assert inside.client.tenant("acme", fresh=True).revision == before


def test_another_site_changes_nothing(site, inside):
    """Without the token of the form, whoever is logged in; and never by GET, nor by rows of a table."""
    before = inside.client.tenant("acme").revision
    client = site("root", enforce_csrf_checks=True)
    assert client.post(CHANGE, OVERRIDE | UNTIL | {"confirmed": "yes"}).status_code == 403
    assert client.get(CHANGE, OVERRIDE | UNTIL | {"confirmed": "yes"}).status_code == 405
    for other in ("add/", "acme/change/", "acme/delete/", "acme/history/"):
        assert client.get(LIST + other).status_code in {302, 404}
    assert inside.client.tenant("acme", fresh=True).revision == before


def test_what_people_write_is_text(site, inside):
    """Tenants, users, reasons and errors, on every page."""
    boss = inside.client.admin(EVIL, because=EVIL)
    boss.override(EVIL, "crm.mails", "9/month", user=EVIL)
    client = site()
    act = OVERRIDE | {"tenant": EVIL, "because": EVIL, "user": EVIL} | UNTIL
    pages = [
        client.get(LIST),
        client.get(OF, {"tenant": EVIL}),
        client.get(WHY, {"tenant": EVIL, "key": "crm"}),
        client.get(WHY, {"tenant": EVIL, "key": EVIL}),
        client.post(CHANGE, act),
        client.post(CHANGE, act | {"feature": EVIL}),
        client.post(CHANGE, act | {"act": "undo", "change": EVIL}),
        client.post(CHANGE, fields_of(client.post(CHANGE, act)), follow=True),
    ]
    for page in pages:
        assert "<script>alert" not in page.content.decode()
        assert EVIL in text_of(page) or "&lt;script&gt;alert" in page.content.decode()


@pytest.mark.parametrize("tenant", ["", "None", "a" * 256, "a" * 100_000, "a\0b", "a\nb"])
def test_an_id_of_nobody_is_refused(site, tenant):
    client = site()
    for page in (OF, LIST, WHY):
        assert client.get(page, {"tenant": tenant, "key": "crm"}).status_code == 400
    assert client.get(LIST, {"after": tenant}).status_code == 200
    assert client.post(CHANGE, OVERRIDE | UNTIL | {"tenant": tenant, "confirmed": "yes"}).status_code == 400


@pytest.mark.parametrize("key", ["", "None", "crm.nothing", "rate_limits.", "a" * 10_000, "\0"])
def test_a_key_that_there_is_not_is_said(site, key):
    assert site().get(WHY, {"tenant": "acme", "key": key}).status_code in {200, 400}


def test_nobody_changes_by_a_tenants_page_what_is_of_another(site, inside):
    """A change's id is no permission: nor those of the catalog, of flags or of another tenant."""
    boss = inside.client.admin("asha", because="a test")
    other, switched = boss.suspend("globex"), boss.kill("new-ui")
    client = site()
    for change in (other.id, switched.id, "no-such-change"):
        undo = {"act": "undo", "tenant": "acme", "change": change, "because": "x", "confirmed": "yes"}
        refused = client.post(CHANGE, undo)
        assert (refused.status_code, "has no change" in text_of(refused)) == (400, True)
    assert inside.client.check("globex", "crm").reason == "subscription.suspended"


def test_an_act_that_there_is_not_is_refused(site):
    assert site().post(CHANGE, OVERRIDE | {"act": "forget"}).status_code == 400
    assert site().post(CHANGE, {}).status_code == 400


def test_usage_that_cannot_be_read_hides_nothing_else(site, inside, monkeypatch):
    def fails(*_):
        raise StoreUnavailable("the ledger gave no answer")

    monkeypatch.setattr(Entitlements, "usage", fails)
    text = text_of(site("viewer").get(OF, {"tenant": "acme"}))
    assert "usage is not known now: the ledger gave no answer" in text and "crm.mails" in text
