"""
Writes anew what clients are told of each error: ``python -m tests.web.golden``. Look at the difference it makes.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

from payaid_entitlements.web import Answers
from tests.web.golden.errors import CASES, furnished

GOLDEN: Final = Path(__file__).with_name("refusals.json")


def answered() -> dict[str, dict[str, Any]]:
    """What is told of each error: the status, our fields, and the body, each byte of it as text."""
    told = {}
    with furnished() as ent:
        for name, case in CASES.items():
            said = Answers().say(case.make(), view=ent.tenant(case.tenant), accept=case.accept, language=case.language)
            told[name] = {"status": said.status, "headers": said.headers, "body": said.content.decode()}
    return told


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(answered(), ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
