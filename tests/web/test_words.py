"""What refusals say to people: in each language everything, and never what a host did not mean."""

from __future__ import annotations

import json
import re
from string import Template

import pytest

from payaid_entitlements import Reason
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web import Words
from payaid_entitlements.web.problems import BY_KIND
from payaid_entitlements.web.words.choosing import LANGUAGES, _shipped, placeholders
from payaid_entitlements.web.words.english import ENGLISH
from tests.web.golden.errors import CASES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_shipped_language_says_everything(language):
    texts = _shipped()[language]

    assert texts.keys() == ENGLISH.keys()
    for key, text in texts.items():
        assert text.keys() == ENGLISH[key].keys(), key


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_shipped_language_says_it_in_its_own_words(language):
    """
    A text that was left in English would be no translation.
    """
    for key, text in _shipped()[language].items():
        for name, said in text.items():
            assert said.strip() == said != ENGLISH[key][name], (key, name)


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_a_shipped_language_keeps_placeholders(language):
    for key, text in _shipped()[language].items():
        for name, said in text.items():
            assert Template(said).is_valid(), (key, name)
            found = {*Template(said).get_identifiers()}
            assert found == {*Template(ENGLISH[key][name]).get_identifiers()}, (key, name)
            assert found <= placeholders(key, name)


def test_english_has_every_reason_and_all_that_the_edge_says_itself():
    edge = {reason for _, reason in BY_KIND.values()} | {
        "tenant.unidentified",
        "store.outcome_unknown",
        "rate.never",
        "dependency.forbidden",
    }

    assert {reason.value for reason in Reason} | edge | {"page"} <= ENGLISH.keys()


def test_english_is_what_reasons_say_where_it_is_not_said_to_a_customer():
    said = Words().of("quota.warned")

    assert said == (Reason.QUOTA_WARNED.meaning, Reason.QUOTA_WARNED.way_out, "en")


#: What only the host knows of, in each language; and a field of the response, which no page shows.
_INSIDE = (
    r"\b(?:tenant|vendor|override|host|outcome|catalog|Retry-After|"
    r"Anbieter|Betrieb|Speicher|Katalog|Ausnahme)\b|विक्रेता|संचालक|स्टोर|सूची|छूट"
)


@pytest.mark.parametrize("language", ["en", *LANGUAGES])
def test_a_customer_reads_nothing_of_the_inside(language):
    """
    Reasons tell the host of tenants, of the vendor, of fields that no document has. A refusal says "you".
    """
    for key in {case.reason for case in CASES.values()}:
        said = Words().of(key, language)
        found = re.findall(f"`|{_INSIDE}", f"{said.title} {said.detail}")
        assert not found or key == "tenant.conflict", key


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("fr, hi;q=0.3", "hi"),
        ("fr", "en"),
        ("*", "en"),
        ("en-GB, de;q=0.9", "en"),
        ("DE-at-1996", "de"),
    ],
)
def test_the_reader_chooses(wanted, expected):
    assert Words().of("plan.zero", wanted).language == expected


def test_a_host_adds_a_language_and_has_the_last_word_in_those_that_are_there():
    words = Words(
        {
            "fr-CA": {"plan.zero": {"title": "Rien", "detail": "Changez de forfait pour $feature. $$5"}},
            "de": {"plan.zero": {"detail": "Ruft uns an."}},
            "en": {"plan.zero": {"title": "None of it"}},
        }
    )

    assert words.of("plan.zero", "fr-ca", "crm.export") == ("Rien", "Changez de forfait pour crm.export. $5", "fr-CA")
    assert words.of("plan.zero", "de") == (_shipped()["de"]["plan.zero"]["title"], "Ruft uns an.", "de")
    assert words.of("plan.zero") == ("None of it", Reason.PLAN_ZERO.way_out, "en")
    # What they do not say in their language is said in the next one.
    assert words.of("plan.module_absent", "fr-CA, de;q=0.5").language == "de"


def test_a_feature_does_not_bring_placeholders_of_its_own():
    words = Words({"en": {"plan.zero": {"detail": "$feature"}}})

    assert words.of("plan.zero", feature="$feature ${title} $$").detail == "$feature ${title} $$"


def test_the_default_is_for_who_understands_none():
    words = Words({"fr": {"plan.zero": {"title": "Rien", "detail": "Changez."}}}, default="FR")

    assert words.of("plan.zero", "ja").language == "fr"
    assert words.of("plan.module_absent", "ja").language == "en"


def test_labels_are_english_where_a_language_has_none():
    words = Words({"fr": {"page": {"contact": "Parlez-nous"}}})

    assert words.labels("fr") == ENGLISH["page"] | {"contact": "Parlez-nous"}
    assert words.labels("ja") == ENGLISH["page"]
    assert words.labels("de")["contact"] == "Kontakt aufnehmen"


def test_words_are_read_from_files(tmp_path):
    text = {"plan.zero": {"title": "Néant", "detail": "Changez."}}
    (tmp_path / "fr.json").write_text(json.dumps(text), encoding="utf-8")

    assert Words(tmp_path).of("plan.zero", "fr") == ("Néant", "Changez.", "fr")
    assert Words(str(tmp_path)).of("plan.zero", "fr").title == "Néant"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"fr_FR": {}}, "no language tag"),
        ({"": {}}, "no language tag"),
        ({"fr\r\nSet-Cookie: a": {}}, "no language tag"),
        ({"fr": []}, "by reason"),
        ({"fr": {"plan.zeró": {}}}, "did you mean 'plan.zero'"),
        ({"fr": {"plan.zero": "Rien"}}, "they are a mapping"),
        ({"fr": {"plan.zero": {"tilte": "Rien"}}}, "did you mean 'title'"),
        ({"fr": {"plan.zero": {"title": "Rien"}}}, "there is a title only"),
        ({"fr": {"plan.zero": {"detail": "Rien"}}}, "there is a detail only"),
        ({"fr": {"plan.zero": {"title": " ", "detail": "Rien"}}}, "title is no text"),
        ({"fr": {"plan.zero": {"title": "\ud800", "detail": "Rien"}}}, "title is no text"),
        ({"fr": {"plan.zero": {"title": 7, "detail": "Rien"}}}, "title is no text"),
        ({"en": {"plan.zero": {"detail": "5 $"}}}, "write $$"),
        ({"en": {"plan.zero": {"detail": "$tenant"}}}, "$tenant, which is not known there"),
        ({"en": {"plan.zero": {"title": "$feature"}}}, "$feature, which is not known there"),
        ({"en": {"tenant.unidentified": {"detail": "$feature"}}}, "$feature, which is not known there"),
        ({"en": {"page": {"contact": "$title"}}}, "$title, which is not known there"),
    ],
)
def test_wrong_words_fail_at_start_up(more, said):
    with pytest.raises(ConfigurationError) as error:
        Words(more)

    assert said in str(error.value)


def test_a_default_without_words_fails_at_start_up():
    with pytest.raises(ConfigurationError, match="no words are in 'fr'"):
        Words(default="fr")


def test_files_that_cannot_be_read_fail_at_start_up(tmp_path):
    with pytest.raises(ConfigurationError, match="is none"):
        Words(tmp_path / "nowhere")
    for content in (b"{", b"\xff\xfe"):
        (tmp_path / "fr.json").write_bytes(content)
        with pytest.raises(ConfigurationError, match=r"fr\.json cannot be read"):
            Words(tmp_path)
