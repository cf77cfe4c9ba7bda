"""Flags that the environment of a process switches off."""

from __future__ import annotations

import pytest

from payaid_entitlements.core.flags.kills import flag_kills, variable
from payaid_entitlements.errors import ConfigurationError


@pytest.mark.parametrize("word", ["off", "false", "0", "no", " OFF ", "False", "NO"])
def test_a_flag_is_killed_by_a_word_for_no(word: str) -> None:
    """The key is in capitals, with ``_`` for ``-`` and ``.``."""
    assert flag_kills({"PAYAID_FLAG_NEW_CHECKOUT": word, "HOME": "/", "PAYAID_FLAG_": "x"}) == {"NEW_CHECKOUT"}
    assert variable("new-checkout") == variable("new.checkout") == "NEW_CHECKOUT"


@pytest.mark.parametrize("word", ["on", "true", "1", "yes", "On", "YES", "", " "])
def test_a_word_for_yes_leaves_a_flag_as_it_is(word: str) -> None:
    """The environment kills; it never turns on."""
    assert flag_kills({"PAYAID_FLAG_NEW_CHECKOUT": word}) == frozenset()


@pytest.mark.parametrize("word", ["kill", "of", "2", "y"])
@pytest.mark.parametrize("name", ["PAYAID_FLAG_X", "FEATURE_APP_STORE"])
def test_another_word_stops_the_start_and_is_told_which_there_are(name: str, word: str) -> None:
    """A typo must not leave on what somebody meant to kill."""
    with pytest.raises(ConfigurationError) as refused:
        flag_kills({name: word})
    words = "on, true, yes, 1, off, false, no, 0"
    assert str(refused.value) == f"{name} is {word!r}; write one of {words}, or leave it out"


@pytest.mark.parametrize(("word", "killed"), [("false", {"APP_STORE"}), ("No", {"APP_STORE"}), ("yes", set())])
def test_a_variable_of_the_first_code_kills_its_flag(word: str, killed: set[str]) -> None:
    """The two others are about enforcement, and kill no flag."""
    given = {"FEATURE_LICENSING": "false", "FEATURE_MODULE_GATING": "0", "FEATURE_APP_STORE": word}
    assert flag_kills(given) == killed
