"""The documents that come with flagd's JSON schemas: all that is right is accepted, all that is wrong refused."""

from __future__ import annotations

import json
from pathlib import Path

from payaid_entitlements.core.flags.flagd import validate
from payaid_entitlements.core.flags.flagd.targeting import Targeting
from payaid_entitlements.core.written.problems import Findings
from tests.core.flags.conformance import outside


class _AllNames:
    """A rule by itself may refer to anything: its schema does not know what else there is."""

    def __contains__(self, name: object) -> bool:
        return True


def accepted(path: Path) -> bool:
    text = path.read_text(encoding="utf-8")
    if path.parts[-3] != "targeting":
        return not validate(text)
    findings = Findings()
    Targeting(findings, _AllNames()).check(json.loads(text), ())
    return not findings.fatal


def test_each_document_is_judged_as_its_schema_judges_it() -> None:
    documents = sorted(outside("flagd-schemas/json/test").rglob("*.json"))
    assert len(documents) == 36
    wrong = [
        str(path.relative_to(path.parents[3]))
        for path in documents
        if accepted(path) is not (path.parts[-2] == "positive")
    ]
    assert wrong == []
