"""
Controls: what operators turn without selling anything: enforcement modes and kill switches.

They are mutable, where the catalog is not, and have a revision of their own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Literal, TypeVar, cast

from payaid_entitlements.core.flags.shares import parts, percent
from payaid_entitlements.errors import ConfigurationError, StoreDamaged

T = TypeVar("T")

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
#: Where a switch stands: killed or not; the mode's word, None where none is set; ``enforce 5% else observe``.
Position = bool | str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """
    A mode that holds for a part of the tenants; for the others the scope's own.

    Attributes:
        parts: How many, of `PARTS`; who they are is said by `payaid_entitlements.core.staging`.
    """

    mode: Enforcement
    parts: int


@dataclass(frozen=True, slots=True)
class Controls:
    """
    The operators' switches as they are stored.

    Attributes:
        modes: Mode by module, or by `EVERYWHERE`.
        stages: The mode of those whom it has reached, by a scope that has a mode for the others. An older release
            does not know them, and answers everybody by that.
        killed: Modules and features that are off for everybody.
    """

    revision: int = 0
    modes: Mapping[str, Enforcement] = field(default_factory=dict)
    killed: frozenset[str] = frozenset()
    stages: Mapping[str, Stage] = field(default_factory=dict)

    def with_mode(self, scope: str, mode: Enforcement, stage: Stage | None = None) -> Controls:
        """The same with *mode* for *scope*, but for those whom *stage* has reached; one revision later."""
        stages = {**_without(self.stages, scope), **({} if stage is None else {scope: stage})}
        return replace(self, revision=self.revision + 1, modes={**self.modes, scope: mode}, stages=stages)

    def with_killed(self, key: str) -> Controls:
        """The same with *key* off for everybody, one revision later."""
        return replace(self, revision=self.revision + 1, killed=self.killed | {key})

    def with_restored(self, key: str) -> Controls:
        """The same without the kill switch of *key*, one revision later."""
        return replace(self, revision=self.revision + 1, killed=self.killed - {key})

    def is_enforced(self, scope: str) -> bool:
        """Is what *scope* says that everybody is refused whom the catalog refuses?"""
        return scope not in self.stages and self.modes[scope] is ENFORCE

    def position(self, switch: Switch) -> Position:
        """Where *switch* stands."""
        kind, key = switch
        if kind == "killed":
            return key in self.killed
        mode, stage = self.modes.get(key), self.stages.get(key)
        return None if mode is None else mode.value if stage is None else staged(stage, mode)

    def turned(self, switch: Switch, to: Position) -> Controls:
        """The same with *switch* at another position, one revision later."""
        kind, key = switch
        if kind == "killed":
            return self.with_killed(key) if to else self.with_restored(key)
        if isinstance(to, str):
            return self.with_mode(key, *_read(to))
        modes, stages = _without(self.modes, key), _without(self.stages, key)
        return replace(self, revision=self.revision + 1, modes=modes, stages=stages)

    def to_json(self) -> str:
        """The controls as the one text that is stored."""
        return json.dumps(
            {
                "schema": 1,
                "revision": self.revision,
                "modes": {scope: mode.value for scope, mode in sorted(self.modes.items())},
                "killed": sorted(self.killed),
                # Left out where there are none, as older releases write it.
                **(
                    {"stages": {scope: staged(each) for scope, each in sorted(self.stages.items())}}
                    if self.stages
                    else {}
                ),
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
                case {"schema": 1, "revision": int(revision), "modes": dict(modes), "killed": list(killed), **more}:
                    stages = cast("dict[str, str]", more.get("stages", {}))
                    if not modes.keys() >= stages.keys():
                        raise ValueError("a stage has no mode for those whom it has not reached")
                    return Controls(
                        revision,
                        {scope: Enforcement(mode) for scope, mode in modes.items()},
                        frozenset(str(key) for key in killed),
                        {scope: _read_stage(said) for scope, said in stages.items()},
                    )
                case other:
                    raise ValueError(f"they read {str(other)[:100]!r}")
        except (AttributeError, TypeError, ValueError, RecursionError) as error:
            raise StoreDamaged(f"the stored controls are damaged, or of a newer release: {error}") from error


def staged(stage: Stage, otherwise: Enforcement | None = None) -> str:
    """Write *stage* as people read it: ``enforce 5%``, ``enforce 5% else observe``."""
    share = f"{stage.mode.value} {percent(stage.parts)}"
    return share if otherwise is None else f"{share} else {otherwise.value}"


def _read_stage(said: str) -> Stage:
    mode, share = said.split(" ")
    return Stage(Enforcement(mode), parts(share))


def _read(position: str) -> tuple[Enforcement, Stage | None]:
    """Read what `Controls.position` says of a mode."""
    stage, has_other, otherwise = position.partition(" else ")
    return (Enforcement(otherwise), _read_stage(stage)) if has_other else (Enforcement(position), None)


def _without(by_scope: Mapping[str, T], scope: str) -> dict[str, T]:
    return {each: found for each, found in by_scope.items() if each != scope}
