"""
Patterns of a route table, and the paths that no table may be asked about since not everybody reads them alike. Pure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from payaid_entitlements.errors import ConfigurationError

#: Stands for any one segment. No segment of a path is empty, so that it collides with none.
ANY: Final = ""
#: The method of websockets, which have none: HTTP/1.1 opens them with GET, HTTP/2 with CONNECT (RFC 8441).
WEBSOCKET: Final = "WEBSOCKET"

#: What servers, proxies and frameworks read in different ways: empty and dotted segments (RFC 3986 section 5.2.4),
#: also with parameters; backslashes; control characters, since ``$`` in a regular expression matches before a newline;
#: line and paragraph separators; what was no UTF-8 (as servers replace or escape it); and percent-encoding that is
#: still there after decoding.
_AMBIGUOUS: Final = re.compile(
    r"//|[\x00-\x1f\x7f-\x9f\\\u2028\u2029\ud800-\udfff\ufffd]|%[0-9A-Fa-f]{2}|/\.\.?(?:;[^/]*)?(?:/|$)"
)
#: A slash that separates no segments for some, and does for those who look at the decoded path.
_ENCODED_SLASH: Final = re.compile(rb"%2[Ff]")
_METHOD: Final = re.compile(r"[A-Z][A-Z-]*")
_NAMED: Final = re.compile(r"\{[A-Za-z_]\w*\}")


def is_ambiguous(path: str, raw: bytes | None = None) -> bool:
    """
    Could somebody else read *path* as another one?

    Args:
        path: Percent-decoded once, as servers do.
        raw: As it came, where the server tells.
    """
    if not path.startswith("/") or _AMBIGUOUS.search(path) is not None:
        return True
    return raw is not None and b"%" in raw and _ENCODED_SLASH.search(raw) is not None


def segments_of(path: str) -> list[str]:
    """The segments of a path that is not ambiguous; a slash at its end makes no difference."""
    inner = path.strip("/")
    return inner.split("/") if inner else []


def folded(segment: str) -> str:
    """What is the same for whoever does not tell case or forms of Unicode apart."""
    return segment.lower() if segment.isascii() else unicodedata.normalize("NFKC", segment).casefold()


@dataclass(frozen=True)
class Pattern:
    """
    Which requests a line of the table is about.

    Attributes:
        text: As it was written.
        method: In upper case; None for every method, and for websockets.
        segments: Literals, and `ANY`.
        is_open: Does it end with ``/*``? Then everything below is meant too, and the path without it.
        has_slash: Does it end with a slash?
    """

    text: str
    method: str | None
    segments: tuple[str, ...]
    is_open: bool
    has_slash: bool

    @cached_property
    def shape(self) -> tuple[str | None, tuple[str, ...], bool]:
        """Equal for two that are about the same requests."""
        return self.method, tuple(map(folded, self.segments)), self.is_open

    @property
    def is_literal(self) -> bool:
        """Is it about one path?"""
        return not self.is_open and ANY not in self.segments


def parse(text: str) -> Pattern:
    """
    Read ``/invoices/*``, ``/invoices/{id}`` or ``POST /invoices/{id}/send``.

    Raises:
        ConfigurationError: It is none, or no request could ever be about it.
    """
    if not isinstance(text, str):
        raise ConfigurationError(f"the route {text!r} is no str")
    method, path = _method(text)
    stem = path[:-1] if path.endswith("/*") else path
    if is_ambiguous(stem):
        raise ConfigurationError(
            f"the route {text!r} matches nothing: a path begins with a slash and is decoded; '//', '/./', '/../', "
            "backslashes and control characters are answered with 404"
        )
    segments = tuple(_segments(text, stem))
    return Pattern(text, method, segments, stem != path, has_slash=path.endswith("/"))


def _method(text: str) -> tuple[str | None, str]:
    method, blank, path = text.partition(" ")
    if not blank or text.startswith("/"):
        return None, text
    if method == "HEAD":
        raise ConfigurationError(f"the route {text!r}: HEAD asks what GET asks; say 'GET {path}'")
    if not _METHOD.fullmatch(method):
        raise ConfigurationError(f"the route {text!r}: {method!r} is no method in upper case")
    return method, path


def _segments(text: str, stem: str) -> Iterator[str]:
    for segment in segments_of(stem):
        if _NAMED.fullmatch(segment):
            yield ANY
        elif set("{}*<>") & set(segment) or segment.startswith(":"):
            # Also as others write names: it would be taken for what stands there, and match nothing.
            raise ConfigurationError(
                f"the route {text!r}: {segment!r} is neither a name, as {{id}}, for one segment, nor a '*' at the end, "
                "for all that is below"
            )
        else:
            yield segment


def common(one: Pattern, other: Pattern) -> tuple[str | None, tuple[str, ...], bool] | None:
    """The shape of what both are about; None where there is nothing."""
    if one.method != other.method and None not in (one.method, other.method):
        return None
    (_, ours, _), (_, theirs, _) = one.shape, other.shape
    if (len(ours) < len(theirs) and not one.is_open) or (len(theirs) < len(ours) and not other.is_open):
        return None
    both = []
    for mine, yours in zip(ours, theirs, strict=False):
        if mine != yours and ANY not in (mine, yours):
            return None
        both.append(mine or yours)
    both += ours[len(both) :] or theirs[len(both) :]
    return one.method or other.method, tuple(both), one.is_open and other.is_open
