"""
What program and environment say about enforcement, and about processes. Unset means enforce; a word that nobody knows
fails start-up.
"""

from __future__ import annotations

from collections.abc import Mapping

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.controls import EVERYWHERE, Enforcement, enforcement
from payaid_entitlements.core.switching import is_on
from payaid_entitlements.core.world import Modes
from payaid_entitlements.core.written.problems import did_you_mean
from payaid_entitlements.errors import ConfigurationError
from payaid_entitlements.stores.activity import KEPT_DAYS

_PREFIX = "PAYAID_ENFORCEMENT"
#: Days are at most 99,999: nobody keeps more than 273 years.
_MOST_DIGITS = 5
#: Older names of the switch, as first hosts have them in their configuration: true enforces, false does not.
ALIASES = ("FEATURE_LICENSING", "FEATURE_MODULE_GATING")


#: What ``enforcement=`` takes: a mode for everywhere, or modes by module, where ``"*"`` is everywhere.
Modal = Enforcement | str | Mapping[str, Enforcement | str]


def modes_of(given: Modal, environ: Mapping[str, str], catalog: Catalog | None) -> Modes:
    """
    Read the modes that the program gives, and those of *environ*.

    Args:
        catalog: What the program was written for; None where that is not known.

    Raises:
        ConfigurationError: A word that is no mode, names that contradict one another, or a module that *catalog* does
            not have.
    """
    by_scope = given if isinstance(given, Mapping) else {EVERYWHERE: given}
    program = {scope: enforcement(word, source="enforcement=") for scope, word in by_scope.items()}
    modes = Modes(program, environment_modes(environ))
    if catalog is not None:
        for scope in modes.unknown(catalog):
            hint = did_you_mean(scope, catalog.modules)
            source = "enforcement=" if scope in program else f"{_PREFIX}_{scope.upper()}"
            raise ConfigurationError(f"{source} is about module {scope!r}, which the catalog does not have{hint}")
    return modes


def environment_modes(environ: Mapping[str, str]) -> dict[str, Enforcement]:
    """
    Read the enforcement modes that *environ* sets.

    ``PAYAID_ENFORCEMENT`` is for everywhere, ``PAYAID_ENFORCEMENT_CRM`` for the module ``crm`` (dashes of
    a module's key are written as ``_``). ``FEATURE_LICENSING`` and ``FEATURE_MODULE_GATING`` are aliases of the first
    whose *unset* means enforce; of the two, ``false`` wins. Empty counts as unset.

    Returns:
        Mode by module, its key in lower case and with ``_`` for dashes, or under `EVERYWHERE`.

    Raises:
        ConfigurationError: A word that is no mode, or names that contradict one another.
    """
    modes: dict[str, Enforcement] = {}
    for name, word in sorted(environ.items()):
        if word and (name == _PREFIX or name.startswith(_PREFIX + "_")):
            scope = EVERYWHERE if name == _PREFIX else name[len(_PREFIX) + 1 :].lower()
            mode = enforcement(word, source=name)
            if not scope or modes.setdefault(scope, mode) is not mode:
                raise ConfigurationError(f"{name} is {word!r} and names no module, or the same one as another variable")
    said_by = {name: is_on(name, environ.get(name, "")) for name in ALIASES}
    aliases = {name: is_enforced for name, is_enforced in said_by.items() if is_enforced is not None}
    if aliases:
        said = Enforcement.ENFORCE if all(aliases.values()) else Enforcement.OFF
        if modes.setdefault(EVERYWHERE, said) is not said:
            raise ConfigurationError(
                f"{_PREFIX} is {modes[EVERYWHERE].value!r} and {', '.join(aliases)} says {said.value!r}; keep one"
            )
    return modes


#: Processes that share a rate limit in an outage of the limiter, where nobody says how many there are.
PROCESSES = 4


def processes_of(given: int | None, environ: Mapping[str, str]) -> int:
    """
    Say in how many processes the program runs: *given*, else ``PAYAID_PROCESSES``, else `PROCESSES`.

    Raises:
        ConfigurationError: It is no number from 1 on.
    """
    source, said = ("processes=", given) if given is not None else ("PAYAID_PROCESSES", environ.get("PAYAID_PROCESSES"))
    if said is None or said == "":
        return PROCESSES
    try:
        count = int(said) if isinstance(said, str) or type(said) is int else 0
    except ValueError:
        count = 0
    if count < 1:
        raise ConfigurationError(f"{source} is {said!r}; it is a number of processes, from 1 on")
    return count


def activity_days_of(environ: Mapping[str, str]) -> int:
    """
    Say for how many days it is kept which tenant did what: ``PAYAID_ACTIVITY_DAYS``, else `KEPT_DAYS`.

    Returns:
        0 where nothing is to be recorded.

    Raises:
        ConfigurationError: It is no number from 0 on.
    """
    said = environ.get("PAYAID_ACTIVITY_DAYS") or str(KEPT_DAYS)
    if not said.strip().isdecimal() or len(said) > _MOST_DIGITS:
        raise ConfigurationError(f"PAYAID_ACTIVITY_DAYS is {said!r}; it is a number of days, and 0 records nothing")
    return int(said)
