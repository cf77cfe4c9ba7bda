"""
The reference says what the code does: what is written from it is up to date, what is written by hand is complete.
"""

import ast
import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

import payaid_entitlements
from payaid_entitlements.core.decision import Decision, Reason
from payaid_entitlements.core.flags.kills import SEED_VARIABLES
from payaid_entitlements.core.remedies import AddAddOn, ChangePlan, Contact, ReleaseSlots, WaitUntil
from payaid_entitlements.errors import Refused, StoreUnavailable
from payaid_entitlements.settings import ALIASES
from payaid_entitlements.web.refusing import refusal
from tests.docs.pages import ROOT
from tests.docs.reference import _ADVISORIES, _ALLOWED, PARTS, REFERENCE, anew

SOURCE = Path(payaid_entitlements.__file__).parent
PAGES = sorted(REFERENCE.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_is_written_from_the_code_is_up_to_date(page):
    """
    `python -m tests.docs.reference` writes it anew.
    """
    assert page.read_text(encoding="utf-8") == anew(page)


def test_every_part_is_on_one_page():
    found = re.findall(r"<!-- written from the code: (\w+) -->", "".join(page.read_text() for page in PAGES))

    assert sorted(found) == sorted(PARTS)


@pytest.mark.parametrize("reason", Reason, ids=str)
def test_a_reason_has_the_status_that_is_documented(reason):
    text = (REFERENCE / "reasons.md").read_text(encoding="utf-8")
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{reason.value}` |"))
    where = row.split("|")[4].strip()

    if reason.value in _ADVISORIES:
        assert where == "advisory"
    elif reason.value in _ALLOWED:
        assert where == "allowed"
    else:
        with pytest.raises((Refused, StoreUnavailable)) as error:
            Decision(False, reason, "key").or_raise()
        assert where.endswith(f"refused, {refusal(error.value).status}")


def test_what_is_called_an_advisory_is_never_a_verdict():
    """
    Nowhere does the library decide for a reason that the page calls an advisory; and what allows, never refuses.
    """
    decided = {reason.value: set() for reason in Reason}
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Decision" and len(node.args) > 1:
                verdict, reason = node.args[:2]
                names_one = isinstance(reason, ast.Attribute) and ast.unparse(reason.value) == "Reason"
                if isinstance(verdict, ast.Constant) and names_one:
                    decided[Reason[reason.attr].value].add(verdict.value)

    assert {key for key in _ADVISORIES if decided[key]} == set()
    assert {key for key in _ALLOWED if False in decided[key]} == set()
    assert {key for key in decided if decided[key] == {True}} <= _ALLOWED | _ADVISORIES
    assert {reason.value for reason in Reason if reason.way_out.startswith("Nothing to do")} <= _ALLOWED


def names(page: str) -> set[str]:
    """What a page lists: the code in the first column of its tables."""
    text = (REFERENCE / page).read_text(encoding="utf-8")
    return set(re.findall(r"^\| `([^`]+)` \|", text, re.MULTILINE))


def test_every_environment_variable_is_documented():
    """
    Also those of the example.
    """
    found = {*ALIASES, *SEED_VARIABLES}
    for path in (*SOURCE.rglob("*.py"), *(ROOT / "examples").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                found |= set(re.findall(r"^PAYAID_[A-Z_]*[A-Z]$", node.value))

    assert {name.removesuffix("_<MODULE>").removesuffix("_<KEY>") for name in names("environment.md")} == found


def test_every_count_and_every_warning_is_documented():
    counts, events = set(), set()
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
                name, owner = node.args[0], ast.unparse(node.func.value)
                said = name.value if isinstance(name, ast.Constant) and isinstance(name.value, str) else None
                if node.func.attr == "count" and owner.endswith(("observer", "MISREAD")):
                    counts.add(said)
                elif node.func.attr == "once" or (owner == "log" and node.func.attr in ("info", "warning", "error")):
                    events.add(said)  # None where it is the name of a reason, which is below
    events |= {Reason.CATALOG_UNKNOWN.value, Reason.CATALOG_RETIRED.value}

    assert names("counters.md") == counts | (events - {None})


@pytest.mark.parametrize(
    "remedy",
    [
        ChangePlan("team", "Team"),
        AddAddOn("seats", "Seats", 1),
        ReleaseSlots("seats", 1),
        WaitUntil(datetime(2026, 1, 1, tzinfo=UTC)),
        Contact("Talk to us"),
    ],
    ids=lambda remedy: type(remedy).__name__,
)
def test_the_members_of_a_remedy_are_documented(remedy):
    public = remedy.to_public()
    text = (REFERENCE / "refusals.md").read_text(encoding="utf-8")
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{public['kind']}` |"))

    assert re.findall(r"`(\w+)`", row) == [public["kind"], *(member for member in public if member != "kind")]
