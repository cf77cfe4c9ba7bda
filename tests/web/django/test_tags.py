"""Template tags: what a page shows to whom."""

from __future__ import annotations

import pytest
from django.http import HttpResponse
from django.template import Context, Template, TemplateSyntaxError, engines
from django.test import override_settings
from django.urls import path
from django.utils import translation

from payaid_entitlements import Catalog, Entitlements
from payaid_entitlements.errors import NoCurrentTenant, UnknownFeature, UnknownFlag
from payaid_entitlements.testing import FakeClock, sandbox
from payaid_entitlements.web.django import entitlements
from tests.web.conftest import NOW, furnish
from tests.web.django.conftest import CATALOG, tenant_of


def rendered(text: str, **context: object) -> str:
    return Template("{% load payaid %}" + text).render(Context(context))


@pytest.fixture(scope="module")
def bound():
    """Render as one tenant, as a mail or a task does; nothing here changes anything."""
    with sandbox(Entitlements.open("memory://", catalog=CATALOG), clock=FakeClock(NOW)) as inside:
        furnish(inside)
        payaid = {"CLIENT": inside.client, "TENANT": tenant_of}

        def as_tenant(tenant, text, **context):
            with inside.client.bind(tenant), override_settings(PAYAID=payaid):
                return rendered(text, **context)

        yield as_tenant


@pytest.mark.parametrize(
    ("text", "pro", "free"),
    [
        ('{% feature "crm.export" %}yes{% else %}no{% endfeature %}', "yes", "no"),
        ('{% feature "crm.export" %}yes{% endfeature %}', "yes", ""),
        ("{% feature key %}yes{% else %}no{% endfeature %}", "yes", "no"),
        ('{% module "hr" %}yes{% else %}no{% endmodule %}', "yes", "no"),
        ('{% flag "new-ui" %}yes{% else %}no{% endflag %}', "yes", "no"),
        (
            '{% feature "crm" %}{% flag "new-ui" %}yes{% else %}no{% endflag %}{% else %}never{% endfeature %}',
            "yes",
            "no",
        ),
        ('{% usage "crm.mails" as u %}{{ u.used }} of {{ u.limit }}', "0 of 3", "0 of 3"),
    ],
)
def test_what_is_shown_to_whom(bound, text, pro, free):
    assert bound("pro", text, key="crm.export") == pro
    assert bound("free", text, key="crm.export") == free


def test_what_would_be_refused_is_not_shown(bound):
    """A page is read; what it offers may write."""
    text = '{% feature "crm.export" %}yes{% else %}no{% endfeature %}'
    assert bound("paused", text) == "no"
    assert bound("paused", text.replace('"crm.export"', '"crm.export" access="read"')) == "yes"
    assert bound("paused", text.replace('"crm.export"', '"crm.export" access=mode'), mode="read") == "yes"
    with pytest.raises(TemplateSyntaxError, match="access is 'reed'"):
        bound("paused", text.replace('"crm.export"', '"crm.export" access="reed"'))


def test_a_prompt_says_what_would_open_it(bound):
    shown = bound("free", '{% upgrade_prompt "crm.export" %}')
    assert 'data-feature="crm.export"' in shown
    assert "<li>" in shown
    assert bound("pro", '{% upgrade_prompt "crm.export" %}').strip() == ""
    assert "Talk to us" in bound("denied", '{% upgrade_prompt "hr" %}')
    english = bound("free", '{% upgrade_prompt "crm.export" %}')
    with translation.override("de"):
        german = bound("free", '{% upgrade_prompt "crm.export" %}')
    assert 'lang="en"' in english and "Subscribe to pro" in english and "Contact us" in english
    assert 'lang="de"' in german and "pro abonnieren" in german and "Kontakt aufnehmen" in german
    resumed = bound("paused", '{% upgrade_prompt "crm.export" %}')
    assert "Resume the subscription." in resumed and "<ul>" not in resumed


