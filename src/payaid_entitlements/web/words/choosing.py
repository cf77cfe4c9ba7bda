"""Which words: those of the first language that the reader understands and that has them, else of the default."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from os import PathLike
from pathlib import Path
from string import Template
from typing import Final, NamedTuple, TypeAlias

from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.web.negotiating import lookup, ranges
from payaid_entitlements.web.words.english import ENGLISH

#: What a file of a language has: by reason ``title`` and ``detail``; by ``page`` the labels of pages.
Texts: TypeAlias = Mapping[str, Mapping[str, str]]

#: A well-formed tag as far as we need it, RFC 5646 section 2.1: it goes into a header field and names a file.
TAG: Final = re.compile(r"[A-Za-z]{2,8}(?:-[A-Za-z0-9]{1,8})*")
_PAGE: Final = "page"
#: Details of refusals may name what was asked for; what only the edge says is about nothing in the catalog.
_PLACEHOLDERS: Final = {"feature"}


class Said(NamedTuple):
    """
    Words for a reader.

    Attributes:
        title: The kind of the problem.
        detail: The way out.
        language: The tag of their language.
    """

    title: str
    detail: str
    language: str


class Words:
    """
    What refusals say, by language: English, German, Hindi, and what you add.

    Args:
        more: By language tag (BCP 47), then by reason: ``{"fr": {"plan.module_absent": {"title": ..., "detail":
            ...}}}``; or a directory with a JSON file of that for each language, ``fr.json``. It goes before what is
            shipped, also where it has only one of the two. A detail may have ``$feature``; a dollar is ``$$``.
        default: Tag of the language for readers who understand none of them.

    Raises:
        ConfigurationError: A reason, a tag or a placeholder is unknown; a new language has a title without a detail;
            a file cannot be read; nothing is known in the default language.
    """

    __slots__ = ("_default", "_known")

    def __init__(self, more: Mapping[str, Texts] | str | PathLike[str] | None = None, *, default: str = "en") -> None:
        self._known: dict[str, dict[str, tuple[str, Mapping[str, str]]]] = {key: {} for key in ENGLISH}
        for tag, texts in _shipped().items():
            self._add(tag, texts)
        added = {} if more is None else more if isinstance(more, Mapping) else _read_all(Path(more))
        for tag, texts in added.items():
            _require_sound(tag, texts)
            self._add(tag, texts)
        for key, languages in self._known.items():
            for tag, text in languages.values():
                if key != _PAGE and text.keys() != {"title", "detail"}:
                    raise ConfigurationError(f"words in {tag!r} for {key!r}: there is a {next(iter(text))} only")
        self._default = default.lower()
        if not any(self._default in languages for languages in self._known.values()):
            known = sorted({tag for languages in self._known.values() for tag in languages})
            raise ConfigurationError(f"no words are in {default!r}, the default{did_you_mean(default, known)}")

    def of(self, key: str, languages: str = "", feature: str = "") -> Said:
        """
        Say what *key* means.

        Args:
            key: A reason.
            languages: An ``Accept-Language``, or the tag of a language.
            feature: What was asked for.
        """
        tag, text = self._pick(key, languages)
        detail = text["detail"]
        if "$" in detail:
            detail = Template(detail).safe_substitute(feature=feature)
        return Said(text["title"], detail, tag)

    def labels(self, language: str) -> Mapping[str, str]:
        """The labels of a page in *language*, a tag; English where there are none."""
        _, texts = self._pick(_PAGE, language)
        return ENGLISH[_PAGE] | dict(texts)

    def _pick(self, key: str, languages: str) -> tuple[str, Mapping[str, str]]:
        known = self._known[key]
        if languages:
            found = lookup(ranges(languages), known)
            if found is not None:
                return known[found]
        return known.get(self._default, known["en"])

    def _add(self, tag: str, texts: Texts) -> None:
        for key, text in texts.items():
            _, before = self._known[key].get(tag.lower(), (tag, {}))
            self._known[key][tag.lower()] = tag, {**before, **text}


@cache
def shipped_words() -> Words:
    """Words as they are shipped; read when first somebody answers, and once."""
    return Words()


def _require_sound(tag: str, texts: Texts) -> None:
    """
    Refuse words that would fail when they are said.

    Raises:
        ConfigurationError: They would.
    """
    if not TAG.fullmatch(tag):
        raise ConfigurationError(f"words in {tag!r}: that is no language tag, such as 'fr' or 'pt-BR'")
    if not isinstance(texts, Mapping):
        raise ConfigurationError(f"words in {tag!r} are by reason: {{'plan.module_absent': {{'title': ...}}}}")
    for key, text in texts.items():
        for mistake in _mistakes(key, text):
            raise ConfigurationError(f"words in {tag!r} for {key!r}: {mistake}")


def _mistakes(key: str, text: object) -> Iterator[str]:
    if key not in ENGLISH:
        yield f"there is no such reason{did_you_mean(key, ENGLISH)}"
        return
    if not isinstance(text, Mapping):
        yield "they are a mapping"
        return
    for name, said in text.items():
        if name not in ENGLISH[key]:
            yield f"{name!r} is not said{did_you_mean(name, ENGLISH[key])}"
        elif not isinstance(said, str) or not said.strip() or not _is_unicode(said):
            yield f"{name} is no text: {said!r}"
        elif not Template(said).is_valid():
            yield f"{name} has a $ that begins no placeholder; write $$"
        else:
            for unknown in sorted({*Template(said).get_identifiers()} - placeholders(key, name)):
                yield f"{name} has ${unknown}, which is not known there"


def placeholders(key: str, name: str) -> set[str]:
    """The placeholders that words may have: titles none, since the kind of a problem is the same for all."""
    if key == _PAGE:
        return {*Template(ENGLISH[key][name]).get_identifiers()}
    return _PLACEHOLDERS if name == "detail" and key not in _NAMELESS else set()


#: What is about no feature.
_NAMELESS: Final = frozenset(
    {
        "store.unavailable",
        "store.outcome_unknown",
        "operation.unnamed",
        "operation.conflict",
        "reservation.expired",
        "change.conflict",
        "slot.taken",
        "route.unknown",
        "tenant.unidentified",
        "tenant.conflict",
    }
)


def _is_unicode(text: str) -> bool:
    return not any("\ud800" <= each <= "\udfff" for each in text)


@cache
def _shipped() -> dict[str, Texts]:
    here = Path(__file__)
    return {"en": ENGLISH} | {tag: json.loads(here.with_name(f"{tag}.json").read_text("utf-8")) for tag in LANGUAGES}


#: What is shipped besides English.
LANGUAGES: Final = ("de", "hi")


def _read_all(directory: Path) -> dict[str, Texts]:
    if not directory.is_dir():
        raise ConfigurationError(f"words are in a directory with a file for each language; {directory} is none")
    found = {}
    for path in sorted(directory.glob("*.json")):
        try:
            found[path.stem] = json.loads(path.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{path} cannot be read: {error}") from error
    return found
