"""What program and environment say about enforcement. Unset means enforce; a word that nobody knows fails start-up."""

from __future__ import annotations

from collections.abc import Mapping

from payaid_entitlements.core.catalog.model import Catalog
from payaid_entitlements.core.catalog.problems import did_you_mean
from payaid_entitlements.core.controls import EVERYWHERE, Enforcement, enforcement
from payaid_entitlements.core.world import Modes
from payaid_entitlements.errors import ConfigurationError

_PREFIX = "PAYAID_ENFORCEMENT"
#: Older names of the switch, as first hosts have them in their configuration: true enforces, false does not.
ALIASES = ("FEATURE_LICENSING", "FEATURE_MODULE_GATING")
_SWITCH = {"true": Enforcement.ENFORCE, "1": Enforcement.ENFORCE, "false": Enforcement.OFF, "0": Enforcement.OFF}


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
    aliases = {name: _switch(name, environ[name]) for name in ALIASES if environ.get(name)}
    if aliases:
        said = Enforcement.OFF if Enforcement.OFF in aliases.values() else Enforcement.ENFORCE
        if modes.setdefault(EVERYWHERE, said) is not said:
            raise ConfigurationError(
                f"{_PREFIX} is {modes[EVERYWHERE].value!r} and {', '.join(aliases)} says {said.value!r}; keep one"
            )
    return modes


def _switch(name: str, word: str) -> Enforcement:
    try:
        return _SWITCH[word.strip().lower()]
    except KeyError:
        raise ConfigurationError(f"{name} is {word!r}; write 'true' or 'false' (unset means enforce)") from None
