"""
Environment variables that switch flags off in one process, whatever the store says: the last resort that needs nothing.

``PAYAID_FLAG_NEW_CHECKOUT=off`` kills the flag ``new-checkout``. They are read once, when a process starts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from payaid_entitlements.core.switching import is_on

_PREFIX: Final = "PAYAID_FLAG"

#: Variables of PayAid's first code, and the flags that they kill when they are false. Its two others,
#: ``FEATURE_LICENSING`` and ``FEATURE_MODULE_GATING``, are about enforcement (`payaid_entitlements.settings`).
SEED_VARIABLES: Final[Mapping[str, str]] = {"FEATURE_APP_STORE": "app-store"}


def flag_kills(environ: Mapping[str, str]) -> frozenset[str]:
    """
    Read which flags are killed here.

    All variables are read, not only those of flags that there are: a flag that is defined later is killed from its
    beginning.

    Args:
        environ: ``os.environ``.

    Returns:
        What `variable` makes of the keys of the killed flags.

    Raises:
        ConfigurationError: A variable says neither yes nor no.
    """
    killed = set()
    for name, word in environ.items():
        key = SEED_VARIABLES.get(name, name.removeprefix(f"{_PREFIX}_") if name.startswith(f"{_PREFIX}_") else "")
        if key and is_on(name, word) is False:
            killed.add(variable(key))
    return frozenset(killed)


def variable(key: str) -> str:
    """Write the *key* of a flag as its environment variable does, without the prefix: ``NEW_CHECKOUT``."""
    return key.upper().replace("-", "_").replace(".", "_")
