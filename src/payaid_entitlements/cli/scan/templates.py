"""Templates of Django and Jinja: what is asked in their tags, and where they compare a plan. By their text alone."""

from __future__ import annotations

import re
from typing import Final

from payaid_entitlements.cli.scan.places import KEY, Asked, Found, Place, Terms

#: What is evaluated: ``{% ... %}`` and ``{{ ... }}``.
_EVALUATED: Final = re.compile(r"\{%-?(.*?)-?%\}|\{\{-?(.*?)-?\}\}", re.DOTALL)
#: ``{% feature "crm.export" %}``, ``{% module "crm" as has_crm %}``, ``{% flag "look" %}``.
_TAG: Final = re.compile(r"\s*(?:if_?)?(feature|module|usage|flag|upgrade_prompt)\s+[\"']([^\"']+)[\"']")
#: ``feature("crm.export")`` and ``view.check("crm.export")`` in Jinja.
_CALL: Final = re.compile(r"\b(feature|has_feature|module|has_module|usage|flag|check)\(\s*[\"']([^\"']+)[\"']")
_TEXT: Final = re.compile(r"[\"']([^\"']{1,255})[\"']")
#: What only says something compares nothing: ``"Upgrade your plan > pro"``, ``"<b>plan</b>"``.
_QUOTED: Final = re.compile(r"\"[^\"]*\"|'[^']*'")
#: ``org.plan == "pro"``, ``plan in [...]``, ``"pro" == org.plan``; and what Django's older ``ifequal`` says.
_COMPARED: Final = re.compile(
    r"\b(?:\w*_)?(?:plan|tier|edition)(?:_(?:name|key|id|code|slug))?(?:\.\w+)?\s*(?:==|!=|[<>]=?|\bin\b|\bnot\s+in\b)"
    r"|(?:==|!=|[<>]=?)\s*[\w.]*\b(?:plan|tier|edition)\b"
    r"|\bif(?:not)?equal\s+[\w.]*\b(?:plan|tier|edition)\b"
)


def read_template(text: str, file: str, terms: Terms, found: Found) -> None:
    """Read one template."""
    for each in _EVALUATED.finditer(text):
        inside = each[1] or each[2] or ""
        line = text.count("\n", 0, each.start()) + 1
        place = Place(file, line, " ".join(each[0].split())[:160])
        found.mentioned.update(_TEXT.findall(inside))
        if _COMPARED.search(_QUOTED.sub("''", inside)) or any(
            terms.asks_plan(word) for word in re.findall(r"\w+", inside)
        ):
            found.comparisons.add(place)
        for said in (*_TAG.findall(inside)[:1], *_CALL.findall(inside)):
            name, key = said
            if KEY.fullmatch(key):
                found.asked.add(Asked(place, key, "flag" if name == "flag" else "feature"))
