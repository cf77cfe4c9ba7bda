"""`payaid catalog scan`: what compares plans is found by file and line, and keys are held against the catalog."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

import pytest

import payaid_entitlements
from payaid_entitlements import Entitlements, TenantView
from payaid_entitlements.cli.scan import code as python_code
from payaid_entitlements.cli.scan import walking
from payaid_entitlements.cli.scan.code import read_python
from payaid_entitlements.cli.scan.places import Found, Terms
from payaid_entitlements.cli.scan.templates import read_template
from payaid_entitlements.core.catalog import Catalog, keys_module
from tests.cli.conftest import Terminal

CATALOG = """
catalog: 1
default_plan: basic
modules:
  crm: {features: {export: {kind: switch}, import: {kind: switch}}}
  hr: {}
rate_limits:
  api: {per: tenant, default: 60/minute}
retired: {crm.fax: 2026-01-01}
plans:
  basic: {modules: [crm]}
  pro: {extends: basic}
  pro-plus: {extends: pro}
"""


@pytest.fixture(scope="module")
def terms(tmp_path_factory: pytest.TempPathFactory) -> Terms:
    path = tmp_path_factory.mktemp("scan") / "catalog.yaml"
    path.write_text(CATALOG)
    return Terms(Catalog.load(path), ["enterprise"])


def python(terms: Terms, text: str) -> Found:
    found = Found()
    read_python(dedent(text).encode(), "a.py", terms, found)
    return found


@pytest.mark.parametrize(
    "line",
    [
        'org.plan == "pro"',
        '"pro" != org.plan',
        "plan == Plan.PRO",
        "subscription_tier in PAID_TIERS",
        'org.plan in ("pro", "enterprise")',
        'row["plan"] == "anything"',
        'row.get("plan_name") not in {"a", "b"}',
        'org.plan.lower() == "pro"',
        'get_plan(org) == "pro"',
        'tariff in ["pro", "enterprise"]',
        "LIMITS[org.plan]",
        "LIMITS.get(org.plan, 0)",
        'sold = {"basic": 1, "pro": 5}',
        'org.plan.startswith("pro")',
        "if user.is_pro: pass",
        "org.is_pro_plus()",
        "org.has_enterprise_plan",
        "settings.FEATURE_EXPORT",
        'os.environ["FEATURE_EXPORT"]',
        "a < 1 < 2 or tier >= 'gold'",
        "org.plan is Plan.PRO",
        "org.plan is not Plan.PRO",
        "org.tier >= 2",
        "org.tier == -1",
        'org.plan.name == "pro"',
        'org.plan.value.lower() == "pro"',
        'getattr(org, "plan", None) == "pro"',
        'Org.objects.filter(plan="pro")',
        'orgs.exclude(active=True, plan__in=["pro", "enterprise"])',
        'session.query(Org).filter_by(plan_name="pro")',
        'Q(org__plan__name="pro")',
    ],
)
def test_what_compares_a_plan_is_found(terms: Terms, line: str) -> None:
    assert [place.line for place in python(terms, f"x = 1\n{line}\n").comparisons] == [2]


@pytest.mark.parametrize(
    "line",
    [
        "org.plan is None",
        "org.plan = 'pro'",
        "plan == other",
        "print(org.plan)",
        'colour == "pro"',
        'colour in ("pro", "red")',
        'x in ("pro",)',
        '{"basic": 1, "red": 2}',
        "{**basic}",
        "planet == 'earth'",
        'row["plan"]',
        "is_protected",
        'os.environ["FEATURE_LICENSING"]',
        "rows.get(key)",
        "a[b]",
        "(lambda: 1)() == 2",
        "plan in ()",
        "org.plan is True",
        "org.plan == True",
        "org.plan == 1.5",
        "org.plan == -1.5",
        "org.plan == (not 1)",
        "org.name == 'pro'",
        "getattr(org, name) == 'pro'",
        "Org.objects.filter(plan=chosen)",
        "Org.objects.filter(name='pro')",
        "Org.objects.filter(**{'plan': 'pro'})",
        "Org.objects.filter(Org.id, id='pro')",
        "Org(plan='pro')",
    ],
)
def test_what_does_not_is_not(terms: Terms, line: str) -> None:
    assert python(terms, line).comparisons == set()


@pytest.mark.parametrize(
    ("subject", "cases", "count"),
    [
        ("org.plan", ["x", "1"], 1),
        ("what", ['"pro" | "enterprise"', "_"], 1),
        ("what", ['"pro"', '"red"'], 0),
        ("what", ["{}", "Plan.PRO"], 0),
    ],
)
def test_a_match_by_plan_is_one_place(terms: Terms, subject: str, cases: list[str], count: int) -> None:
    lines = [f"match {subject}:", *(f"    case {case}: pass" for case in cases if case != "x")]
    assert len(python(terms, "\n".join(lines)).comparisons) == count


@pytest.mark.parametrize(
    ("call", "asked"),
    [
        ('@require_module("crm")\ndef f(): pass', [("crm", "feature")]),
        ('gate.require_feature("crm.export", legacy=x)', [("crm.export", "feature")]),
        ('rate_limit("api")', [("api", "limit")]),
        ('require_flag("look")', [("look", "flag")]),
        ('ent.check(org.id, "crm.export")', [("crm.export", "feature")]),
        ('self.ent.consume(t, "crm.export", 1, operation=x)', [("crm.export", "feature")]),
        ('ent.check_many(t, ["crm", "hr", key, *more])', [("crm", "feature"), ("hr", "feature")]),
        ('ent.consume_many(t, {"crm": 1, **more}, operation=x)', [("crm", "feature")]),
        ("ent.check_many(t, keys)", []),
        ('ent.rate_limit(t, "api")', [("api", "limit")]),
        ('ent.try_rate_limit(t, "api", cost=2)', [("api", "limit")]),
        ('gate.rate_limit("api")', [("api", "limit")]),
        ("ent.rate_limit(t)", []),
        ('ent.usage(t, "crm.export", "crm.import")', [("crm.export", "feature"), ("crm.import", "feature")]),
        ('ent.require_room(t, "crm.export", tx=db)', [("crm.export", "feature")]),
        ('ent.try_assign(t, "crm.export", who)', [("crm.export", "feature")]),
        ('current_tenant().check("crm")', [("crm", "feature")]),
        ('view.flag("look")', [("look", "flag")]),
        ("view.check(key)", []),
        ('form.check("crm")', []),
        ('ent.check("acme")', []),
        ('require_module("No Key")', []),
        ("f()()", []),
    ],
)
def test_keys_are_found_where_our_api_is_asked(terms: Terms, call: str, asked: list[tuple[str, str]]) -> None:
    assert sorted((each.key, each.kind) for each in python(terms, call).asked) == asked


def test_what_is_looked_for_is_there_to_be_called() -> None:
    """Else a name that has changed is never found again."""
    for name in (*python_code._OF_CLIENTS, python_code._SEVERAL):
        assert callable(getattr(Entitlements, name, None)), name
    for name in python_code._OF_VIEWS:
        assert callable(getattr(TenantView, name, None)), name
    for name in python_code._OF_KEYS:
        assert callable(getattr(payaid_entitlements, name, None)), name


def test_generated_keys_count_where_they_are_used(terms: Terms) -> None:
    assert python(terms, keys_module(terms.catalog)).mentioned == set()
    assert python(terms, "ent.check(t, keys.CRM_EXPORT)").mentioned >= {"crm.export"}
    assert "crm.import" in python(terms, "check(t, CRM_IMPORT)").mentioned


@pytest.mark.parametrize(
    ("text", "lines", "asked"),
    [
        ('a\n{% feature "crm.export" %}x{% endfeature %}', [], ["crm.export"]),
        ('{% if_module "crm" %}', [], ["crm"]),
        ('{%- if view.check("crm").allowed -%}', [], ["crm"]),
        ('{{ usage("crm.export").left }}', [], ["crm.export"]),
        ('{% flag "look" %}', [], ["look"]),
        ('{% feature "No Key" %}', [], []),
        ('\n\n{% if org.plan == "pro" %}', [3], []),
        ('{% if "pro" == org.plan %}', [1], []),
        ("{% ifequal org.plan 'pro' %}", [1], []),
        ("{% if org.plan.name in paid %}", [1], []),
        ("{% if org.tier >= 2 %}", [1], []),
        ("{{ 'x' if user.is_pro else 'y' }}", [1], []),
        ("{{ org.plan }} plan == pro", [], []),
        ("{% if planet == 'earth' %}", [], []),
        ('{% trans "Upgrade your plan > pro" %}', [], []),
        ('{{ org.plan|default:"<b>plan</b>" }}', [], []),
        ("{% trans 'Choose a plan in the list' %}", [], []),
    ],
)
def test_templates_are_read_by_their_text(terms: Terms, text: str, lines: list[int], asked: list[str]) -> None:
    found = Found()
    read_template(text, "a.html", terms, found)
    assert [place.line for place in found.comparisons] == lines
    assert [each.key for each in found.asked] == asked


# -- the command -------------------------------------------------------------------------------------------------------


@pytest.fixture
def app(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(terminal.directory)
    for name, text in {
        "catalog.yaml": CATALOG,
        "src/views.py": 'if org.plan == "pro":\n    ent.check(t, "crm.exprot")\nrequire_module("crm.fax")\n',
        "src/templates/page.html": '{% feature "crm.export" %}',
        "src/deep.py": "(" * 5_000,
        "src/broken.py": "def (",
        "src/latin.py": "# coding: latin-1\nx = '\xe9'\n",
        "src/.hidden/a.py": "org.plan == 'pro'",
        "src/node_modules/a.py": "org.plan == 'pro'",
        "src/own_venv/pyvenv.cfg": "",
        "src/own_venv/a.py": "org.plan == 'pro'",
        "src/notes.txt": "org.plan == 'pro'",
    }.items():
        path = terminal.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("latin-1"))
    return terminal.directory


def test_all_of_it_is_said_by_file_and_line(terminal: Terminal, app: Path) -> None:
    output = terminal.run("catalog", "scan", "src")
    assert output.code == 1
    lines = output.out.splitlines()
    assert lines[:3] == [
        'compares a plan src/views.py:1  if org.plan == "pro":',
        "in no catalog src/views.py:2  crm.exprot; did you mean 'crm.export'?",
        "in no catalog src/views.py:3  crm.fax (it is retired)",
    ]
    assert lines[3:6] == ["never checked api", "never checked crm.import", "never checked hr"]
    assert [line.partition(":")[0] for line in lines[6:8]] == ["not read src/broken.py", "not read src/deep.py"]
    assert lines[8] == "3 files: 1 place compares a plan; 2 keys are in no catalog; 3 keys are never checked"


def test_as_json_for_programs(terminal: Terminal, app: Path) -> None:
    output = terminal.run("catalog", "scan", "src", "--json")
    assert output.code == 1
    assert output.data["comparisons"] == [{"file": "src/views.py", "line": 1, "text": 'if org.plan == "pro":'}]
    assert [(each["key"], each["kind"], each["hint"]) for each in output.data["unknown"]] == [
        ("crm.exprot", "feature", "did you mean 'crm.export'?"),
        ("crm.fax", "feature", "it is retired"),
    ]
    assert output.data["unchecked"] == ["api", "crm.import", "hr"]
    assert [each["file"] for each in output.data["unreadable"]] == ["src/broken.py", "src/deep.py"]


def test_the_exit_code_is_for_ci(terminal: Terminal, app: Path) -> None:
    (app / "src/views.py").write_text('org.plan == "pro"\norg.plan == "basic"\n')
    for most, code in (("1", 1), ("2", 0)):
        assert terminal.run("catalog", "scan", "src", "--most", most).code == code
    assert terminal.run("catalog", "scan", "src", "--exclude", "src/views.py").code == 0
    assert terminal.run("catalog", "scan", "src/views.py", "--most", "2", "--strict").code == 1


def test_other_names_of_plans_are_told(terminal: Terminal, app: Path) -> None:
    (app / "src/views.py").write_text('kind in ("gold", "pro")\n')
    assert terminal.run("catalog", "scan", "src").code == 0
    assert terminal.run("catalog", "scan", "src", "--plan", "gold").code == 1


@pytest.mark.parametrize("arguments", [["nowhere"], ["src", "--catalog", "nowhere.yaml"]])
def test_what_is_not_there_is_said(terminal: Terminal, app: Path, arguments: list[str]) -> None:
    output = terminal.run("catalog", "scan", *arguments)
    assert output.code == 2
    assert "there is no nowhere" in " ".join(output.err.split())


def test_a_scan_is_bounded(app: Path, terms: Terms, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walking, "MOST_FILES", 2)
    assert len(walking.files_below([app / "src"])) == 2
    monkeypatch.setattr(walking, "MOST_BYTES", 10)
    found = walking.scan([app / "src/views.py", app / "gone.py"], terms, lambda more: None)
    assert [why for _, why in found.unreadable] == ["it is larger than 10 bytes", "No such file or directory"]
