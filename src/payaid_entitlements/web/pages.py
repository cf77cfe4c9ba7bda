"""
The page that a browser gets in place of a problem document: without scripts, without anything from elsewhere.
"""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from html import escape
from os import PathLike
from pathlib import Path
from string import Template
from typing import Any, Final

from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.problems import followable, rounded_up
from payaid_entitlements.web.words.choosing import TAG
from payaid_entitlements.web.words.english import ENGLISH

#: Languages that are written from right to left.
_RIGHT_TO_LEFT: Final = frozenset({"ar", "ckb", "dv", "fa", "he", "ps", "sd", "ug", "ur", "yi"})

_STYLE: Final = (
    # Names of plans may be one long word, which would make a page wider than a telephone.
    "body{font:1.125rem/1.6 system-ui,sans-serif;margin:10vh auto;max-width:36rem;padding:0 1.5rem;"
    "overflow-wrap:anywhere}"
    "h1{font-size:1.6rem;line-height:1.3}"
    "ul{padding-inline-start:1.25rem}"
    "li{margin-block:.5rem}"
)
#: A host's own policy may forbid even that style; the page reads well without.
_POLICY: Final = (
    "default-src 'none'; base-uri 'none'; form-action 'none'; "
    f"style-src 'sha256-{b64encode(sha256(_STYLE.encode()).digest()).decode()}'"
)
PAGE: Final = f"""<!DOCTYPE html>
<html lang="$language" dir="$direction">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<meta name="color-scheme" content="light dark">
<title>$title</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>$detail</p>
$options
$quotable
</main>
</body>
</html>
"""
#: What templates may say, escaped.
VALUES: Final = (
    "status",
    "reason",
    "family",
    "title",
    "detail",
    "feature",
    "reference",
    "upgrade_url",
    "retry_after",
    "language",
    "direction",
)
#: What they may say that is HTML already: the remedies, or the versions, as a list with links, and the reference as a
#: line; each empty where there is none.
BLOCKS: Final = ("options", "quotable")
_STATUS: Final = re.compile(r"[45][0-9]{2}")
_DEFAULT: Final = "default"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """
    What a page is to say. Nothing is escaped yet.

    Attributes:
        status: Of the response.
        reason: Stable code, ``family.word``.
        title: The kind of the problem, in the reader's language.
        detail: The way out, in the same.
        language: Its tag.
        feature: What was asked for; empty where it is about nothing in the catalog.
        reference: To quote to support; empty where there is none.
        upgrade_url: Where to go, of ``http``, ``https`` or relative; empty where there is nowhere.
        retry_after: The field of that name; empty where waiting does not help.
        remedies: What would turn it around, the cheapest first, as in the document.
        versions: Of your API, that can be asked for; empty where it is about none.
        labels: For remedies and the reference, with placeholders, in the reader's language.
    """

    status: int
    reason: str
    title: str
    detail: str
    language: str
    feature: str = ""
    reference: str = ""
    upgrade_url: str = ""
    retry_after: str = ""
    remedies: tuple[Mapping[str, Any], ...] = ()
    versions: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=lambda: ENGLISH["page"])

    @property
    def family(self) -> str:
        """The part of the reason before the dot."""
        return self.reason.partition(".")[0]

    @property
    def direction(self) -> str:
        """How its language is written, ``ltr`` or ``rtl``."""
        return "rtl" if self.language.partition("-")[0].lower() in _RIGHT_TO_LEFT else "ltr"


class Pages:
    """
    Pages by templates: the one that is shipped, and yours.

    Args:
        templates: Texts by name, or a directory with files ``NAME.html``. A name is a reason (``plan.module_absent``),
            a family (``plan``), a status (``402``) or ``default``; the first one in this order is taken. ``de/402``,
            or ``de/402.html`` in the directory, is for readers of one language and goes before ``402``.

    Raises:
        ConfigurationError: A template cannot be read; its name is that of no refusal; a placeholder is unknown, or
            stands in a script, a style, an attribute without quotes or an address.
    """

    __slots__ = ("_templates",)

    def __init__(self, templates: Mapping[str, str] | str | PathLike[str] | None = None) -> None:
        texts = {} if templates is None else templates if isinstance(templates, Mapping) else _read_all(Path(templates))
        self._templates = {_DEFAULT: Template(PAGE)}
        if texts:
            # Not at import: it brings a parser of HTML, which few need.
            from payaid_entitlements.web.templates import read_template
        for name, text in texts.items():
            _require_name(name)
            if not isinstance(text, str):
                raise ConfigurationError(f"template {name} is no text: {text!r}")
            self._templates[name.lower()] = read_template(name, text, VALUES, BLOCKS)

    def __call__(self, page: Page) -> str:
        """Write *page*."""
        template = next(self._templates[name] for name in _names(page) if name in self._templates)
        return template.substitute(_shown(page))


