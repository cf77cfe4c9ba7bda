"""
What must not be in a log: secrets, and what tells who a person is. Pure.

Whoever reads logs is not whoever may act for a customer. A shape is masked wherever it stands: in an error of a driver
that quotes the URL it could not reach, in an id that somebody has taken for a place to put a token.

Source: OWASP Application Security Verification Standard 5.0, 16.2.5 (masking) and 16.4.1 (log injection).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: Stands where something was.
MASK: Final = "***"
#: Fields of which nothing is shown, whatever it is.
_SECRET_NAMES: Final = re.compile(
    r"pass(word|wd|phrase)?$|pwd$|secret|token$|(api|access|private)[_-]?key|authorization|cookie|credential|signature|"
    r"session[_-]?id|^dsn$|^pin$|^otp$|^cvv$|^sig$",
    re.IGNORECASE,
)

#: Names of that kind in the middle of a text, with what is said of them.
_SAID: Final = (
    r"(?P<said>(?i:pass(?:word|wd|phrase)?|pwd|secret|(?:access_|refresh_|id_)?token|"
    r"(?:api|access|secret|private)[_-]?key|authorization|cookie|credentials?|signature|\bsig|client_secret|"
    r"session[_-]?id)"
    r"[\"']?\s*[=:]\s*)(?:\"[^\"]*\"|'[^']*'|(?i:bearer|basic|digest|token)\s+[^\s,;&\"']+|[^\s,;&\"')\]}]+)"
)
#: The rest of the first and of the last line of a private key (RFC 7468; RFC 9580 section 6.2, which says BLOCK).
_KEY: Final = r"[A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----"
_SHAPES: Final = re.compile(
    "|".join(
        (
            _SAID,
            # A private key, to its end or to that of the text.
            rf"-----BEGIN {_KEY}[\s\S]*?(?:-----END {_KEY}|\Z)",
            # The user and the password of a URL (RFC 3986 section 3.2.1). Its length is bounded, and so is that of an
            # address below: each place where one may begin would else be looked from to the end of the text, and
            # whoever chooses the text would keep a worker busy.
            r"(?P<url>://)[^\s/@:\"'<>]*:[^\s\"'<>]{0,2048}@(?=[^\s@])",
            # A token of three parts (RFC 7519), and one behind its scheme (RFC 6750, RFC 7617).
            r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*",
            r"(?P<scheme>\b(?i:bearer|basic)\s+)[A-Za-z0-9._~+/=-]{6,}",
            # Keys of well-known services, which begin so that they are found.
            (
                r"\b(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{6,}|\bwhsec_[A-Za-z0-9+/=]{6,}|\bsk-[A-Za-z0-9_-]{16,}"
                r"|\bgh[pousr]_[A-Za-z0-9]{16,}|\bgithub_pat_[A-Za-z0-9_]{16,}|\bglpat-[A-Za-z0-9_-]{16,}"
                r"|\bxox[abeprs]-[A-Za-z0-9-]{8,}|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|\bAIza[A-Za-z0-9_-]{30,}"
                r"|\bnpm_[A-Za-z0-9]{30,}|\bpypi-[A-Za-z0-9_-]{16,}|\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"
                r"|\bhf_[A-Za-z0-9]{20,}|\brzp_(?:live|test)_[A-Za-z0-9]{8,}|\bdop_v1_[a-f0-9]{32,}"
                r"|\bsha256=[a-f0-9]{32,}"
            ),
            # Who a person is: an address for mail (RFC 5321 section 4.5.3.1.1: 64 octets before the @); the number of a
            # card, in its usual groups.
            r"(?P<mail>[A-Za-z0-9])[A-Za-z0-9._%+-]{0,63}@(?P<domain>[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)",
            r"\b(?P<card>(?:\d[ -]?){12,18}\d)\b",
        )
    )
)
#: What stands before each line of a text that is quoted: what stood before its first, the rules of a group of errors,
#: the signs of mail, the letter of pytest.
_MARGIN: Final = r"\n(?:(?P=before)|E(?=[ \t]))?[ \t|>]*+"
#: A private key that has lines of its own: as far as it goes, with the fields before it. Nothing that has been read is
#: given back (``*+``, ``(?>``), so that no text takes more than a few looks at each of its letters.
_KEY_IN_LINES: Final = re.compile(
    rf"^(?P<before>.*?)-----BEGIN {_KEY}"
    rf"(?:(?>.*-----END {_KEY})(?!.*-----BEGIN).*"
    rf"|.*(?:{_MARGIN}[A-Za-z][A-Za-z0-9-]*+:.*){{0,8}}+"
    rf"(?:{_MARGIN}[A-Za-z0-9+/=]*+[ \t]*+\r?$)*+"
    rf"(?:{_MARGIN}-----END {_KEY}(?!.*-----BEGIN).*)?)",
    re.MULTILINE,
)
_CONTROL: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")
#: So deep things in things are looked through.
_DEEPEST: Final = 6
#: Of a longer text the rest is left out: a log is no place for a file.
LONGEST: Final = 8_192
#: So many characters behind that are looked at for the other half of a secret.
_BEYOND: Final = 2_304


def masked(text: str) -> str:
    """
    Give *text* without secrets, and in one line: control characters are written as escapes, so that nobody who can
    choose a name can write lines of a log.
    """
    if len(text) > LONGEST:
        end = _end(text)
        text = f"{text[:end]}... ({len(text) - end:,} more characters)"
    return _CONTROL.sub(_escaped, _SHAPES.sub(_shown, text))


def masked_lines(text: str) -> str:
    """Give *text*, such as a traceback, without secrets, and in its lines."""
    return "\n".join(masked(line) for line in _KEY_IN_LINES.sub(_key_shown, text).splitlines())


def _key_shown(found: re.Match[str]) -> str:
    return f"{found['before']}{MASK}"


def _end(text: str) -> int:
    """Where a long text is cut: behind a secret that lies across the usual place: half of it would be no shape."""
    across = (each.end() for each in _SHAPES.finditer(text[: LONGEST + _BEYOND]) if each.end() > LONGEST > each.start())
    return next(across, LONGEST)


def without_secrets(fields: Mapping[str, object]) -> dict[str, object]:
    """Give *fields* without secrets: those of a telling name wholly, and from all others what looks like one."""
    return {name: MASK if _SECRET_NAMES.search(name) else _plain(value, _DEEPEST) for name, value in fields.items()}


def _plain(value: object, depth: int) -> object:
    match value:
        case None | bool() | int() | float():
            return value
        case str():
            return masked(value)
        case bytes() | bytearray():
            return masked(_text_of(bytes(value)))
        case _ if depth == 0:
            return masked(_text(value))
        case Mapping():
            return {
                masked(str(name)): MASK if _SECRET_NAMES.search(str(name)) else _plain(item, depth - 1)
                for name, item in value.items()
            }
        case [str() | bytes() as name, _] if _SECRET_NAMES.search(_text_of(name)):
            # As fields of HTTP come: a name, and what is said of it.
            pair = [masked(_text_of(name)), MASK]
            return tuple(pair) if isinstance(value, tuple) else pair
        case list() | tuple() | set() | frozenset():
            items = [_plain(item, depth - 1) for item in value]
            return tuple(items) if isinstance(value, tuple) else items
        case _:
            return masked(_text(value))


def _text_of(text: str | bytes) -> str:
    return text if isinstance(text, str) else text.decode("latin-1")


def _text(value: object) -> str:
    try:
        return str(value) if isinstance(value, Exception) else repr(value)
    except Exception as error:  # what cannot say what it is must not fail whoever says that something failed
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"


def _shown(found: re.Match[str]) -> str:
    """What stands in place of a secret."""
    kept = found["said"] or found["url"] or found["scheme"]
    if kept:
        return f"{kept}{MASK}{'@' if found['url'] else ''}"
    if found["mail"]:
        return f"{found['mail']}{MASK}@{found['domain']}"
    if found["card"]:
        return MASK if _is_card(found["card"]) else found[0]
    return MASK


def _is_card(digits: str) -> bool:
    """Does its last digit check the others (ISO/IEC 7812-1 annex B)? Of other long numbers one in ten does."""
    numbers = [int(each) for each in digits if each.isdigit()]
    doubled = [number if index % 2 == 0 else sum(divmod(2 * number, 10)) for index, number in enumerate(numbers[::-1])]
    return sum(doubled) % 10 == 0


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
