"""
Templates of pages: text with ``$placeholders``, as in `string.Template`. What would fail when a page is made, or would
let somebody in, fails when the template is read.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from html.parser import HTMLParser
from string import Template
from typing import Final

from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError

#: ``name=$value``: without quotes a blank in the value ends it.
_UNQUOTED: Final = re.compile(r"=\s*[^\s\"'>]*\$\{?[A-Za-z_]")
#: Where an attribute is an address.
_ADDRESSES: Final = frozenset(
    {"action", "background", "data", "formaction", "href", "ping", "poster", "src", "srcset", "xlink:href"}
)
#: What has only letters, digits, dots and hyphens, and so is the same inside an address.
_PLAIN: Final = frozenset({"status", "reason", "family", "reference", "language", "direction"})


def read_template(name: str, text: str, values: Collection[str], blocks: Collection[str]) -> Template:
    """
    Read the template *name*.

    Values are escaped for text and for attributes in quotes; nothing escapes them for scripts, styles or addresses, so
    they may not stand there.

    Args:
        values: Placeholders that are text.
        blocks: Placeholders that are HTML.

    Raises:
        ConfigurationError: A placeholder is unknown, stands where it would not be safe, or is none.
    """
    template = Template(text)
    if not template.is_valid():
        raise ConfigurationError(f"template {name}: a $ begins no placeholder; write $$ for a dollar")
    for unknown in sorted({*template.get_identifiers()} - {*values, *blocks}):
        raise ConfigurationError(f"template {name}: ${unknown} is not known{did_you_mean(unknown, [*values, *blocks])}")
    places = _Places(frozenset(blocks))
    places.feed(text)
    places.close()
    for mistake in places.mistakes:
        raise ConfigurationError(f"template {name}: {mistake}")
    return template


class _Places(HTMLParser):
    """Finds placeholders that stand where no escaping makes them safe."""

    def __init__(self, blocks: frozenset[str]) -> None:
        super().__init__(convert_charrefs=False)
        self.mistakes: list[str] = []
        self._blocks = blocks
        self._raw: str | None = None
        self._redirects = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Look at the attributes."""
        self._raw = tag if tag in self.CDATA_CONTENT_ELEMENTS else None
        text = self.get_starttag_text() or ""
        if _UNQUOTED.search(re.sub(r"\"[^\"]*\"|'[^']*'", '""', text)):
            self.mistakes.append(f"put quotes around the attribute of <{tag}> with a placeholder")
        if any(True for _ in _names(tag)) or any(True for name, _ in attrs for _ in _names(name)):
            self.mistakes.append(f"a placeholder is no name of a tag or an attribute: {text}")
        self._redirects = tag == "meta" and any(name == "http-equiv" for name, _ in attrs)
        for name, value in attrs:
            for placeholder in _names(value or ""):
                self._look(tag, name, value or "", placeholder)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Same as an opening tag."""
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        """Leave a script or a style."""
        self._raw = None

    def handle_data(self, data: str) -> None:
        """Look into scripts and styles."""
        if self._raw is not None:
            for placeholder in _names(data):
                self.mistakes.append(f"${placeholder} stands inside <{self._raw}>, where nothing escapes it")

    def _look(self, tag: str, name: str, value: str, placeholder: str) -> None:
        where = f"${placeholder} in {name}= of <{tag}>"
        if placeholder in self._blocks:
            self.mistakes.append(f"{where}: it is HTML and no value")
        elif name.startswith("on") or name in ("style", "srcdoc", "http-equiv") or self._redirects:
            self.mistakes.append(f"{where}: nothing escapes it there")
        elif name in _ADDRESSES and placeholder not in _PLAIN:
            if placeholder != "upgrade_url" or not value.startswith("$"):
                self.mistakes.append(f"{where}: only $upgrade_url leads somewhere, and from the beginning")


def _names(text: str) -> Iterator[str]:
    for found in Template.pattern.finditer(text):
        name = found["named"] or found["braced"]
        if name is not None:
            yield name
