"""
Controls: what operators turn without selling anything: enforcement modes and kill switches.

They are mutable, where the catalog is not, and have a revision of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal

from payaid_entitlements.errors import ConfigurationError, StoreDamaged

#: The scope of a mode that holds wherever no module has one of its own.
EVERYWHERE = "*"


class Enforcement(StrEnum):
    """
    Whether a commercial refusal is carried out. Unset means `ENFORCE`.

    In `OFF` and `OBSERVE` the host's own old answer (``legacy=``) decides where it is given, else
    the request is allowed with an advisory. A revocation, a suspension, a kill switch, a ``DENY`` and an
    outage are never softened.
    """

    OFF = "off"
    OBSERVE = "observe"
    ENFORCE = "enforce"


OFF = Enforcement.OFF
OBSERVE = Enforcement.OBSERVE
ENFORCE = Enforcement.ENFORCE


def enforcement(word: str, *, source: str) -> Enforcement:
    """
    Read a mode as people write it.

    Args:
        word: ``off``, ``observe`` or ``enforce``.
        source: Where it was written, for the message.

    Raises:
        ConfigurationError: Another word. A typo must never open what is sold.
    """
    try:
        return Enforcement(word.strip().lower())
    except (ValueError, AttributeError):
        raise ConfigurationError(
            f"{source} is {word!r}; write 'off', 'observe' or 'enforce' (unset means enforce)"
        ) from None


#: A kill switch of a key, or the mode of a scope.
Switch = tuple[Literal["killed", "mode"], str]
#: Where a switch stands: killed or not; the mode's word, None where none is set.
Position = bool | str | None


@dataclass(frozen=True, slots=True)
class Controls:
    """
    The operators' switches as they are stored.

    Attributes:
        modes: Mode by module, or by `EVERYWHERE`.
        killed: Modules and features that are off for everybody.
    """

    revision: int = 0
    modes: Mapping[str, Enforcement] = field(default_factory=dict)
    killed: frozenset[str] = frozenset()

    def with_mode(self, scope: str, mode: Enforcement) -> Controls:
        """The same with *mode* for *scope*, one revision later."""
        return replace(self, revision=self.revision + 1, modes={**self.modes, scope: mode})

    def with_killed(self, key: str) -> Controls:
        """The same with *key* off for everybody, one revision later."""
        return replace(self, revision=self.revision + 1, killed=self.killed | {key})

    def with_restored(self, key: str) -> Controls:
        """The same without the kill switch of *key*, one revision later."""
        return replace(self, revision=self.revision + 1, killed=self.killed - {key})

    def position(self, switch: Switch) -> Position:
        """Where *switch* stands."""
        kind, key = switch
        if kind == "killed":
            return key in self.killed
        mode = self.modes.get(key)
        return None if mode is None else mode.value

    def turned(self, switch: Switch, to: Position) -> Controls:
        """The same with *switch* at another position, one revision later."""
        kind, key = switch
        if kind == "killed":
            return self.with_killed(key) if to else self.with_restored(key)
        if isinstance(to, str):
            return self.with_mode(key, Enforcement(to))
        modes = {scope: mode for scope, mode in self.modes.items() if scope != key}
        return replace(self, revision=self.revision + 1, modes=modes)

    def to_json(self) -> str:
        """The controls as the one text that is stored."""
        return json.dumps(
            {
                "schema": 1,
                "revision": self.revision,
                "modes": {scope: mode.value for scope, mode in sorted(self.modes.items())},
                "killed": sorted(self.killed),
            },
            separators=(",", ":"),
        )

    @staticmethod
    def from_json(text: str) -> Controls:
        """
        Read what `to_json` wrote.

        Raises:
            StoreDamaged: It is something else, or of a newer release.
        """
        try:
            match json.loads(text):
                case {"schema": 1, "revision": int(revision), "modes": dict(modes), "killed": list(killed)}:
                    return Controls(
                        revision,
                        {scope: Enforcement(mode) for scope, mode in modes.items()},
                        frozenset(str(key) for key in killed),
                    )
                case other:
                    raise ValueError(f"they read {str(other)[:100]!r}")
        except (TypeError, ValueError, RecursionError) as error:
            raise StoreDamaged(f"the stored controls are damaged, or of a newer release: {error}") from error
