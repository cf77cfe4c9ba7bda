"""Whatever is stored, reading it answers, or fails with an error of ours; and damage opens nothing."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from payaid_entitlements.core.controls import Controls
from payaid_entitlements.core.encoding import decode_value
from payaid_entitlements.core.explanation import explain
from payaid_entitlements.core.facts import NewFact, TenantDocument, record
from payaid_entitlements.core.instant import DAY
from payaid_entitlements.core.licensed import licensed
from payaid_entitlements.core.provider_ids import provider_ids
from payaid_entitlements.core.remedies import remedies
from payaid_entitlements.core.resolution import resolve
from payaid_entitlements.core.subscription import terms_at
from payaid_entitlements.core.world import World
from payaid_entitlements.core.zones import period_end
from payaid_entitlements.errors import ConfigurationError, EntitlementError, StoreDamaged
from tests.core.conftest import NOW
from tests.core.generated import KEYS, PUBLISHED, controls, documents

WORLD = World.of(PUBLISHED, Controls())
UNHURRIED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
MANY = settings(UNHURRIED, max_examples=10_000)

#: What nothing that we write looks like, wherever it stands: of another type, or too big.
ALIEN = st.sampled_from([0.5, 1e400, "\x00junk", "", [0.5], [[]], {}, {"junk": 1}, {"to": 0.5}, 10**40, -(10**40)])
JUNK = ALIEN | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
zoned = st.sampled_from(
    [
        [],
        [NewFact(("timezone",), 0, {"zone": "Asia/Kolkata", "history": [[0, "UTC"], [5, "Asia/Kolkata"]]})],
        [
            NewFact(("subscription", "main", "timezone"), 0, "Asia/Tokyo"),
            NewFact(("subscription", "main", "zones"), 0, [[0, "UTC"], [9, "Asia/Tokyo"]]),
            NewFact(("subscription", "main", "provider_id", "stripe"), 0, "sub_1"),
        ],
    ]
)
written = st.builds(
    lambda document, facts: json.loads(record(document, facts, recorded=NOW).document.to_json()), documents, zoned
)


def places(data, path=()):
    """List every place of a JSON document."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    return [place for key, value in items for place in ((*path, key), *places(value, (*path, key)))]


@st.composite
def damaged_documents(draw):
    """A document with some places deleted, replaced, doubled, renamed or exchanged."""
    data = draw(written)
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from(places(data) or [()]))
        if not path:
            break
        inner = data
        for key in path[:-1]:
            inner = inner[key]
        match draw(st.sampled_from(["delete", "replace", "replace", "double", "other"])):
            case "delete":
                del inner[path[-1]]
            case "replace":
                inner[path[-1]] = copy.deepcopy(draw(JUNK))
            case "double" if isinstance(inner, list):
                inner.insert(path[-1], copy.deepcopy(inner[path[-1]]))
            case "other":
                other = data
                for key in draw(st.sampled_from(places(data) or [()])):
                    other = other[key]
                inner[path[-1]] = copy.deepcopy(other)
    return data


def asked(document):
    """Ask everything that there is to ask of a document."""
    for user in (None, "u"):
        for segment in resolve(document, WORLD, NOW, NOW + 30 * DAY, user=user):
            for key in KEYS:
                assert segment.standpoint.write[key].allowed in (True, False)
    stand = resolve(document, WORLD, NOW, NOW + 1)[0].standpoint
    for key in ("crm", "seats", "analytics.custom_reports"):
        explanation = explain(document, WORLD, key, NOW, user="u")
        assert explanation.to_text()
        json.dumps(explanation.to_json())
        remedies(stand.situation, WORLD, key)
    licensed(document, WORLD, NOW)
    provider_ids(document, NOW)
    for terms in terms_at(document, NOW):
        period_end(document, WORLD, terms, NOW)
    assert TenantDocument.from_json(document.to_json(), tenant="acme") == document


def reads_or_says_why(data):
    try:
        asked(TenantDocument.from_json(json.dumps(data), tenant="acme"))
    except EntitlementError as error:
        assert isinstance(error, StoreDamaged | ConfigurationError)
        assert len(str(error)) < 600


