"""How environment variables say yes and no."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from payaid_entitlements.errors import ConfigurationError

#: All spellings, in small letters, the usual one first.
WORDS: Final[Mapping[str, bool]] = {
    **dict.fromkeys(("on", "true", "yes", "1"), True),
    **dict.fromkeys(("off", "false", "no", "0"), False),
}


def is_on(name: str, word: str) -> bool | None:
    """
    Read what the variable *name* says: one of `WORDS`, in letters of any case and with blanks around it.

    Returns:
        None where *word* is empty, which is as good as unset.

    Raises:
        ConfigurationError: It is another word. A typo must not leave on what somebody meant to switch off.
    """
    said = word.strip().lower()
    if not said:
        return None
    if said not in WORDS:
        raise ConfigurationError(f"{name} is {word!r}; write one of {', '.join(WORDS)}, or leave it out")
    return WORDS[said]
