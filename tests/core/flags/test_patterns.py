"""Regular expressions: what they match, and that nobody can stop a process with one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from payaid_entitlements.core.flags.expressions import DEEPEST, LONGEST
from payaid_entitlements.core.flags.failing import RuleInvalid
from payaid_entitlements.core.flags.patterns import LONGEST_TEXT, pattern


@pytest.mark.parametrize(
    ("written", "yes", "no"),
    [
        ("", ["", "a"], []),
        ("b", ["abc", "b"], ["", "a", "B"]),
        ("^ab", ["abc"], ["cab"]),
        ("ab$", ["cab"], ["abc"]),
        ("^$", [""], ["a"]),
        ("$^", [""], ["a"]),
        ("a.c", ["abc"], ["a\nc", "ac"]),
        (r"a\.c", ["a.c"], ["abc"]),
        ("[abx-z]+$", ["zzz", "b"], ["c", "ac"]),
        ("^[^a-c]$", ["d", "é"], ["a", "b"]),
        ("^[]a]$", ["]", "a"], ["b"]),
        ("^[a-]$", ["a", "-"], ["b"]),
        (r"^[\d\-]+$", ["1-2"], ["a"]),
        (r"^[\d-z]+$", ["1-z"], ["a"]),
        (r"^[\D]$", ["a"], ["1"]),
        (r"^[^\D]$", ["1"], ["a"]),
        (r"^\w+\s\S\W\D$", ["ab_1 x-y"], ["ab x-1"]),
        (r"^\t\n\r\f\v$", ["\t\n\r\f\v"], ["tnrfv"]),
        ("^(ab|cd|e)$", ["ab", "cd", "e"], ["abcd", "", "abe"]),
        ("^(?:ab)*$", ["", "abab"], ["aba"]),
        ("^a{2}$", ["aa"], ["a", "aaa"]),
        ("^a{2,}$", ["aa", "aaaaa"], ["a"]),
        ("^a{1,3}$", ["a", "aaa"], ["", "aaaa"]),
        ("^(a{0,2}){2}$", ["", "aaaa"], ["aaaaa"]),
        ("^a+?b*?c??$", ["a", "aabbc"], ["bc"]),
        ("(?i)^straße[a-c]$", ["STRAßEB", "straßea"], ["strasse"]),
        (r"^\{\}\[\]\(\)\|\*\+\?\^\$\\\/\-$", ["{}[]()|*+?^$\\/-"], [""]),
        ("(?i)^[A-Z]$", ["a", "Z"], ["ß", "ŉ", "é"]),
        ("a|^b", ["xa", "b"], ["xb"]),
        ("(a|b)$|^c", ["xa", "cx"], ["ax"]),
        ("(a*)*b", ["b", "aab"], ["a"]),
        ("a]", ["a]"], ["a"]),
        ("a}", ["a}"], ["a"]),
    ],
)
def test_matches(written: str, yes: list[str], no: list[str]) -> None:
    search = pattern(written).search
    assert [text for text in yes if not search(text)] == []
    assert [text for text in no if search(text)] == []


@pytest.mark.parametrize(
    "written",
    [
        "(", ")", "(a", "a)", "[a", "[", "*", "+a", "a**", "a{2}{3}", "a{", "a{,3}", "a{2", "a{3,2}", "a{1000}",
        "a{x}", "a{1,x}", "{1}", "^*", "$+", "(?=a)", "(?P<n>a)", "(?", r"\1", r"\b", r"\q", "\\", r"[\q]", "[[:a:]]",
        "[z-a]", r"[a-\d]", "(?i", "a(?i)b", "a" * (LONGEST + 1), "(" * (DEEPEST + 1) + ")" * (DEEPEST + 1),
        "(a{99}){99}", "((a*){99}){99}", "a{501}", "(ab){0,300}", "a{400}|b{400}", "[[:x",
    ],
)  # fmt: skip
def test_not_understood(written: str) -> None:
    with pytest.raises(RuleInvalid):
        pattern(written)


HOSTILE = ["(a+)+$", "^(a|a)*$", "(a|aa)+$", "(.*a){12}$", "^(([a-z])+.)+[A-Z]([a-z])+$", "a*a*a*a*a*a*a*a*b"]


@pytest.mark.parametrize("written", HOSTILE)
def test_no_expression_takes_for_ever(written: str) -> None:
    """With the standard library's engine these do not end within a lifetime."""
    assert pattern(written).search("a" * (LONGEST_TEXT - 1) + "!") is False


def test_a_longer_text_matches_nothing() -> None:
    assert pattern("a").search("a" * LONGEST_TEXT)
    assert not pattern("a").search("a" * (LONGEST_TEXT + 1))


def test_what_is_learnt_is_bounded() -> None:
    """After thousands of characters that were never met before, it is forgotten, and the answers stay right."""
    found = pattern("^[^a]+a[^a]{2}$")
    for first in range(0x4E00, 0x4E00 + 9_000, 30):
        written = "".join(map(chr, range(first, first + 30)))
        assert found.search(written + "axy")
        assert not found.search(written + "a")


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", "(?:a|b)", r"\w", r"\W", "^", "$"])


def _repeated(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    signs = st.sampled_from(["*", "+", "?", "{2}", "{1,3}", "{2,}"])
    return (
        st.tuples(inner, signs).map(lambda both: f"(?:{both[0]}|a){both[1]}")
        | st.lists(inner, min_size=1, max_size=3).map("".join)
        | st.lists(inner, min_size=2, max_size=3).map(lambda parts: f"({'|'.join(parts)})")
    )


@given(st.recursive(ATOMS, _repeated, max_leaves=5), st.lists(st.text("ab-", max_size=7), min_size=5, max_size=5))
def test_the_same_as_the_standard_library(written: str, texts: list[str]) -> None:
    # Its `$` is also before a newline at the end, of which there is none here.
    reference = re.compile(written)
    found = pattern(written)
    assert [found.search(text) for text in texts] == [reference.search(text) is not None for text in texts]