@UNHURRIED
@given(damaged_documents())
def test_a_damaged_document_is_read_or_refused(data):
    """Every question has an answer or an error of ours that is short and names the tenant."""
    reads_or_says_why(data)


@pytest.mark.soak
@MANY
@given(damaged_documents())
def test_ten_thousand_damaged_documents_are_read_or_refused(data):
    """The same, for long."""
    reads_or_says_why(data)


@UNHURRIED
@given(st.text(max_size=80) | st.binary(max_size=80) | JUNK.map(json.dumps))
def test_any_text_is_a_document_or_is_refused(text):
    """Of documents, of controls and of values."""
    for read in (lambda: TenantDocument.from_json(text, tenant="acme"), lambda: Controls.from_json(text)):
        with pytest.raises(StoreDamaged):
            read()


@st.composite
def alien_facts(draw):
    """A document, and the same with what a fact says replaced in part by what nothing of ours looks like."""
    document = record(draw(documents), draw(zoned), recorded=NOW).document
    inside = [
        (subject, index, place)
        for subject, line in document.timelines.items()
        if subject[0] in ("subscription", "override", "status") and "provider_id" not in subject
        for index, fact in enumerate(line.facts)
        if fact.value is not None
        for place in ((), *places(fact.value))
        # Who set an override and why decides nothing.
        if place not in (("actor",), ("because",))
    ]
    if not inside:
        return document, document
    subject, index, place = draw(st.sampled_from(inside))
    line = document.timelines[subject]
    # Numbers and texts are what some feature may be worth, and a number is a quantity: there they say something.
    is_open = place[-1:] == ("to",) or "add_on" in subject
    alien = draw(st.sampled_from([0.5, [[]], {}, {"junk": 1}, {"to": 0.5}]) if is_open else ALIEN)
    value = {"value": copy.deepcopy(line.facts[index].value)}
    inner = value
    *path, last = ("value", *place)
    for key in path:
        inner = inner[key]
    inner[last] = alien
    facts = list(line.facts)
    facts[index] = replace(facts[index], value=value["value"])
    timelines = {**document.timelines, subject: replace(line, facts=tuple(facts))}
    return document, replace(document, timelines=timelines)


def opens_nothing(pair):
    before, alien = pair
    try:
        after = TenantDocument.from_json(alien.to_json(), tenant="acme")
        stands = [resolve(each, WORLD, NOW, NOW + 1)[0].standpoint for each in (before, after)]
    except (StoreDamaged, ConfigurationError):
        return
    for key in KEYS:
        for was, now in zip(*((stand.write[key], stand.read[key]) for stand in stands), strict=True):
            assert now.allowed <= was.allowed, (key, was, now)


@UNHURRIED
@given(alien_facts())
def test_what_cannot_be_understood_opens_nothing(pair):
    """A suspension, an end, a refusal in words that nobody knows never becomes none."""
    opens_nothing(pair)


@pytest.mark.soak
@MANY
@given(alien_facts())
def test_ten_thousand_times_what_cannot_be_understood_opens_nothing(pair):
    """The same, for long."""
    opens_nothing(pair)


@UNHURRIED
@given(controls, st.data())
def test_damaged_controls_are_read_or_refused(sound, data):
    """A kill switch that cannot be read is not taken for one that is off."""
    written_controls = json.loads(sound.to_json())
    *path, last = data.draw(st.sampled_from(places(written_controls)))
    inner = written_controls
    for key in path:
        inner = inner[key]
    inner[last] = data.draw(ALIEN)
    try:
        read = Controls.from_json(json.dumps(written_controls))
    except StoreDamaged:
        return
    # An alien text in place of a key, or an odd revision, is well formed.
    assert len(read.killed) == len(sound.killed) or path == ["killed"] or last == "killed"
    World.of(PUBLISHED, read)


@UNHURRIED
@given(JUNK | st.dictionaries(st.sampled_from(["limit", "per", "decimal", "microseconds", "deny", "unlimited"]), JUNK))
def test_any_data_is_a_value_or_is_refused(data):
    """Never another error, and never a number that cannot be compared."""
    try:
        value = decode_value(data)
    except ValueError:
        return
    assert not isinstance(value, Decimal) or value.is_finite()