@pytest.mark.parametrize(("url", "is_linked"), [("/buy", True), ("javascript:alert(1)", False), (None, False)])
def test_a_prompt_leads_to_pages_and_to_nothing_that_runs(url, is_linked):
    catalog = Catalog.load(
        {
            "modules": {"crm": {}, "hr": {}},
            "default_plan": "free",
            "plans": {
                "free": {"modules": ["crm"]},
                "pro": {"extends": "free", "modules": ["hr"], "url": url, "price": {"monthly": 5, "currency": "EUR"}},
            },
        }
    )
    with Entitlements.open("memory://", catalog=catalog) as client:
        payaid = {"CLIENT": client, "TENANT": tenant_of}
        with client.bind("acme"), override_settings(PAYAID=payaid):
            shown = rendered('{% upgrade_prompt "hr" %}')
    assert ("<a href" in shown, "pro" in shown, "javascript" in shown) == (is_linked, True, False)


def test_a_project_has_a_prompt_of_its_own(bound, tmp_path, settings_of):
    (tmp_path / "payaid").mkdir()
    (tmp_path / "payaid" / "upgrade_prompt.html").write_text(
        "{{ reason }}: {% for remedy in remedies %}{{ remedy.plan }} {% endfor %}"
    )
    with settings_of(tmp_path):
        assert bound("free", '{% upgrade_prompt "crm.export" %}') == "plan.feature_absent: pro big "


@pytest.fixture
def settings_of():
    from django.conf import settings

    def of(folder):
        return override_settings(TEMPLATES=[{**settings.TEMPLATES[0], "DIRS": [folder]}])

    yield of
    engines._engines.clear()


@pytest.mark.parametrize(
    "text",
    [
        '{% feature "crm.exprot" %}{% endfeature %}',
        '{% module "hrr" %}{% endmodule %}',
        '{% upgrade_prompt "crm.exprot" %}',
        '{% flag "new-uy" %}{% endflag %}',
    ],
)
def test_a_key_that_is_not_there_is_loud_where_code_is_written(text):
    payaid = {"URL": "memory://", "CATALOG": CATALOG, "STRICT": False, "TENANT": tenant_of}
    with override_settings(PAYAID=payaid), entitlements().bind("acme"):
        rendered(text)
        with override_settings(DEBUG=True), pytest.raises((UnknownFeature, UnknownFlag), match=r"has no|is no flag"):
            rendered(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{% feature %}{% endfeature %}", "takes one key"),
        ('{% feature "a" "b" %}{% endfeature %}', "takes one key"),
        ('{% flag "a" access="read" %}{% endflag %}', "takes one key"),
        ("{% feature missing %}{% endfeature %}", "in quotes"),
        ("{% usage missing %}", "in quotes"),
        ('{% module "crm.export" %}{% endmodule %}', "is a switch and no module"),
    ],
)
def test_a_tag_that_says_nothing_is_loud(bound, text, words):
    with pytest.raises(TemplateSyntaxError, match=words):
        bound("pro", text)


@pytest.mark.parametrize(
    "text", ['{% feature "crm" %}{% endfeature %}', '{% usage "crm.mails" %}', '{% upgrade_prompt "crm" %}']
)
def test_outside_of_a_request_it_is_said_what_to_do(text):
    with pytest.raises(NoCurrentTenant, match=r"with entitlements\(\)\.bind\(tenant\)"):
        rendered(text)


def test_usage_of_what_is_not_counted_is_loud(bound):
    with pytest.raises(TypeError, match="no units are counted"):
        bound("pro", '{% usage "crm.export" %}')


def test_pages_are_rendered_for_the_tenant_of_the_request(site):
    text = '{% load payaid %}{% feature "crm.export" %}in{% else %}{% upgrade_prompt "crm.export" %}{% endfeature %}'

    def page(request):
        return HttpResponse(Template(text).render(Context({"request": request})))

    site.serve(path("page", page))
    assert site.asked("GET", "/page", "pro") == (200, "in")
    assert "payaid-upgrade" in site.asked("GET", "/page", "free")[1]
    assert site.asked("GET", "/page", None) == (401, "tenant.unidentified")
    with site.inside.outage():
        assert "payaid-upgrade" in site.asked("GET", "/page", "new")[1]