def _names(page: Page) -> Iterator[str]:
    for name in (page.reason, page.family, str(page.status), _DEFAULT):
        language = page.language.lower()
        while language:
            yield f"{language}/{name}"
            language = language.rpartition("-")[0]
        yield name


def _shown(page: Page) -> dict[str, str]:
    """The values and blocks of a page, escaped."""
    values = {name: escape(str(getattr(page, name))) for name in VALUES}
    return values | {"options": _options(page), "quotable": _quotable(page)}


def _options(page: Page) -> str:
    shown = [option for each in page.remedies for option in _option(page, each)]
    if page.versions:
        shown.append(escape(Template(page.labels["versions"]).safe_substitute(versions=", ".join(page.versions))))
    # Once: of plans without a price and an address, each says the same.
    lines = "\n".join(f"<li>{each}</li>" for each in dict.fromkeys(shown))
    return f"<ul>\n{lines}\n</ul>" if lines else ""


def _option(page: Page, remedy: Mapping[str, Any]) -> Iterator[str]:
    text, url = escape(label_of(remedy, page.labels)), followable(remedy.get("url"))
    if remedy["kind"] == "wait_until":
        at, shown = _minute(remedy["at"])
        yield text.replace(shown, f'<time datetime="{escape(at.isoformat())}">{shown}</time>')
    elif text:
        yield text if url is None else f'<a href="{escape(url)}">{text}</a>'


def label_of(remedy: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """Say what *remedy*, as in the document, is called by *labels*; empty where the detail says it already."""
    kind = str(remedy["kind"])
    if kind == "contact" and followable(remedy.get("url")) is None and not remedy.get("plan"):
        # What is about no plan: pay, resume. Without an address there is no more to say of it.
        return ""
    said = {**remedy, "at": _minute(remedy["at"])[1]} if kind == "wait_until" else remedy
    return Template(labels.get(str(remedy.get("verb", kind)), "")).safe_substitute(said)


def _minute(at: str) -> tuple[datetime, str]:
    """The instant *at*, and the full minute that people read."""
    instant = datetime.fromisoformat(at).astimezone(UTC)
    return instant, f"{rounded_up(instant, timedelta(minutes=1)):%Y-%m-%d %H:%M} UTC"


def _quotable(page: Page) -> str:
    if not page.reference:
        return ""
    label = Template(escape(page.labels["reference"]))
    return f"<p><small>{label.safe_substitute(reference=f'<code>{escape(page.reference)}</code>')}</small></p>"


def _require_name(name: str) -> None:
    """
    Refuse a template that would never be taken.

    Raises:
        ConfigurationError: No refusal is of this name.
    """
    language, _, own = name.rpartition("/")
    reasons = [key for key in ENGLISH if "." in key]
    known = {_DEFAULT, *reasons, *(reason.partition(".")[0] for reason in reasons)}
    if language and not TAG.fullmatch(language):
        raise ConfigurationError(f"template {name}: {language!r} is no language tag, such as 'de' or 'pt-BR'")
    if own not in known and not _STATUS.fullmatch(own):
        raise ConfigurationError(
            f"template {name}: it is named by a reason, a family, a status or default{did_you_mean(own, known)}"
        )


def _read_all(directory: Path) -> dict[str, str]:
    if not directory.is_dir():
        raise ConfigurationError(f"templates are files of a directory; {directory} is none")
    found = {}
    for path in sorted(directory.rglob("*.html")):
        try:
            found[path.relative_to(directory).with_suffix("").as_posix()] = path.read_text("utf-8")
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return found
